//! A borrowed view of a request.
//!
//! ```text
//!   12 octets of header ──> shorter, or QR set ............ silence
//!        │                  opcode other than QUERY ....... NOTIMP, header only
//!        │                  counts that no query has ...... FORMERR, header only
//!        v
//!   question, OPT, TSIG ──> anything malformed ............ FORMERR, header only
//!        v
//!      Query
//! ```
//! The header decides first: a packet that claims 65,535 records costs as little as an empty one.

use super::name::{NAME_LEN_MAX, QueryName};
use super::{Rcode, rtype, u16_at};

/// The length of a message's header.
const HEADER_LEN: usize = 12;

/// What a reply repeats of a request's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The message id.
    pub id: u16,
    /// The opcode, 0 to 15.
    pub opcode: u8,
    /// RD, echoed on QUERY only.
    pub recursion_desired: bool,
}

/// A request that is not a well-formed query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// Answering would help nobody, or start a loop between two servers.
    Silence,
    /// A header with this code and nothing behind it.
    HeaderOnly(Header, Rcode),
}

/// One question, and what the additional section says of it.
#[derive(Clone, Debug)]
pub struct Query<'m> {
    /// Id and RD.
    pub header: Header,
    /// The name asked, in lower case.
    pub name: &'m QueryName,
    /// The question as it was received, its letters' case kept: name, type and class.
    pub question: &'m [u8],
    /// The type asked.
    pub qtype: u16,
    /// The class asked.
    pub qclass: u16,
    /// The OPT record, if there is one.
    pub edns: Option<Edns<'m>>,
    /// Where a TSIG record begins; it is the last record (RFC 8945, section 5.1).
    pub tsig: Option<usize>,
}

/// The OPT record of a query (RFC 6891) and the options we know; others are passed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Edns<'m> {
    /// The largest datagram the client takes, as it says.
    pub udp_size: u16,
    /// The EDNS version; only 0 exists, and options are read only then.
    pub version: u8,
    /// DO (RFC 3225).
    pub dnssec_ok: bool,
    /// NSID was asked for (RFC 5001).
    pub nsid: bool,
    /// The first COOKIE (RFC 7873), 8 or 16 to 40 octets.
    pub cookie: Option<&'m [u8]>,
    /// The first client subnet (RFC 7871), unread: see [`super::ClientSubnet`].
    pub client_subnet: Option<&'m [u8]>,
    /// TCP keepalive (RFC 7828).
    pub keepalive: bool,
    /// PADDING (RFC 7830).
    pub padding: bool,
    /// EXPIRE (RFC 7314).
    pub expire: bool,
}

mod option {
    pub(super) const NSID: u16 = 3;
    pub(super) const CLIENT_SUBNET: u16 = 8;
    pub(super) const EXPIRE: u16 = 9;
    pub(super) const COOKIE: u16 = 10;
    pub(super) const KEEPALIVE: u16 = 11;
    pub(super) const PADDING: u16 = 12;
}

impl<'m> Query<'m> {
    /// Reads a request.
    ///
    /// Octets behind the last counted record are passed over, as BIND, NSD and PowerDNS do.
    ///
    /// The name is read into `name`, where it stays: a query that held it would be copied on its way out, 400 octets
    /// read back while they are still being stored, which costs a fifth of an answer.
    ///
    /// # Errors
    /// What to send instead of an answer.
    pub fn parse(message: &'m [u8], name: &'m mut QueryName) -> Result<Self, Rejection> {
        let head = message.get(..HEADER_LEN).ok_or(Rejection::Silence)?;
        let [id0, id1, f0, _, qd0, qd1, an0, an1, ns0, ns1, ar0, ar1] = *head else {
            return Err(Rejection::Silence);
        };
        if f0 & 0x80 != 0 {
            return Err(Rejection::Silence);
        }
        let header = Header {
            id: u16::from_be_bytes([id0, id1]),
            opcode: f0 >> 3 & 0x0F,
            recursion_desired: f0 & 0x01 != 0,
        };
        if header.opcode != 0 {
            return Err(Rejection::HeaderOnly(header, Rcode::NotImp));
        }
        let malformed = Rejection::HeaderOnly(header, Rcode::FormErr);
        let authority = u16::from_be_bytes([ns0, ns1]);
        let additional = u16::from_be_bytes([ar0, ar1]);
        // One question (RFC 9619); an authority record only as IXFR's SOA (RFC 1995); OPT and TSIG.
        if [qd0, qd1] != [0, 1] || [an0, an1] != [0, 0] || authority > 1 || additional > 2 {
            return Err(malformed);
        }
        Self::parse_body(message, name, header, authority, additional).ok_or(malformed)
    }

