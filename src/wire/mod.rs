//! DNS messages in and out of bytes, without I/O and without allocation on the query path.
//!
//! In: [`Query`] is a borrowed view of one request; everything that is no well-formed query becomes a
//! [`Rejection`] before its body is looked at. Out: [`Reply`] writes an answer behind the question as it was
//! received, copying [`Body`]s that were encoded when the data changed.
//!
//! Names are lower case in memory ([`Name`], [`QueryName`]); the case a client used survives in the question,
//! and owners that equal it are pointers to it (RFC 1035, section 4.1.4), so 0x20 clients see their own case.
//!
//! Never here: look-ups, policy, sockets.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod body;
mod name;
mod query;
mod reply;
mod subnet;

pub use body::{AddressRecord, Body, BodyBuilder, Glue, Srv, SrvBuilder};
pub use name::{Name, NameError, QueryName};
pub use query::{Edns, Header, Query, Rejection};
pub(crate) use reply::header_only;
pub use reply::{Ede, Owner, Reply};
pub use subnet::{ClientSubnet, MalformedSubnet};

/// Numbers of the record types that ShiftDNS treats by name (IANA, DNS parameters).
pub mod rtype {
    #![allow(missing_docs, reason = "the names are the registry's own")]
    pub const A: u16 = 1;
    pub const NS: u16 = 2;
    pub const CNAME: u16 = 5;
    pub const SOA: u16 = 6;
    pub const PTR: u16 = 12;
    pub const MX: u16 = 15;
    pub const TXT: u16 = 16;
    pub const AAAA: u16 = 28;
    pub const SRV: u16 = 33;
    pub const DNAME: u16 = 39;
    pub const OPT: u16 = 41;
    pub const DS: u16 = 43;
    pub const RRSIG: u16 = 46;
    pub const NSEC: u16 = 47;
    pub const TSIG: u16 = 250;
    pub const IXFR: u16 = 251;
    pub const AXFR: u16 = 252;
    pub const MAILB: u16 = 253;
    pub const MAILA: u16 = 254;
    pub const ANY: u16 = 255;
}

/// Numbers of the classes that are told apart.
pub mod class {
    #![allow(missing_docs, reason = "the names are the registry's own")]
    pub const IN: u16 = 1;
    pub const CH: u16 = 3;
}

/// Response codes in use; those above 15 need an OPT record (RFC 6891, section 6.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum Rcode {
    /// The name exists.
    NoError = 0,
    /// The message could not be read.
    FormErr = 1,
    /// No answer can be given at this time.
    ServFail = 2,
    /// The name does not exist, nor does any below it.
    NxDomain = 3,
    /// An operation that is not offered.
    NotImp = 4,
    /// Not ours, or not for this client.
    Refused = 5,
    /// A name that came out of a DNAME is too long (RFC 6672, section 2.2).
    YxDomain = 6,
    /// Signed with a key that is not known (RFC 8945, section 5.2.1).
    NotAuth = 9,
    /// An EDNS version above 0.
    BadVers = 16,
}

impl Rcode {
    /// Every code this server gives, for tables of counters.
    pub const ALL: [Self; 9] = [
        Self::NoError,
        Self::FormErr,
        Self::ServFail,
        Self::NxDomain,
        Self::NotImp,
        Self::Refused,
        Self::YxDomain,
        Self::NotAuth,
        Self::BadVers,
    ];

    /// Its mnemonic, as `dig` prints it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoError => "NOERROR",
            Self::FormErr => "FORMERR",
            Self::ServFail => "SERVFAIL",
            Self::NxDomain => "NXDOMAIN",
            Self::NotImp => "NOTIMP",
            Self::Refused => "REFUSED",
            Self::YxDomain => "YXDOMAIN",
            Self::NotAuth => "NOTAUTH",
            Self::BadVers => "BADVERS",
        }
    }
}

/// Two octets at `at`, most significant first; `None` past the end.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let pair = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes(pair.try_into().ok()?))
}
