//! Requests to the API server, and what comes back: pages of lists, lines of watches, and failures with all that is told
//! of them.
//!
//! Nothing here retries, and every wait has an end. Bodies are read as they come, object by object: a page is never held
//! as anything larger than its text. How bodies are written is the business of `encoding`.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body::Body as _;
use kube::client::Body;
use kube::core::Request;
use kube::core::params::{ListParams, WatchParams};
use thiserror::Error;
use tokio::time;

use super::access::Clients;
use super::encoding::{Encoding, Page, acceptable};
use super::pace::Pace;
use super::status::Status;
use crate::objects::{Kind, Tree};

/// Objects a page, as most clients have it.
const PAGE_LEN: u32 = 500;
/// A page of the largest objects there are, 1.5 MiB each in etcd, comes close; more is no list.
const PAGE_MAX: usize = 1 << 30;
/// A line of a watch holds one object: 1.5 MiB in etcd, several times that where JSON escapes it.
const LINE_MAX: usize = 32 << 20;
/// How much of what an error says is kept.
const SAYS_MAX: usize = 300;

/// Why a request came to nothing.
#[derive(Debug, Error)]
pub(super) enum Failure {
    /// The API server refused.
    #[error("status {}: {says}", code.as_u16())]
    Refused {
        code: StatusCode,
        says: String,
        retry_after: Option<Duration>,
    },
    /// It could not be reached, or the connection broke.
    #[error("{0}")]
    Broken(String),
    /// It did not answer in time.
    #[error("no answer within {} s", .0.as_secs_f32())]
    Late(Duration),
    /// It answered with what cannot be read.
    #[error("an answer that cannot be read: {0}")]
    Unreadable(String),
}

impl Failure {
    pub(super) fn is(&self, status: StatusCode) -> bool {
        self.refusal() == Some(status)
    }

    /// Nobody answered.
    pub(super) fn is_silence(&self) -> bool {
        matches!(self, Self::Broken(_) | Self::Late(_))
    }

    /// The status of a refusal.
    pub(super) fn refusal(&self) -> Option<StatusCode> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Another client may fare better: with other credentials, at another address, over another connection.
    pub(super) fn may_be_of_client(&self) -> bool {
        match self {
            Self::Refused { code, .. } => *code == StatusCode::UNAUTHORIZED,
            _ => self.is_silence(),
        }
    }
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        // The names of the client's own layers help nobody.
        let inner: &dyn std::error::Error = match &error {
            kube::Error::Service(inner) => &**inner,
            kube::Error::HyperError(inner) => inner,
            kube::Error::Auth(inner) => inner,
            _ => &error,
        };
        Self::Broken(chain(inner))
    }
}

/// An error and its causes in a line, each said once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let inner = error.to_string();
        if !text.contains(&inner) {
            text.push_str(": ");
            text.push_str(&inner);
        }
        cause = error.source();
    }
    cut(&text)
}