    fn parse_body(
        message: &'m [u8],
        name: &'m mut QueryName,
        header: Header,
        authority: u16,
        additional: u16,
    ) -> Option<Self> {
        let name_end = name.read(message, HEADER_LEN)?;
        let mut at = name_end + 4;
        let mut query = Self {
            header,
            name,
            question: message.get(HEADER_LEN..at)?,
            qtype: u16_at(message, name_end)?,
            qclass: u16_at(message, name_end + 2)?,
            edns: None,
            tsig: None,
        };
        if authority == 1 {
            let record = RecordView::read(message, at)?;
            if query.qtype != rtype::IXFR || record.rtype != rtype::SOA {
                return None;
            }
            at = record.end;
        }
        for _ in 0..additional {
            let record = RecordView::read(message, at)?;
            // TSIG is last, each occurs once, and nothing else belongs there.
            match record.rtype {
                rtype::OPT if query.edns.is_none() && query.tsig.is_none() => {
                    query.edns = Some(Edns::read(&record)?);
                }
                rtype::TSIG if query.tsig.is_none() => query.tsig = Some(at),
                _ => return None,
            }
            at = record.end;
        }
        Some(query)
    }
}

/// A record behind the question, its owner skipped and not followed.
struct RecordView<'m> {
    root_owner: bool,
    rtype: u16,
    class: u16,
    ttl: [u8; 4],
    rdata: &'m [u8],
    end: usize,
}

impl<'m> RecordView<'m> {
    fn read(message: &'m [u8], at: usize) -> Option<Self> {
        let fixed = skip_name(message, at)?;
        let rdata_at = fixed + 10;
        let rdata_len = usize::from(u16_at(message, fixed + 8)?);
        let end = rdata_at + rdata_len;
        Some(Self {
            root_owner: fixed == at + 1,
            rtype: u16_at(message, fixed)?,
            class: u16_at(message, fixed + 2)?,
            ttl: message.get(fixed + 4..fixed + 8)?.try_into().ok()?,
            rdata: message.get(rdata_at..end)?,
            end,
        })
    }
}

/// Where the name at `at` ends in the message itself; a pointer ends it and is not followed.
fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    let start = at;
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            len @ 1..=63 => at += 1 + usize::from(len),
            0xC0..=0xFF => return message.get(at + 1).map(|_| at + 2),
            _ => return None,
        }
        if at - start >= NAME_LEN_MAX {
            return None;
        }
    }
}

impl<'m> Edns<'m> {
    /// Reads an OPT record; `None` where its owner is not the root or an option's length lies.
    fn read(record: &RecordView<'m>) -> Option<Self> {
        let [_extended_rcode, version, flags, _] = record.ttl;
        let mut edns = Self {
            udp_size: record.class,
            version,
            dnssec_ok: flags & 0x80 != 0,
            ..Self::default()
        };
        if !record.root_owner {
            return None;
        }
        if version != 0 {
            return Some(edns);
        }
        let mut rest = record.rdata;
        while !rest.is_empty() {
            let code = u16_at(rest, 0)?;
            let end = 4 + usize::from(u16_at(rest, 2)?);
            let data = rest.get(4..end)?;
            match code {
                option::NSID => edns.nsid = true,
                option::CLIENT_SUBNET => {
                    edns.client_subnet = edns.client_subnet.or(Some(data));
                }
                option::EXPIRE => edns.expire = true,
                option::COOKIE => {
                    // RFC 7873, section 5.2.2: other lengths are FORMERR.
                    if data.len() != 8 && !(16..=40).contains(&data.len()) {
                        return None;
                    }
                    edns.cookie = edns.cookie.or(Some(data));
                }
                option::KEEPALIVE => edns.keepalive = true,
                option::PADDING => edns.padding = true,
                _ => {}
            }
            rest = rest.get(end..)?;
        }
        Some(edns)
    }
}

#[cfg(test)]
mod tests;
