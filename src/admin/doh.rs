//! `/resolve`: the same answer in the form in which public resolvers give it as JSON, for clients that were written for them.
//!
//! The form is nobody's standard. `name`, `type` (a number or a mnemonic), `cd`, `do`, `edns_client_subnet` and the fields
//! below are what Google's and Cloudflare's services have in common with it; a comment tells the extended errors.

use std::net::{IpAddr, Ipv4Addr};

use hickory_proto::op::Message;
use hickory_proto::rr::Record;
use schemars::JsonSchema;
use serde::Serialize;

use super::params::{BadParam, Given};
use super::resolve::{self, BadQuestion, Question, Row};

/// What is read. `ct` and `random_padding` say nothing that matters here.
pub(super) const PARAMS: [&str; 7] = [
    "name",
    "type",
    "cd",
    "do",
    "edns_client_subnet",
    "ct",
    "random_padding",
];

/// Why there is nothing to ask.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadRequest {
    #[error(transparent)]
    Param(#[from] BadParam),
    #[error(transparent)]
    Question(#[from] BadQuestion),
}

/// The answer.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
#[schemars(rename = "DnsJson")]
pub(super) struct DnsJson {
    /// The response code.
    status: u16,
    #[serde(rename = "TC")]
    truncated: bool,
    #[serde(rename = "RD")]
    recursion_desired: bool,
    #[serde(rename = "RA")]
    recursion_available: bool,
    #[serde(rename = "AD")]
    authentic_data: bool,
    #[serde(rename = "CD")]
    checking_disabled: bool,
    question: Vec<Asked>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    answer: Vec<Answer>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    authority: Vec<Answer>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    additional: Vec<Answer>,
    /// Extended errors (RFC 8914).
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DnsJsonQuestion")]
struct Asked {
    name: String,
    r#type: u16,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DnsJsonRecord")]
struct Answer {
    name: String,
    r#type: u16,
    #[serde(rename = "TTL")]
    ttl: u32,
    data: String,
}

/// Type A, unless the request says otherwise. Who asks is a client on this host, or of the subnet that is given.
pub(super) fn question(given: &Given) -> Result<Question, BadRequest> {
    let subnet = given.one("edns_client_subnet")?;
    let client = match subnet.map(|text| (text, subnet_address(text))) {
        None => Ipv4Addr::LOCALHOST.into(),
        Some((_, Some(address))) => address,
        Some((text, None)) => {
            return Err(BadParam::Value {
                name: "edns_client_subnet",
                wanted: "an address, or one with `/` and a length",
                value: text.to_owned(),
            }
            .into());
        }
    };
    let flags = resolve::Flags {
        checking_disabled: given.flag("cd")?,
        dnssec: given.flag("do")?,
    };
    let (name, rtype) = (given.one("name")?, given.one("type")?);
    let rtype = rtype.unwrap_or("A");
    let rtype = match rtype.parse() {
        Ok(number) => number,
        Err(_) => resolve::read_type(rtype)?,
    };
    Ok(Question::of(name.unwrap_or_default(), rtype, client)?.with(flags))
}

fn subnet_address(text: &str) -> Option<IpAddr> {
    let Some((address, length)) = text.split_once('/') else {
        return text.parse().ok();
    };
    let address: IpAddr = address.parse().ok()?;
    let length: u8 = length.parse().ok()?;
    let bits = match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    };
    (length <= bits).then_some(address)
}

impl DnsJson {
    pub(super) fn read(question: &Question, message: &Message) -> Self {
        let rows = |records: &[Record]| records.iter().map(Answer::read).collect();
        let header = &message.metadata;
        let extended = resolve::extended(message);
        let comment = extended.iter().map(ToString::to_string);
        let comment: Vec<String> = comment.collect();
        Self {
            status: header.response_code.into(),
            truncated: header.truncation,
            recursion_desired: header.recursion_desired,
            recursion_available: header.recursion_available,
            authentic_data: header.authentic_data,
            checking_disabled: header.checking_disabled,
            question: vec![Asked {
                name: question.name().to_string(),
                r#type: question.rtype(),
            }],
            answer: rows(&message.answers),
            authority: rows(&message.authorities),
            additional: rows(&message.additionals),
            comment: (!comment.is_empty()).then(|| comment.join("; ")),
        }
    }
}

impl Answer {
    fn read(record: &Record) -> Self {
        let Row {
            name, ttl, data, ..
        } = Row::read(record);
        Self {
            name,
            r#type: record.record_type().into(),
            ttl,
            data,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subnet_is_an_address_with_a_length_that_it_can_have() {
        for (text, expected) in [
            ("10.1.2.3", Some("10.1.2.3")),
            ("10.1.2.0/24", Some("10.1.2.0")),
            ("0.0.0.0/0", Some("0.0.0.0")),
            ("2001:db8::/56", Some("2001:db8::")),
            ("10.1.2.0/33", None),
            ("10.1.2.0/", None),
            ("10.1.2/24", None),
            ("me", None),
        ] {
            let expected = expected.map(|text| text.parse().unwrap());
            assert_eq!(subnet_address(text), expected, "{text}");
        }
    }
}
