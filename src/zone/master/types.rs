//! Types: how each record's data is composed, for reading, writing and comparing it.
//!
//! One table tells it; what is not in it is opaque, and written as RFC 3597 has it.

use std::ops::Range;

use crate::wire::rtype;

/// A part of a record's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    U8,
    U16,
    U32,
    /// Four octets of seconds, also written with units.
    Seconds,
    /// Four octets, as `YYYYMMDDHHMMSS` (RFC 4034, section 3.2).
    Date,
    /// The number of an algorithm of DNSSEC, or its name.
    Algorithm,
    /// The number of a type, as its name.
    Type,
    Name,
    /// A string with its length in front.
    Text,
    /// At least one string.
    Texts,
    /// The tag of CAA: letters and digits, its length in front.
    Tag,
    /// A string without length, to the end.
    Rest,
    V4,
    V6,
    /// To the end, in hexadecimal digits that may stand apart.
    Hex,
    /// To the end.
    Base64,
    /// Hexadecimal digits with their length in front, or `-` for none.
    Salt,
    /// Digits of base 32 with their length in front (RFC 5155, section 3.3).
    Hash,
    /// To the end: which types there are (RFC 4034, section 4.1.2).
    Types,
    /// So many octets, in hexadecimal with hyphens.
    Hyphened(u8),
    /// Eight octets as four groups with colons (RFC 6742).
    Groups,
    /// To the end: parameters of SVCB (RFC 9460).
    Params,
    /// RFC 1876.
    Location,
}

use Field::{
    Algorithm, Base64, Date, Groups, Hash, Hex, Hyphened, Location, Name, Params, Rest, Salt,
    Seconds, Tag, Text, Texts, Type, Types, U8, U16, U32, V4, V6,
};

/// Number, mnemonic and parts of the types whose text is read. `None`: there is a mnemonic, and its data is written as RFC 3597
/// has it.
const TYPES: &[(u16, &str, Option<&[Field]>)] = &[
    (rtype::A, "A", Some(&[V4])),
    (rtype::NS, "NS", Some(&[Name])),
    (3, "MD", Some(&[Name])),
    (4, "MF", Some(&[Name])),
    (rtype::CNAME, "CNAME", Some(&[Name])),
    (
        rtype::SOA,
        "SOA",
        Some(&[Name, Name, U32, Seconds, Seconds, Seconds, Seconds]),
    ),
    (7, "MB", Some(&[Name])),
    (8, "MG", Some(&[Name])),
    (9, "MR", Some(&[Name])),
    (10, "NULL", None),
    (11, "WKS", None),
    (rtype::PTR, "PTR", Some(&[Name])),
    (13, "HINFO", Some(&[Text, Text])),
    (14, "MINFO", Some(&[Name, Name])),
    (rtype::MX, "MX", Some(&[U16, Name])),
    (rtype::TXT, "TXT", Some(&[Texts])),
    (17, "RP", Some(&[Name, Name])),
    (18, "AFSDB", Some(&[U16, Name])),
    (19, "X25", Some(&[Text])),
    (20, "ISDN", Some(&[Texts])),
    (21, "RT", Some(&[U16, Name])),
    (22, "NSAP", None),
    (24, "SIG", None),
    (25, "KEY", Some(&[U16, U8, Algorithm, Base64])),
    (26, "PX", Some(&[U16, Name, Name])),
    (27, "GPOS", Some(&[Text, Text, Text])),
    (rtype::AAAA, "AAAA", Some(&[V6])),
    (29, "LOC", Some(&[Location])),
    (rtype::SRV, "SRV", Some(&[U16, U16, U16, Name])),
    (35, "NAPTR", Some(&[U16, U16, Text, Text, Text, Name])),
    (36, "KX", Some(&[U16, Name])),
    (37, "CERT", Some(&[U16, U16, Algorithm, Base64])),
    (rtype::DNAME, "DNAME", Some(&[Name])),
    (42, "APL", None),
    (rtype::DS, "DS", Some(&[U16, Algorithm, U8, Hex])),
    (44, "SSHFP", Some(&[U8, U8, Hex])),
    (45, "IPSECKEY", None),
    (
        rtype::RRSIG,
        "RRSIG",
        Some(&[Type, Algorithm, U8, U32, Date, Date, U16, Name, Base64]),
    ),
    (rtype::NSEC, "NSEC", Some(&[Name, Types])),
    (48, "DNSKEY", Some(&[U16, U8, Algorithm, Base64])),
    (49, "DHCID", Some(&[Base64])),
    (50, "NSEC3", Some(&[U8, U8, U16, Salt, Hash, Types])),
    (51, "NSEC3PARAM", Some(&[U8, U8, U16, Salt])),
    (52, "TLSA", Some(&[U8, U8, U8, Hex])),
    (53, "SMIMEA", Some(&[U8, U8, U8, Hex])),
    (55, "HIP", None),
    (59, "CDS", Some(&[U16, Algorithm, U8, Hex])),
    (60, "CDNSKEY", Some(&[U16, U8, Algorithm, Base64])),
    (61, "OPENPGPKEY", Some(&[Base64])),
    (62, "CSYNC", Some(&[U32, U16, Types])),
    (63, "ZONEMD", Some(&[U32, U8, U8, Hex])),
    (64, "SVCB", Some(&[U16, Name, Params])),
    (65, "HTTPS", Some(&[U16, Name, Params])),
    (99, "SPF", Some(&[Texts])),
    (104, "NID", Some(&[U16, Groups])),
    (105, "L32", Some(&[U16, V4])),
    (106, "L64", Some(&[U16, Groups])),
    (107, "LP", Some(&[U16, Name])),
    (108, "EUI48", Some(&[Hyphened(6)])),
    (109, "EUI64", Some(&[Hyphened(8)])),
    (256, "URI", Some(&[U16, U16, Rest])),
    (257, "CAA", Some(&[U8, Tag, Rest])),
    (258, "AVC", Some(&[Texts])),
    (32769, "DLV", Some(&[U16, Algorithm, U8, Hex])),
];

