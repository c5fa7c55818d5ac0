//! Writing an answer.
//!
//! ```text
//! [ header | question as received | answers | authority | additional | OPT ]
//!                                  ^ room for OPT is set aside before the first record
//! ```
//! When space runs out: additional records are left out without a word; answers are cut after a whole record
//! and TC is set; OPT always stays (RFC 2181, section 9; RFC 6891, section 7). Not an octet follows the last
//! record.

use super::body::{AddressRecord, Body, Glue, GlueUnit, QUESTION_POINTER, Srv, fixed_part};
use super::name::QueryName;
use super::query::{Header, Query};
use super::{ClientSubnet, Rcode, rtype};

/// An OPT record without options: owner, type, size, flags, RDATA length.
const OPT_LEN: usize = 11;
/// Code and length in front of an option's data.
const OPTION_HEAD_LEN: usize = 4;
/// The length of a record without its RDATA, its owner being a pointer; the TTL and the length of the RDATA inside.
const RECORD_HEAD_LEN: usize = 12;
const TTL_AT: usize = 6;
const RDATA_LEN_AT: usize = 10;
/// Pointers have 14 bits (RFC 1035, section 4.1.4).
const POINTER_MAX: usize = 0x3FFF;
/// Where the name in the question stands.
const QUESTION_AT: u8 = 12;

/// What an answer tells beside its records (RFC 8914).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Ede {
    /// The data may be out of date.
    StaleAnswer = 3,
    /// The server has not read the cluster yet.
    NotReady = 14,
    /// The name is in none of our zones.
    NotAuthoritative = 20,
}

/// Who owns the records of a run: always a name that stands in the message already, so that an owner is a pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The name in the question.
    Question,
    /// A name that stands at this offset of the message.
    At(usize),
}

/// An answer under construction.
#[derive(Debug)]
pub struct Reply<'o> {
    out: &'o mut Vec<u8>,
    /// Where the question ends.
    records_at: usize,
    header: Header,
    limit: usize,
    rcode: Rcode,
    authoritative: bool,
    recursion_available: bool,
    truncated: bool,
    opt: Option<Opt<'o>>,
    ede: Option<Ede>,
    answers: u16,
    authorities: u16,
    additionals: u16,
}

#[derive(Debug)]
struct Opt<'o> {
    dnssec_ok: bool,
    udp_size: u16,
    nsid: Option<&'o [u8]>,
    subnet: Option<ClientSubnet>,
}

impl Opt<'_> {
    /// The length of what must not be left out: OPT itself, and for whom the answer is good.
    fn len_min(&self) -> usize {
        let subnet = self.subnet.map_or(0, |s| OPTION_HEAD_LEN + s.len());
        OPT_LEN + subnet
    }

    fn len(&self, ede: Option<Ede>) -> usize {
        let nsid = self.nsid.map_or(0, |nsid| OPTION_HEAD_LEN + nsid.len());
        self.len_min()
            + nsid
            + if ede.is_some() {
                OPTION_HEAD_LEN + 2
            } else {
                0
            }
    }
}

/// Writes a header with `rcode` and nothing behind it; no flag but QR, and RD where a query set it.
pub(crate) fn header_only(out: &mut Vec<u8>, header: Header, rcode: Rcode) {
    out.clear();
    out.extend_from_slice(&header.id.to_be_bytes());
    let echoed = header.opcode == 0 && header.recursion_desired;
    out.push(0x80 | header.opcode << 3 | u8::from(echoed));
    out.push((rcode as u16 & 0x0F) as u8);
    out.extend_from_slice(&[0; 8]);
}

impl<'o> Reply<'o> {
    /// Starts the answer to `query` in `out`, which is emptied. `limit` is the transport's: the answer never
    /// gets longer. `udp_size` is what our OPT announces, `nsid` what is told to those who ask.
    pub fn begin(
        out: &'o mut Vec<u8>,
        query: &Query<'_>,
        limit: usize,
        udp_size: u16,
        nsid: Option<&'o [u8]>,
    ) -> Self {
        out.clear();
        out.extend_from_slice(&[0; 12]);
        out.extend_from_slice(query.question);
        Self {
            records_at: out.len(),
            out,
            header: query.header,
            limit,
            rcode: Rcode::NoError,
            authoritative: false,
            recursion_available: false,
            truncated: false,
            opt: query.edns.map(|edns| Opt {
                dnssec_ok: edns.dnssec_ok,
                udp_size,
                nsid: nsid.filter(|_| edns.nsid),
                subnet: None,
            }),
            ede: None,
            answers: 0,
            authorities: 0,
            additionals: 0,
        }
    }

