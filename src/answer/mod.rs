//! The one request path: bytes in, bytes out, for every transport.
//!
//! [`respond`] is given a message, who sent it and how, the [`View`] of what is published, the caller's
//! [`Worker`] (the terms it answers on, its chance and its counts) and the time; it writes the answer into the caller's buffer. It reads
//! no clock, makes no chance, does no I/O, does not log, and on the common path allocates nothing and takes no
//! lock but that of one shard of the store.
//!
//! ```text
//!   message ── not a query? ───────> silence, FORMERR, NOTIMP
//!      │
//!      ├─ EDNS version, TSIG, class ─> BADVERS, NOTAUTH, REFUSED or CH TXT
//!      ├─ in none of our zones ──────> REFUSED, EDE 20
//!      ├─ cluster not read yet ──────> SERVFAIL, EDE 14
//!      v
//!   Node ── set of the type ──> records ── CNAME into our zones? ── once more, at most 8 times; in zones of files, 15
//!      │                                   └ out of them? ── the target's addresses, if the Node has them
//!      ├─ no such set ────────> NODATA, SOA
//!      └─ no Node ────────────> NXDOMAIN, SOA
//! ```
//! Zones of files have wildcards, delegations and DNAMEs besides; see [`crate::zone::StaticZone`].
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod client;
mod files;
mod view;
mod worker;

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use crate::wire::{
    AddressRecord, Ede, MalformedSubnet, Owner, Query, QueryName, Rcode, Rejection, Reply, class,
    header_only, rtype,
};
use crate::zone::{Alias, Found, Kept, Node, Place, PortSet, Set, Sets, Zone, ZoneKind};

use client::Client;
pub use view::{Identity, Limits, Terms, View};
use worker::Tally;
pub use worker::{Counts, TYPES, Worker};

/// How many targets of a CNAME chain are looked up.
const LINKS_MAX: usize = 8;
/// The same in zones of files, whose authors have longer ones: with the first link sixteen, as with BIND.
const FILE_LINKS_MAX: usize = 15;
/// The smallest datagram every client takes (RFC 1035, section 4.2.1).
const UDP_SIZE_MIN: usize = 512;
/// The longest message of a stream (RFC 1035, section 4.2.2).
const STREAM_SIZE_MAX: usize = 65_535;
/// The length of a message's header: where the name in the question stands.
const QUESTION_AT: usize = 12;
/// Where the RDATA of a record begins: its owner, a pointer, takes 2 octets, type to RDATA length 10.
const RDATA_AT: usize = 12;

/// How a query came in; the same bytes go out on all of them, but for the size limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Datagrams: at most what we and the client allow.
    Udp,
    /// Streams with a two-octet length in front of each message.
    Tcp,
}

impl Transport {
    /// Every transport, for tables of counters.
    pub const ALL: [Self; 2] = [Self::Udp, Self::Tcp];

    /// Its name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

/// What became of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is sent.
    Silence,
    /// `out` holds the answer.
    Reply,
}

/// Answers one message. `out` is emptied first; on [`Verdict::Reply`] it holds exactly the answer.
///
/// `peer` is who asked, which answers that a client keeps depend on. `now` is the wall clock in whole seconds since the
/// epoch.
pub fn respond(
    packet: &[u8],
    peer: IpAddr,
    transport: Transport,
    view: &View,
    worker: &mut Worker,
    now: u64,
    out: &mut Vec<u8>,
) -> Verdict {
    let (terms, tally) = worker.begin(view);
    let mut name = QueryName::default();
    let query = match Query::parse(packet, &mut name) {
        Ok(query) => query,
        Err(Rejection::Silence) => {
            out.clear();
            tally.count_dropped(transport);
            return Verdict::Silence;
        }
        Err(Rejection::HeaderOnly(header, rcode)) => {
            header_only(out, header, rcode);
            tally.count_query(transport, None, rcode);
            return Verdict::Reply;
        }
    };
    let limit = match (transport, query.edns) {
        (Transport::Tcp, _) => STREAM_SIZE_MAX,
        (Transport::Udp, None) => UDP_SIZE_MIN,
        (Transport::Udp, Some(edns)) => {
            usize::from(edns.udp_size.min(terms.limits.udp_size)).max(UDP_SIZE_MIN)
        }
    };
    let wants_nsid = query.edns.is_some_and(|edns| edns.nsid);
    let nsid = if wants_nsid {
        terms.identity.nsid(view.generation())
    } else {
        None
    };
    let nsid = nsid.as_ref().map(|text| text.as_bytes());
    let mut reply = Reply::begin(out, &query, limit, terms.limits.udp_size, nsid);
    if terms.limits.recursion_available {
        reply.set_recursion_available();
    }
    Responder {
        query: &query,
        peer,
        view,
        terms,
        now,
    }
    .answer(tally, &mut reply);
    let (rcode, _) = reply.finish();
    tally.count_query(transport, Some(query.qtype), rcode);
    Verdict::Reply
}