fn cut(text: &str) -> String {
    let text = text.trim();
    match text.char_indices().nth(SAYS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Asks for one kind.
pub(super) struct Api<'a> {
    pub(super) kind: Kind,
    pub(super) clients: &'a Clients,
    pub(super) pace: &'a Pace,
    pub(super) status: &'a Status,
}

impl<'a> Api<'a> {
    fn request(&self) -> Request {
        let (group, version, plural) = (self.kind.group(), self.kind.version(), self.kind.plural());
        Request::new(match group {
            "" => format!("/api/{version}/{plural}"),
            _ => format!("/apis/{group}/{version}/{plural}"),
        })
    }

    /// Reads a page, and hands out its items one by one. `next` is what the page before said; empty for the first.
    pub(super) async fn page(&self, next: &str, each: impl FnMut(&Tree)) -> Result<Page, Failure> {
        self.list(next, PAGE_LEN, self.pace.page, each).await
    }

    /// The resource version that a list would have; costs the server as little as a list can.
    pub(super) async fn version(&self) -> Result<String, Failure> {
        let page = self.list("", 1, self.pace.head, |_| {}).await?;
        Ok(page.version)
    }

    async fn list(
        &self,
        next: &str,
        limit: u32,
        patience: Duration,
        each: impl FnMut(&Tree),
    ) -> Result<Page, Failure> {
        let params = ListParams {
            limit: Some(limit),
            continue_token: (!next.is_empty()).then(|| next.to_owned()),
            ..ListParams::default()
        };
        let request = self.request().list(&params);
        let text = time::timeout(patience, async {
            let response = self.send(request).await?;
            let encoding = Encoding::of(response.headers());
            let text = whole(response.into_body(), PAGE_MAX).await?;
            Ok::<_, Failure>((encoding, text))
        });
        let (encoding, text) = match text.await {
            Ok(text) => text?,
            Err(_) => return Err(self.late(patience).await),
        };
        let page = encoding.page(self.kind, &text, each);
        let page = page.map_err(Failure::Unreadable)?;
        self.status.of(self.kind).hear();
        Ok(page)
    }

    /// Begins to watch from a resource version.
    pub(super) async fn watch(&self, version: &str) -> Result<Lines, Failure> {
        let params = WatchParams {
            timeout: u32::try_from(self.pace.watch.as_secs()).ok(),
            bookmarks: true,
            ..WatchParams::default()
        };
        let request = self.request().watch(&params, version);
        let response = time::timeout(self.pace.head, self.send(request)).await;
        let response = match response {
            Ok(response) => response?,
            Err(_) => return Err(self.late(self.pace.head).await),
        };
        self.status.of(self.kind).hear();
        Ok(Lines {
            kind: self.kind,
            encoding: Encoding::of(response.headers()),
            body: response.into_body(),
            text: Vec::new(),
            seen: 0,
        })
    }

    /// Nothing came in time: perhaps another client finds a connection, or an address, that works.
    async fn late(&self, patience: Duration) -> Failure {
        let (_, number) = self.clients.get();
        self.clients.renew(number).await;
        Failure::Late(patience)
    }

    async fn send(
        &self,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<Response<Body>, Failure> {
        let mut request = request.map_err(|error| Failure::Unreadable(chain(&error)))?;
        let accept = HeaderValue::from_static(acceptable(self.kind));
        request.headers_mut().insert(header::ACCEPT, accept);
        let (client, number) = self.clients.get();
        let sent = client.send(request.map(Body::from)).await;
        let sent = match sent {
            Ok(response) => refused(response).await,
            Err(error) => Err(error.into()),
        };
        match &sent {
            Ok(response) => {
                let date = response.headers().get(header::DATE);
                let date = date.and_then(|date| date.to_str().ok());
                self.status.hear_date(date.unwrap_or_default());
            }
            Err(failure) if failure.may_be_of_client() => self.clients.renew(number).await,
            Err(_) => {}
        }
        sent
    }
}

/// The response, unless it is a refusal.
async fn refused(response: Response<Body>) -> Result<Response<Body>, Failure> {
    let code = response.status();
    if code.is_success() {
        return Ok(response);
    }
    let retry_after = retry_after(response.headers());
    let encoding = Encoding::of(response.headers());
    let text = whole(response.into_body(), 64 << 10)
        .await
        .unwrap_or_default();
    let told = encoding.status(&text);
    let message = told.as_ref().and_then(|told| told.at(&["message"]).text());
    let text = String::from_utf8_lossy(&text);
    Err(Failure::Refused {
        code,
        says: cut(message.unwrap_or(&text)),
        retry_after,
    })
}

/// Seconds; nobody sends dates here.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    Some(Duration::from_secs(value.trim().parse().ok()?))
}

/// What comes next of a body; `None` at its end.
async fn frame(body: &mut Body) -> Option<Result<Vec<u8>, Failure>> {
    loop {
        let frame = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await?;
        match frame.map(http_body::Frame::into_data) {
            Ok(Ok(data)) => return Some(Ok(data.to_vec())),
            // Trailers say nothing.
            Ok(Err(_)) => {}
            Err(error) => return Some(Err(error.into())),
        }
    }
}

async fn whole(mut body: Body, max: usize) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    while let Some(data) = frame(&mut body).await {
        text.extend(data?);
        if text.len() > max {
            return Err(Failure::Unreadable(format!("more than {max} octets")));
        }
    }
    Ok(text)
}

/// The lines of a watch, as they come: an event each.
pub(super) struct Lines {
    kind: Kind,
    encoding: Encoding,
    body: Body,
    /// What has come of a line that is not complete, and how much of it has been looked at.
    text: Vec<u8>,
    seen: usize,
}

impl Lines {
    /// Waits for more, and hands out the events it completes, or why one is none. `None`: the server has ended the watch.
    pub(super) async fn more(
        &mut self,
        mut each: impl FnMut(Result<Tree, String>),
    ) -> Option<Result<(), Failure>> {
        let data = match frame(&mut self.body).await? {
            Ok(data) => data,
            Err(failure) => return Some(Err(failure)),
        };
        self.take(&data, &mut each);
        if self.text.len() > LINE_MAX {
            let says = format!("a line of more than {LINE_MAX} octets");
            return Some(Err(Failure::Unreadable(says)));
        }
        Some(Ok(()))
    }

    /// As [`Lines::more`], where something has come already; `None` also where nothing has.
    pub(super) async fn more_now(
        &mut self,
        each: impl FnMut(Result<Tree, String>),
    ) -> Option<Result<(), Failure>> {
        let mut more = std::pin::pin!(self.more(each));
        // A frame that has been taken is handed out at once: nothing waits between the two.
        poll_fn(|cx| match more.as_mut().poll(cx) {
            Poll::Ready(more) => Poll::Ready(more),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    fn take(&mut self, data: &[u8], each: &mut impl FnMut(Result<Tree, String>)) {
        self.text.extend_from_slice(data);
        let mut begin = 0;
        while let Some((event, len)) = self.encoding.first(&self.text[begin..], self.seen) {
            if !event.is_empty() {
                each(self.encoding.event(self.kind, event));
            }
            begin += len;
            self.seen = 0;
        }
        self.text.drain(..begin);
        self.seen = self.text.len();
        // One huge object does not keep its room for ever.
        if self.text.is_empty() && self.text.capacity() > 1 << 20 {
            self.text = Vec::new();
        }
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").finish_non_exhaustive()
    }
}