    /// Sets AA.
    pub fn set_authoritative(&mut self) {
        self.authoritative = true;
    }

    /// Sets RA.
    pub fn set_recursion_available(&mut self) {
        self.recursion_available = true;
    }

    /// Sets the response code.
    pub fn set_rcode(&mut self, rcode: Rcode) {
        self.rcode = rcode;
    }

    /// Adds an extended error, told only to who sent an OPT record, and only where it fits.
    pub fn set_ede(&mut self, ede: Ede) {
        self.ede = Some(ede);
    }

    /// Tells for whom the answer is good. To be called before records are added: a resolver that is not told would
    /// give one client's answer to all, so room is set aside for it.
    pub fn set_subnet(&mut self, subnet: ClientSubnet) {
        if let Some(opt) = &mut self.opt {
            opt.subnet = Some(subnet);
        }
        if !self.fits(0) {
            // Only where aliases have filled the message; over TCP there is room.
            if let Some(opt) = &mut self.opt {
                opt.subnet = None;
            }
            self.truncated = true;
        }
    }

    /// Takes back what was added: the question cannot be answered as it stands.
    pub fn reject(&mut self, rcode: Rcode) {
        self.out.truncate(self.records_at);
        [self.answers, self.authorities, self.additionals] = [0; 3];
        (self.authoritative, self.truncated) = (false, false);
        self.rcode = rcode;
    }

    /// Lowers the times to live of all records from the offset `from` on that are above `ttl`.
    pub fn limit_ttls(&mut self, from: usize, ttl: u32) {
        let mut records = self.out.get_mut(from..).unwrap_or_default();
        while let Some(len) = super::u16_at(records, RDATA_LEN_AT) {
            if let Some(place) = records.get_mut(TTL_AT..RDATA_LEN_AT)
                && let Ok(own) = <[u8; 4]>::try_from(&*place)
            {
                let least = u32::from_be_bytes(own).min(ttl);
                place.copy_from_slice(&least.to_be_bytes());
            }
            let end = RECORD_HEAD_LEN + usize::from(len);
            records = records.get_mut(end..).unwrap_or_default();
        }
    }

    /// Where the next record will stand.
    pub fn offset(&self) -> usize {
        self.out.len()
    }

    /// Adds `count` records of `body` from `first` on to the answers; whole records up to the limit, TC if some
    /// are left out. After the first cut nothing is added any more.
    pub fn answer(&mut self, body: &Body, first: usize, count: usize, owner: Owner) {
        if self.truncated {
            return;
        }
        let run = body.run(first, count);
        if owner == Owner::Question && self.fits(run.len()) {
            self.out.extend_from_slice(run);
            self.answers = self
                .answers
                .saturating_add(u16::try_from(count).unwrap_or(u16::MAX));
            return;
        }
        for index in first..first.saturating_add(count) {
            let record = body.run(index, 1);
            if !self.record(record, owner) {
                self.truncated = true;
                return;
            }
            self.answers = self.answers.saturating_add(1);
        }
    }

    /// Adds the first record of `body`, unless the answers have it already: a chain may meet one again, and none stands there twice
    /// (RFC 2181, section 5).
    pub fn answer_once(&mut self, body: &Body, owner: Owner) {
        if !self.has_answer(body.run(0, 1), owner) {
            self.answer(body, 0, 1, owner);
        }
    }

    fn has_answer(&self, wanted: &[u8], owner: Owner) -> bool {
        let at = match owner {
            Owner::Question => usize::from(QUESTION_AT),
            Owner::At(at) => at,
        };
        let mut records = self.out.get(self.records_at..).unwrap_or_default();
        for _ in 0..self.answers {
            let len = super::u16_at(records, RDATA_LEN_AT).map_or(0, usize::from);
            let Some((record, behind)) = records.split_at_checked(RECORD_HEAD_LEN + len) else {
                return false;
            };
            let owner =
                super::u16_at(record, 0).map_or(0, |pointer| usize::from(pointer) & POINTER_MAX);
            let rest = QUESTION_POINTER.len()..;
            if record.get(rest.clone()) == wanted.get(rest) && self.is_one_name(owner, at) {
                return true;
            }
            records = behind;
        }
        false
    }

    /// Whether two names are one that stand in the message, which has no pointers inside of names.
    fn is_one_name(&self, one: usize, other: usize) -> bool {
        let name = |at: usize| {
            let mut name = QueryName::default();
            name.read(self.out, at).map(|_| name)
        };
        name(one).is_some_and(|one| name(other) == Some(one))
    }