struct Responder<'q> {
    query: &'q Query<'q>,
    peer: IpAddr,
    view: &'q View,
    terms: &'q Terms,
    now: u64,
}

/// What one look-up of a chain came to.
enum Step {
    /// Records were added, or the name stands for nothing to follow.
    Done,
    /// The name exists without the type.
    NoData,
    /// The name does not exist.
    Missing,
    /// A CNAME was added; its target stands at this offset.
    Follow(Arc<Alias>, usize),
}

impl Responder<'_> {
    fn answer(&self, tally: &mut Tally, reply: &mut Reply<'_>) {
        let query = self.query;
        if query.edns.is_some_and(|edns| edns.version > 0) {
            return reply.set_rcode(Rcode::BadVers);
        }
        if query.tsig.is_some() {
            // There are no keys, so none is known; and a signed query is not answered as if it were not.
            return reply.set_rcode(Rcode::NotAuth);
        }
        match query.qclass {
            class::IN => {}
            class::CH => return self.answer_chaos(reply),
            _ => return reply.set_rcode(Rcode::Refused),
        }
        let transfer = matches!(query.qtype, rtype::AXFR | rtype::IXFR);
        let place = self.terms.zones.locate(query.name).filter(|_| !transfer);
        let Some(mut place) = place else {
            reply.set_rcode(Rcode::Refused);
            if !transfer {
                reply.set_ede(Ede::NotAuthoritative);
            }
            return;
        };
        if query.qtype == rtype::DS && query.name.label_count() == place.zone.label_count() {
            place = self.terms.zones.locate_above(query.name).unwrap_or(place);
        }
        if !self.is_answered(query.name, &place) {
            reply.set_rcode(Rcode::ServFail);
            return reply.set_ede(Ede::NotReady);
        }
        if place.zone.kind != ZoneKind::Static
            && self
                .view
                .is_stale(self.now, self.terms.limits.stale_after_secs)
            && !self.stands_in_file(query.name, place.zone)
        {
            reply.set_ede(Ede::StaleAnswer);
        }
        reply.set_authoritative();
        self.follow(place, tally, reply);
    }

    /// Whether enough is known to answer a name there.
    fn is_answered(&self, name: &QueryName, place: &Place<'_>) -> bool {
        match place.zone.kind {
            ZoneKind::Static => place.zone.statics().is_some(),
            _ => self.view.is_synced() || self.stands_in_file(name, place.zone),
        }
    }

    /// `version.bind`, `id.server`, `hostname.bind`, where configured (RFC 4892).
    fn answer_chaos(&self, reply: &mut Reply<'_>) {
        let text = self.terms.identity.chaos(self.query.name);
        match text.filter(|_| matches!(self.query.qtype, rtype::TXT | rtype::ANY)) {
            Some(body) => {
                reply.set_authoritative();
                reply.answer(body, 0, 1, Owner::Question);
            }
            None => reply.set_rcode(Rcode::Refused),
        }
    }

    /// Looks the question up, then the targets of CNAMEs that lie in our zones.
    fn follow(&self, place: Place<'_>, tally: &mut Tally, reply: &mut Reply<'_>) {
        let name = self.query.name;
        match self.look_up(name, &place, Owner::Question, tally, reply) {
            Step::Done => {}
            Step::NoData | Step::Missing if place.zone.is_unknown(name) => {
                reply.reject(Rcode::ServFail);
                reply.set_ede(Ede::NotReady);
            }
            Step::NoData => negative(place.zone, name, QUESTION_AT, reply),
            Step::Missing => {
                reply.set_rcode(Rcode::NxDomain);
                negative(place.zone, name, QUESTION_AT, reply);
            }
            Step::Follow(alias, at) => self.follow_chain(alias, at, tally, reply),
        }
    }

    /// Looks up the target of a CNAME, which stands at `at`, and those of the CNAMEs it leads to; a circle is left before it
    /// closes, since no record may be there twice (RFC 2181, section 5).
    #[inline(never)]
    fn follow_chain(&self, first: Arc<Alias>, at: usize, tally: &mut Tally, reply: &mut Reply<'_>) {
        let mut known: [Option<Arc<Alias>>; FILE_LINKS_MAX] = Default::default();
        let (mut next, mut at) = (first, at);
        for link in 0..FILE_LINKS_MAX {
            let is_next = |alias: &Arc<Alias>| alias.target == next.target;
            if next.target == *self.query.name || known.iter().flatten().any(is_next) {
                return;
            }
            let Some(place) = self.terms.zones.locate(&next.target) else {
                return;
            };
            if place.zone.statics().is_none() && link >= LINKS_MAX {
                return;
            }
            if !self.is_answered(&next.target, &place) {
                // What the chain comes to is not known, and half of it would be kept as the whole.
                reply.reject(Rcode::ServFail);
                return reply.set_ede(Ede::NotReady);
            }
            let step = self.look_up(&next.target, &place, Owner::At(at), tally, reply);
            let followed = match step {
                Step::Done => return,
                Step::NoData | Step::Missing if place.zone.is_unknown(&next.target) => {
                    reply.reject(Rcode::ServFail);
                    return reply.set_ede(Ede::NotReady);
                }
                Step::NoData => return negative(place.zone, &next.target, at, reply),
                Step::Missing => {
                    // The code speaks of the last name of the chain (RFC 6604, section 3).
                    reply.set_rcode(Rcode::NxDomain);
                    return negative(place.zone, &next.target, at, reply);
                }
                Step::Follow(alias, behind) => {
                    at = behind;
                    std::mem::replace(&mut next, alias)
                }
            };
            if let Some(place) = known.get_mut(link) {
                *place = Some(followed);
            }
        }
    }

    fn look_up(
        &self,
        name: &QueryName,
        place: &Place<'_>,
        owner: Owner,
        tally: &mut Tally,
        reply: &mut Reply<'_>,
    ) -> Step {
        let labels = name.label_count();
        if self.query.qtype == rtype::SOA && labels == place.zone.label_count() {
            let soa = place.zone.soa();
            let (names, numbers) = soa.rdata();
            let rdata = [names, numbers.as_flattened()];
            reply.answer_one(rtype::SOA, soa.ttl, &rdata, owner);
            return Step::Done;
        }
        match place.zone.statics() {
            None => self.look_up_in_cluster(name, place, owner, tally, reply),
            Some(statics) => self.look_up_in_file(statics, (name, place), owner, tally, reply),
        }
    }

    #[inline]
    fn look_up_in_cluster(
        &self,
        name: &QueryName,
        place: &Place<'_>,
        owner: Owner,
        tally: &mut Tally,
        reply: &mut Reply<'_>,
    ) -> Step {
        let key = name.suffix(place.key_labels);
        let prefix = name.label_count() - place.key_labels;
        let read = |node: &Node| {
            let (from, found) = (reply.offset(), node.find(name, prefix));
            let step = match found {
                Found::Sets(sets) | Found::Host(sets) => self.add_set(sets, owner, tally, reply),
                Found::Address { address, ttl } => match self.query.qtype {
                    rtype::A | rtype::ANY => {
                        let record = AddressRecord::new(ttl, address.into());
                        reply.answer_address(&record, owner);
                        Step::Done
                    }
                    _ => Step::NoData,
                },
                Found::Srv(set) if matches!(self.query.qtype, rtype::SRV | rtype::ANY) => {
                    match set {
                        PortSet::All(srv) => add_srv(srv, owner, reply),
                        PortSet::Kept(kept) => self.add_kept(kept, owner, tally, reply),
                    }
                    Step::Done
                }
                Found::Srv(_) | Found::Empty => Step::NoData,
                Found::Missing => Step::Missing,
            };
            // One comparison where nothing is scheduled. A host stays what it is whatever becomes of the shares.
            if let Some(secs) = node.secs_to_cut_over(self.now)
                && !matches!(found, Found::Host(_) | Found::Address { .. })
            {
                reply.limit_ttls(from, secs);
            }
            step
        };
        match self.view.store.find(key, read) {
            Some(step) => step,
            None if place.pod => self.pod(name, place, owner, reply),
            None => Step::Missing,
        }
    }

    fn add_set(&self, sets: &Sets, owner: Owner, tally: &mut Tally, reply: &mut Reply<'_>) -> Step {
        let qtype = self.query.qtype;
        let set = match qtype {
            rtype::ANY => sets.any(),
            _ => sets.get(qtype).or_else(|| sets.get(rtype::CNAME)),
        };
        match set {
            None => return Step::NoData,
            Some(Set::Address(record)) => reply.answer_address(record, owner),
            Some(Set::Fixed(body)) => reply.answer(body, 0, body.count(), owner),
            Some(Set::Srv(srv)) => add_srv(srv, owner, reply),
            Some(Set::Drawn(drawn)) => {
                let picks = drawn.sampler.select(tally.draw(drawn.slot));
                if let Some(first) = picks.first() {
                    tally.count_answer(drawn.counts.get(first as usize).copied());
                }
                for run in picks.runs() {
                    reply.answer(&drawn.body, run.start as usize, run.count as usize, owner);
                }
            }
            Some(Set::Kept(kept)) => self.add_kept(kept, owner, tally, reply),
            Some(Set::Alias(alias)) => {
                let at = reply.offset() + RDATA_AT;
                reply.answer(&alias.body, 0, 1, owner);
                if alias.addresses.get(qtype).is_some() {
                    // They are known only of a target that is not ours; there is nothing to follow.
                    return self.add_set(&alias.addresses, Owner::At(at), tally, reply);
                }
                if qtype != rtype::CNAME && qtype != rtype::ANY {
                    return Step::Follow(Arc::clone(alias), at);
                }
            }
        }
        Step::Done
    }

    /// The records that this client keeps.
    fn add_kept(&self, kept: &Kept, owner: Owner, tally: &mut Tally, reply: &mut Reply<'_>) {
        let client = match Client::of(kept.sticky.by(), self.peer, self.query.edns.as_ref()) {
            Ok(client) => client,
            Err(MalformedSubnet) => return reply.reject(Rcode::FormErr),
        };
        if let Some(subnet) = client.subnet {
            reply.set_subnet(subnet);
        }
        if let Some(keeps) = kept.sticky.select(client.number) {
            tally.count_answer(keeps.count);
            let (first, count) = (keeps.run.start as usize, keeps.run.count as usize);
            reply.answer_srv(&kept.records, first, count, owner);
        }
    }

    /// `10-1-2-3.namespace.pod.zone`, made from the question where pod names are not verified.
    fn pod(
        &self,
        name: &QueryName,
        place: &Place<'_>,
        owner: Owner,
        reply: &mut Reply<'_>,
    ) -> Step {
        let namespace = name.suffix(place.zone.label_count() + 2);
        let known =
            self.terms.limits.pods_unverified && self.view.store.find(namespace, |_| ()).is_some();
        let Some(address) = address_of_label(name.label(0)).filter(|_| known) else {
            return Step::Missing;
        };
        let ttl = place.zone.soa().ttl;
        match (address, self.query.qtype) {
            (IpAddr::V4(v4), rtype::A | rtype::ANY) => {
                reply.answer_one(rtype::A, ttl, &[&v4.octets()], owner)
            }
            (IpAddr::V6(v6), rtype::AAAA | rtype::ANY) => {
                reply.answer_one(rtype::AAAA, ttl, &[&v6.octets()], owner);
            }
            _ => return Step::NoData,
        }
        Step::Done
    }
}

