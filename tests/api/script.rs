//! What is done wrong, and to whom.

use std::time::Duration;

use shiftdns::objects::Kind;

/// What a request wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    List,
    Watch,
    Get,
    /// `POST`, `PUT`, `PATCH`, `DELETE`.
    Write,
    /// Anything else: versions, discovery.
    Other,
}

/// Which responses are broken.
#[derive(Clone, Copy, Debug, Default)]
pub struct On {
    verb: Option<Verb>,
    kind: Option<Kind>,
    page: Option<usize>,
}

impl On {
    pub fn any() -> Self {
        Self::default()
    }

    pub fn list(kind: Kind) -> Self {
        Self::lists().of(kind)
    }

    pub fn lists() -> Self {
        Self {
            verb: Some(Verb::List),
            ..Self::default()
        }
    }

    pub fn watch(kind: Kind) -> Self {
        Self::watches().of(kind)
    }

    pub fn watches() -> Self {
        Self {
            verb: Some(Verb::Watch),
            ..Self::default()
        }
    }

    pub fn writes() -> Self {
        Self {
            verb: Some(Verb::Write),
            ..Self::default()
        }
    }

    pub fn of(self, kind: Kind) -> Self {
        Self {
            kind: Some(kind),
            ..self
        }
    }

    /// Only the n-th page of a list, the first being 0.
    pub fn page(self, page: usize) -> Self {
        Self {
            page: Some(page),
            ..self
        }
    }

    fn matches(&self, verb: Verb, kind: Option<Kind>, page: usize) -> bool {
        self.verb.is_none_or(|of| of == verb)
            && self.kind.is_none_or(|of| Some(of) == kind)
            && self.page.is_none_or(|of| of == page)
    }
}

/// What is wrong with a response.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This status with a `Status` object, and these headers.
    Status(u16, &'static str, Vec<(&'static str, String)>),
    /// 200 and a body that is no JSON, as a proxy sends its log-in page.
    Body(String),
    /// The request is read; nothing comes.
    Hang,
    /// The headers, and so many octets of the body; then nothing.
    Stall(usize),
    /// The headers, and so many octets of the body; then the connection is cut.
    Cut(usize),
    /// So many octets of the body at a time, with a pause in between.
    Trickle(usize, Duration),
    /// A list that has only its first objects, and is well otherwise.
    Keep(usize),
    /// A list of what was stored at an older version, as of a replica that lags.
    Past(u64),
    /// A watch that says only this line and ends.
    Line(String),
}

impl Fault {
    /// A status alone.
    pub fn status(code: u16, reason: &'static str) -> Self {
        Self::Status(code, reason, Vec::new())
    }
}

/// 410 as the status of a response, which the real server sends for a `continue` token only.
pub fn gone() -> Fault {
    Fault::status(410, "Expired")
}

/// 410 in the stream of a watch.
pub const GONE_LINE: &str = r#"{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"too old resource version: 1 (2)","reason":"Expired","code":410}}"#;

#[derive(Debug, Default)]
pub(super) struct Script(Vec<(On, Fault, usize)>);

impl Script {
    pub(super) fn push(&mut self, on: On, fault: Fault, times: usize) {
        self.0.push((on, fault, times));
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The first that matches, used up.
    pub(super) fn take(&mut self, verb: Verb, kind: Option<Kind>, page: usize) -> Option<Fault> {
        let mut lines = self.0.iter();
        let at = lines.position(|(on, _, _)| on.matches(verb, kind, page))?;
        let (_, fault, times) = &mut self.0[at];
        let fault = fault.clone();
        *times -= 1;
        if *times == 0 {
            self.0.remove(at);
        }
        Some(fault)
    }
}