    /// Adds one record that was encoded ahead to the answers; as with [`Reply::answer`], TC if it does not fit.
    pub fn answer_address(&mut self, record: &AddressRecord, owner: Owner) {
        if self.truncated {
            return;
        }
        if self.record(record.as_bytes(), owner) {
            self.answers = self.answers.saturating_add(1);
        } else {
            self.truncated = true;
        }
    }

    /// Adds one record that was not encoded ahead to the answers; its RDATA may be in pieces.
    pub fn answer_one(&mut self, rtype: u16, ttl: u32, rdata: &[&[u8]], owner: Owner) {
        if self.record_of(rtype, ttl, rdata, owner) {
            self.answers = self.answers.saturating_add(1);
        }
    }

    /// Adds one record of the authority section; TC if it does not fit, because a negative answer without its
    /// SOA cannot be cached (RFC 2308, section 2).
    pub fn authority(&mut self, rtype: u16, ttl: u32, rdata: &[&[u8]], owner: Owner) {
        if self.record_of(rtype, ttl, rdata, owner) {
            self.authorities = self.authorities.saturating_add(1);
        }
    }

    /// Makes the answer a referral to the servers of `records`, whose name stands at `owner`: they go to the authority section,
    /// their addresses to the additional one. AA is cleared, unless answers stand in front, of which it speaks (RFC 1035, section
    /// 4.1.1). TC is set where a server is left out, or glue of the first `required` that have any: nobody gets to those without
    /// it (RFC 9471, section 3).
    pub fn refer(&mut self, records: &Srv, required: usize, owner: Owner) {
        if self.answers == 0 {
            self.authoritative = false;
        }
        let at = self.offset();
        for index in 0..records.answers.count() {
            if self.truncated || !self.record(records.answers.run(index, 1), owner) {
                self.truncated = true;
                return;
            }
            self.authorities = self.authorities.saturating_add(1);
        }
        let added = self.add_units(&records.glue, &records.glue.units, at, 0);
        self.truncated |= added < required;
    }

    /// Adds addresses of targets to the additional section, whole targets while they fit. `answers_at` is where
    /// the answers they belong to begin in the message. Targets past the reach of a pointer are left out as well.
    pub fn additional(&mut self, glue: &Glue, answers_at: usize) {
        self.add_units(glue, &glue.units, answers_at, 0);
    }

    /// Adds `count` SRV records from `first` on to the answers, and the addresses of their targets.
    pub fn answer_srv(&mut self, srv: &Srv, first: usize, count: usize, owner: Owner) {
        let answers_at = self.offset();
        self.answer(&srv.answers, first, count, owner);
        let [start, end] = [first, first.saturating_add(count)].map(|i| srv.answers.start(i));
        let units = &*srv.glue.units;
        let [from, to] =
            [start, end].map(|at| units.partition_point(|unit| (unit.target as usize) < at));
        let units = units.get(from..to).unwrap_or_default();
        self.add_units(&srv.glue, units, answers_at, start);
    }

    /// `skipped` is how many octets of the answers that the units count from are not in the message. Gives how many units were
    /// added.
    fn add_units(
        &mut self,
        glue: &Glue,
        units: &[GlueUnit],
        answers_at: usize,
        skipped: usize,
    ) -> usize {
        let reserve = self.opt.as_ref().map_or(0, |opt| opt.len(self.ede));
        for (added, unit) in units.iter().enumerate() {
            let target = answers_at.saturating_add((unit.target as usize).saturating_sub(skipped));
            let records = glue.bytes.get(unit.start as usize..unit.end as usize);
            let Some(mut records) = records.filter(|_| target <= POINTER_MAX && !self.truncated)
            else {
                return added;
            };
            let before = (self.out.len(), self.additionals);
            while let Some(len) = super::u16_at(records, 8) {
                let (record, rest) = records.split_at(records.len().min(10 + usize::from(len)));
                self.push_owner(Owner::At(target));
                self.out.extend_from_slice(record);
                self.additionals = self.additionals.saturating_add(1);
                records = rest;
            }
            if self.out.len() + reserve > self.limit {
                self.out.truncate(before.0);
                self.additionals = before.1;
                return added;
            }
        }
        units.len()
    }