fn add_srv(srv: &crate::wire::Srv, owner: Owner, reply: &mut Reply<'_>) {
    let answers_at = reply.offset();
    reply.answer(&srv.answers, 0, srv.answers.count(), owner);
    reply.additional(&srv.glue, answers_at);
}

/// NODATA or NXDOMAIN: the SOA of the zone, its owner a pointer into the name, which stands at `at`.
fn negative(zone: &Zone, name: &QueryName, at: usize, reply: &mut Reply<'_>) {
    let (names, numbers) = zone.soa().rdata();
    let rdata = [names, numbers.as_flattened()];
    let apex = at + name.as_wire().len() - zone.name.as_wire().len();
    let ttl = zone.soa().ttl_of_negatives();
    reply.authority(rtype::SOA, ttl, &rdata, Owner::At(apex));
}

/// Reads `10-1-2-3` or `2001-db8--1`.
fn address_of_label(label: &[u8]) -> Option<IpAddr> {
    let v4 = parse_hyphenated(label, b'.').map(IpAddr::V4);
    v4.or_else(|| parse_hyphenated(label, b':').map(IpAddr::V6))
}

/// Reads a label in which hyphens stand for `separator`, which itself cannot stand there.
fn parse_hyphenated<T: FromStr>(label: &[u8], separator: u8) -> Option<T> {
    let mut text = [0_u8; 63];
    let text = text.get_mut(..label.len())?;
    for (to, from) in text.iter_mut().zip(label) {
        *to = match *from {
            b'-' => separator,
            b'.' | b':' => return None,
            octet => octet,
        };
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
