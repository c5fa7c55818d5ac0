//! The guard of the API: who may ask.
//!
//! With a token, whoever bears it, in the header of HTTP or in that of Consul's clients. Without one, whoever reaches the listener, unless the request names the server by
//! something else than `localhost` or an address: a page on the web can make a browser connect here by pointing a name of
//! its own at 127.0.0.1 (DNS rebinding), but then the browser sends that name as the Host. Reading the answer of a request
//! to another origin is what browsers forbid by themselves, as long as no CORS header allows it; none is ever sent. Sending
//! one that changes something they do not forbid, but they say who sends it: the Origin, which then has to be this server.

use std::hint;
use std::net::{IpAddr, Ipv6Addr};

use axum::http::{HeaderMap, HeaderValue, Method, header};

/// Who may ask.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Guard {
    token: Option<Box<[u8]>>,
}

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It does not bear the token.
    Token,
    /// It names a host that is not this one.
    Host,
    /// It would change something, and a page from elsewhere sends it.
    Origin,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard")
            .field("wants_token", &self.wants_token())
            .finish()
    }
}

impl Guard {
    pub(super) fn new(token: Option<&str>) -> Self {
        Self {
            token: token.map(|token| token.as_bytes().into()),
        }
    }

    pub(super) fn wants_token(&self) -> bool {
        self.token.is_some()
    }

    pub(super) fn check(&self, method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
        match &self.token {
            Some(token) => match bearer(headers).or_else(|| consul(headers)) {
                Some(borne) if !token.is_empty() && same(borne, token) => Ok(()),
                _ => Err(Refusal::Token),
            },
            None => match sole(headers, header::HOST) {
                Some(host) if !host.to_str().is_ok_and(is_local) => Err(Refusal::Host),
                Some(host) if method.is_safe() || is_from(headers, host) => Ok(()),
                Some(_) => Err(Refusal::Origin),
                None => Err(Refusal::Host),
            },
        }
    }
}

/// No page sends the request, or one of this server does. Every browser says so of a request with another method than GET
/// and HEAD.
fn is_from(headers: &HeaderMap, host: &HeaderValue) -> bool {
    let is_own = |origin: &HeaderValue| {
        let origin = origin.as_bytes();
        let rest = origin.strip_prefix(b"http://");
        let rest = rest.or_else(|| origin.strip_prefix(b"https://"));
        rest.is_some_and(|rest| rest.eq_ignore_ascii_case(host.as_bytes()))
    };
    let site = |site: &HeaderValue| matches!(site.as_bytes(), b"same-origin" | b"none");
    headers.get_all(header::ORIGIN).iter().all(is_own)
        && headers.get_all("sec-fetch-site").iter().all(site)
}

/// The token of `authorization: Bearer <token>`; the scheme's case does not matter (RFC 9110, section 11.1).
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = sole(headers, header::AUTHORIZATION)?.as_bytes();
    let (scheme, rest) = value.split_at_checked("Bearer ".len())?;
    scheme
        .eq_ignore_ascii_case(b"Bearer ")
        .then_some(rest.trim_ascii_start())
}

/// The token of `x-consul-token: <token>`, which is all that most clients of Consul can send. Where an `authorization`
/// stands as well, that decides.
fn consul(headers: &HeaderMap) -> Option<&[u8]> {
    if headers.contains_key(header::AUTHORIZATION) {
        return None;
    }
    let value = sole(headers, header::HeaderName::from_static("x-consul-token"))?;
    Some(value.as_bytes())
}

/// A header that stands once; of two, nobody knows which one somebody else has checked.
fn sole(headers: &HeaderMap, name: header::HeaderName) -> Option<&HeaderValue> {
    let mut all = headers.get_all(name).iter();
    let first = all.next();
    all.next().is_none().then_some(first).flatten()
}

/// Compares in a time that depends on the lengths alone: how long it takes to say no tells nothing of the token's octets.
fn same(borne: &[u8], token: &[u8]) -> bool {
    let mut differences = u8::from(borne.len() != token.len());
    for (one, other) in borne.iter().zip(token) {
        differences |= hint::black_box(one ^ other);
    }
    hint::black_box(differences) == 0
}