    /// Completes the message: OPT, flags and counts. Returns the response code and whether TC is set.
    pub fn finish(mut self) -> (Rcode, bool) {
        let mut additionals = self.additionals;
        if let Some(opt) = self.opt.take() {
            self.push_opt(&opt);
            additionals = additionals.saturating_add(1);
        }
        let rcode = if self.rcode as u16 > 0x0F && additionals == self.additionals {
            Rcode::ServFail
        } else {
            self.rcode
        };
        let first = 0x80
            | u8::from(self.authoritative) << 2
            | u8::from(self.truncated) << 1
            | u8::from(self.header.recursion_desired);
        let second = u8::from(self.recursion_available) << 7 | (rcode as u16 & 0x0F) as u8;
        let [id0, id1] = self.header.id.to_be_bytes();
        let [an0, an1] = self.answers.to_be_bytes();
        let [ns0, ns1] = self.authorities.to_be_bytes();
        let [ar0, ar1] = additionals.to_be_bytes();
        let header = [id0, id1, first, second, 0, 1, an0, an1, ns0, ns1, ar0, ar1];
        if let Some(place) = self.out.get_mut(..header.len()) {
            place.copy_from_slice(&header);
        }
        (rcode, self.truncated)
    }

    fn fits(&self, more: usize) -> bool {
        let reserve = self.opt.as_ref().map_or(0, Opt::len_min);
        self.out.len() + more + reserve <= self.limit
    }

    /// Adds one encoded record under `owner`; `false` and nothing added if it does not fit.
    fn record(&mut self, record: &[u8], owner: Owner) -> bool {
        let before = self.out.len();
        self.push_owner(owner);
        self.out
            .extend_from_slice(record.get(QUESTION_POINTER.len()..).unwrap_or_default());
        let fits = self.fits(0);
        if !fits {
            self.out.truncate(before);
        }
        fits
    }

    /// Adds a record from its parts; `false`, nothing added and TC set if it does not fit.
    fn record_of(&mut self, rtype: u16, ttl: u32, rdata: &[&[u8]], owner: Owner) -> bool {
        let before = self.out.len();
        self.push_owner(owner);
        let len: usize = rdata.iter().map(|piece| piece.len()).sum();
        let len = u16::try_from(len).unwrap_or(u16::MAX);
        self.out.extend_from_slice(&fixed_part(rtype, ttl, len));
        for piece in rdata {
            self.out.extend_from_slice(piece);
        }
        if self.truncated || !self.fits(0) {
            self.out.truncate(before);
            self.truncated = true;
        }
        !self.truncated
    }

    fn push_owner(&mut self, owner: Owner) {
        match owner {
            Owner::Question => self.out.extend_from_slice(&QUESTION_POINTER),
            Owner::At(at) => {
                let at = u16::try_from(at.min(POINTER_MAX)).unwrap_or(0x0C);
                self.out.extend_from_slice(&(0xC000 | at).to_be_bytes());
            }
        }
    }

    fn push_opt(&mut self, opt: &Opt<'_>) {
        let room = self.limit.saturating_sub(self.out.len());
        // The records came first; of what room is left NSID, which was asked for, goes before EDE.
        let nsid = opt.nsid.filter(|_| opt.len(None) <= room);
        let told = Opt { nsid, ..*opt };
        let ede = self.ede.filter(|_| told.len(self.ede) <= room);
        let opt_len = told.len(ede);
        let rdata_len = u16::try_from(opt_len.saturating_sub(OPT_LEN)).unwrap_or(0);
        self.out.push(0);
        self.out.extend_from_slice(&rtype::OPT.to_be_bytes());
        self.out.extend_from_slice(&opt.udp_size.to_be_bytes());
        self.out.push((self.rcode as u16 >> 4) as u8);
        self.out.push(0);
        self.out
            .extend_from_slice(&[u8::from(opt.dnssec_ok) << 7, 0]);
        self.out.extend_from_slice(&rdata_len.to_be_bytes());
        if let Some(subnet) = opt.subnet {
            self.out.extend_from_slice(&8_u16.to_be_bytes());
            let len = u16::try_from(subnet.len()).unwrap_or(0);
            self.out.extend_from_slice(&len.to_be_bytes());
            subnet.write(self.out);
        }
        if let Some(nsid) = nsid {
            self.out.extend_from_slice(&3_u16.to_be_bytes());
            self.out
                .extend_from_slice(&u16::try_from(nsid.len()).unwrap_or(0).to_be_bytes());
            self.out.extend_from_slice(nsid);
        }
        if let Some(ede) = ede {
            self.out.extend_from_slice(&15_u16.to_be_bytes());
            self.out.extend_from_slice(&2_u16.to_be_bytes());
            self.out.extend_from_slice(&(ede as u16).to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests;