/// Names of DNSSEC's algorithms (IANA).
pub(super) const ALGORITHMS: &[(u8, &str)] = &[
    (1, "RSAMD5"),
    (2, "DH"),
    (3, "DSA"),
    (5, "RSASHA1"),
    (6, "NSEC3DSA"),
    (7, "NSEC3RSASHA1"),
    (8, "RSASHA256"),
    (10, "RSASHA512"),
    (12, "ECCGOST"),
    (13, "ECDSAP256SHA256"),
    (14, "ECDSAP384SHA384"),
    (15, "ED25519"),
    (16, "ED448"),
    (252, "INDIRECT"),
    (253, "PRIVATEDNS"),
    (254, "PRIVATEOID"),
];

/// The number of a type by its mnemonic, or as `TYPE666` (RFC 3597, section 5).
pub(super) fn number(text: &[u8]) -> Option<u16> {
    let known = TYPES.iter();
    let mut known = known.filter(|(_, name, _)| name.as_bytes().eq_ignore_ascii_case(text));
    if let Some((number, ..)) = known.next() {
        return Some(*number);
    }
    let (word, digits) = text.split_at_checked(4)?;
    let is_number = word.eq_ignore_ascii_case(b"TYPE")
        && digits.iter().all(u8::is_ascii_digit)
        && !digits.is_empty();
    let digits = std::str::from_utf8(digits).ok().filter(|_| is_number)?;
    digits.parse().ok()
}

/// The mnemonic of a type, else `TYPE666`.
pub fn type_name(number: u16) -> String {
    let known = TYPES.iter().find(|(known, ..)| *known == number);
    known.map_or_else(
        || format!("TYPE{number}"),
        |(_, name, _)| (*name).to_owned(),
    )
}

/// What a type's data is composed of; `None`: it is opaque.
pub(super) fn fields(number: u16) -> Option<&'static [Field]> {
    TYPES.iter().find(|(known, ..)| *known == number)?.2
}

/// Types that stand in questions and messages only (RFC 6895, section 3.1).
pub(super) fn is_meta(number: u16) -> bool {
    number == 0 || number == rtype::OPT || (128..=255).contains(&number)
}