/// `localhost`, or any address, with or without a port. An address cannot be pointed elsewhere.
fn is_local(host: &str) -> bool {
    if let Some(rest) = host.strip_prefix('[') {
        let end = rest.split_once(']');
        return end.is_some_and(|(address, port)| {
            address.parse::<Ipv6Addr>().is_ok() && (port.is_empty() || is_port(port))
        });
    }
    let name = match host.split_once(':') {
        Some((name, port)) if port.bytes().all(|octet| octet.is_ascii_digit()) => name,
        Some(_) => return false,
        None => host,
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

fn is_port(text: &str) -> bool {
    let digits = text.strip_prefix(':');
    digits.is_some_and(|digits| digits.bytes().all(|octet| octet.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(token: Option<&str>, headers: &[(&'static str, &str)], expected: Result<(), Refusal>) {
        for method in [Method::GET, Method::POST] {
            check_as(&method, token, headers, expected);
        }
    }

    fn check_as(
        method: &Method,
        token: Option<&str>,
        headers: &[(&'static str, &str)],
        expected: Result<(), Refusal>,
    ) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let got = Guard::new(token).check(method, &map);
        assert_eq!(got, expected, "{method} {token:?} {headers:?}");
    }

    #[test]
    fn a_page_from_elsewhere_changes_nothing() {
        let host = ("host", "127.0.0.1:9154");
        for own in [
            ("origin", "http://127.0.0.1:9154"),
            ("origin", "https://127.0.0.1:9154"),
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-site", "none"),
        ] {
            check(None, &[host, own], Ok(()));
        }
        for other in [
            ("origin", "https://evil.example"),
            ("origin", "http://127.0.0.1:80"),
            ("origin", "http://127.0.0.1:9154.evil.example"),
            ("origin", "127.0.0.1:9154"),
            ("origin", "null"),
            ("origin", ""),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            check_as(&Method::POST, None, &[host, other], Err(Refusal::Origin));
            // The answer it would not be shown.
            check_as(&Method::GET, None, &[host, other], Ok(()));
        }
        let twice = [
            host,
            ("origin", "http://127.0.0.1:9154"),
            ("origin", "https://evil.example"),
        ];
        check_as(&Method::POST, None, &twice, Err(Refusal::Origin));
    }

    #[test]
    fn without_a_token_only_localhost_and_addresses_are_hosts() {
        for host in [
            "localhost",
            "LocalHost:9154",
            "127.0.0.1",
            "127.0.0.1:9154",
            "10.1.2.3:80",
            "[::1]",
            "[::1]:9154",
        ] {
            check(None, &[("host", host)], Ok(()));
        }
        for host in [
            "evil.example",
            "evil.example:9154",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "localhost:80@evil",
            "[::1].evil.example",
            "[::1]:x",
            "::1",
            "[::1",
            "",
        ] {
            check(None, &[("host", host)], Err(Refusal::Host));
        }
        check(None, &[], Err(Refusal::Host));
        let twice = [("host", "localhost"), ("host", "evil.example")];
        check(None, &twice, Err(Refusal::Host));
    }

    #[test]
    fn with_a_token_only_its_bearer_is_answered() {
        for header in ["Bearer s3cret", "bearer s3cret", "BEARER  s3cret"] {
            check(Some("s3cret"), &[("authorization", header)], Ok(()));
        }
        for header in [
            "Bearer s3cre",
            "Bearer s3cret2",
            "Bearer",
            "Basic s3cret",
            "s3cret",
        ] {
            let headers = [("host", "localhost"), ("authorization", header)];
            check(Some("s3cret"), &headers, Err(Refusal::Token));
        }
        check(Some("s3cret"), &[], Err(Refusal::Token));
        let consul = |token| ("x-consul-token", token);
        check(Some("s3cret"), &[consul("s3cret")], Ok(()));
        for headers in [
            &[consul("s3cre")][..],
            &[consul("s3cret"), consul("s3cret")],
            &[consul("s3cret"), ("authorization", "Bearer x")],
        ] {
            check(Some("s3cret"), headers, Err(Refusal::Token));
        }
        let twice = [
            ("authorization", "Bearer x"),
            ("authorization", "Bearer s3cret"),
        ];
        check(Some("s3cret"), &twice, Err(Refusal::Token));
    }

    #[test]
    fn an_empty_token_is_borne_by_nobody() {
        check(
            Some(""),
            &[("authorization", "Bearer ")],
            Err(Refusal::Token),
        );
        check(Some(""), &[], Err(Refusal::Token));
    }
}