/// The parts of data as it stands on the wire, each with its place; `None` where it is not what its type asks for. The data of an
/// opaque type is one part of hexadecimal digits.
pub(super) fn parts(number: u16, data: &[u8]) -> Option<Vec<(Field, Range<usize>)>> {
    let Some(fields) = fields(number) else {
        return Some(vec![(Hex, 0..data.len())]);
    };
    let mut parts = Vec::with_capacity(fields.len());
    let mut at = 0;
    for field in fields {
        let rest = data.get(at..)?;
        let len = len(*field, rest)?;
        parts.push((*field, at..at + len));
        at += len;
    }
    (at == data.len()).then_some(parts)
}

/// How many octets of `data` a part takes.
fn len(field: Field, data: &[u8]) -> Option<usize> {
    let with_length = || Some(1 + usize::from(*data.first()?));
    let len = match field {
        U8 | Algorithm => 1,
        U16 | Type => 2,
        U32 | Seconds | Date | V4 => 4,
        V6 => 16,
        Groups => 8,
        Hyphened(count) => usize::from(count),
        Name => name_len(data)?,
        Text | Salt => with_length()?,
        Hash => with_length().filter(|len| *len > 1)?,
        Tag => {
            let len = with_length()?;
            let tag = data.get(1..len)?;
            let is_tag = !tag.is_empty() && tag.iter().all(u8::is_ascii_alphanumeric);
            is_tag.then_some(len)?
        }
        Texts => {
            let mut at = 0;
            while at < data.len() {
                at += 1 + usize::from(*data.get(at)?);
            }
            (at > 0).then_some(at)?
        }
        Types => {
            bitmap(data)?;
            data.len()
        }
        Params => {
            super::svcb::params(data)?;
            data.len()
        }
        Location => super::loc::is_whole(data).then_some(16)?,
        Rest | Hex | Base64 => data.len(),
    };
    (len <= data.len()).then_some(len)
}

/// How many octets the name at the beginning of `data` takes; `None` where there is none, or a pointer in it.
fn name_len(data: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let len = usize::from(*data.get(at)?);
        at += 1 + len;
        match len {
            0 => break,
            1..=63 => {}
            _ => return None,
        }
    }
    (at <= 255 && at <= data.len()).then_some(at)
}

/// The types of a bitmap, rising; `None` where it is none.
pub(super) fn bitmap(mut data: &[u8]) -> Option<Vec<u16>> {
    let mut types = Vec::new();
    let mut last = None;
    while let [window, len, rest @ ..] = data {
        let octets = rest.get(..usize::from(*len))?;
        if !(1..=32).contains(len) || last >= Some(*window) || octets.last() == Some(&0) {
            return None;
        }
        last = Some(*window);
        for (index, octet) in (0_u16..).zip(octets) {
            for bit in 0..8 {
                if octet & (0x80 >> bit) != 0 {
                    types.push(u16::from(*window) << 8 | (index * 8 + bit));
                }
            }
        }
        data = rest.get(usize::from(*len)..)?;
    }
    data.is_empty().then_some(types)
}

/// The data with the names in it in lower case, by which two records are one (RFC 4034, section 6.2).
pub(in crate::zone) fn canonical(number: u16, data: &[u8]) -> Vec<u8> {
    let mut canonical = data.to_vec();
    for (field, range) in parts(number, data).unwrap_or_default() {
        if field == Name
            && let Some(name) = canonical.get_mut(range)
        {
            // Length octets are at most 63 and so below `A`.
            name.make_ascii_lowercase();
        }
    }
    canonical
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_mnemonics_are_each_other() {
        for (of, name, _) in TYPES {
            assert_eq!(number(name.as_bytes()), Some(*of));
            assert_eq!(type_name(*of), *name);
            assert_eq!(number(format!("type{of}").as_bytes()), Some(*of));
        }
        assert_eq!(type_name(666), "TYPE666");
        for wrong in ["TYPE", "TYPE65536", "TYPE-1", "TYPE+1", "X", "", "TYPE1x"] {
            assert_eq!(number(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn bitmaps_are_read_strictly() {
        assert_eq!(bitmap(&[0, 1, 0x40]), Some(vec![1]));
        assert_eq!(bitmap(&[]), Some(vec![]));
        for wrong in [
            &[0][..],
            &[0, 0],
            &[0, 1],
            &[0, 1, 0],
            &[0, 33],
            &[1, 1, 1, 0, 1, 1],
            &[0, 1, 1, 0, 1, 1],
        ] {
            assert_eq!(bitmap(wrong), None, "{wrong:?}");
        }
    }
}
