//! The door: listeners that say what is wrong with their address, and connections that cannot be held for long.
//!
//! A connection has one of [`PLACES`] and ends after [`LIFETIME`], whatever is said on it; the rest waits in the kernel's
//! queue. So a client that sends its request octet by octet, or never takes its answer, has a place for that long and no
//! longer. Each listener has places of its own: who floods the API keeps no probe out. A request that waits by right, for
//! something to change, asks for a [`Stay`]: its connection gives its place back, and has one of those for waiting.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};

use crate::server::{self, BindError, Inherited};

/// Connections of one listener at a time. What one costs is mostly hyper's buffer for headers, at most some 400 KiB: 40 MiB
/// for all of them.
const PLACES: usize = 100;
/// From accept to close: 10 seconds for an answer ([`ANSWER`]), and as much for a slow line.
const LIFETIME: Duration = Duration::from_secs(20);
/// From a request's headers to its answer.
pub(super) const ANSWER: Duration = Duration::from_secs(10);

/// A listener with places.
#[derive(Debug)]
pub(super) struct Door {
    listener: TcpListener,
    address: SocketAddr,
    places: Arc<Semaphore>,
    lifetime: Duration,
}

impl Door {
    pub(super) fn open(
        asked: SocketAddr,
        inherited: &mut Inherited,
        name: &'static str,
    ) -> Result<Self, BindError> {
        let listener = server::listen(asked, inherited, name)?;
        Ok(Self {
            address: listener.local_addr().unwrap_or(asked),
            listener,
            places: Arc::new(Semaphore::new(PLACES)),
            lifetime: LIFETIME,
        })
    }

    /// The listener once more, for another process.
    pub(super) fn share(&self) -> io::Result<OwnedFd> {
        self.listener.as_fd().try_clone_to_owned()
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Listener for Door {
    type Io = Visit;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Visit, SocketAddr) {
        loop {
            let place = Arc::clone(&self.places).acquire_owned().await;
            // axum's own accept pauses when there are no file descriptors.
            let (stream, peer) = Listener::accept(&mut self.listener).await;
            if let Ok(place) = place {
                let end = Instant::now() + self.lifetime;
                let visit = Visit {
                    stream,
                    end: Box::pin(tokio::time::sleep_until(end)),
                    stay: Stay(Arc::new(Mutex::new((end, place)))),
                };
                return (visit, peer);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// A connection that ends.
#[derive(Debug)]
pub(super) struct Visit {
    stream: TcpStream,
    end: Pin<Box<Sleep>>,
    stay: Stay,
}

/// How long a connection may last, and its place; held by the connection and by the request that is answered on it.
#[derive(Clone, Debug)]
pub(super) struct Stay(Arc<Mutex<(Instant, OwnedSemaphorePermit)>>);

impl Stay {
    /// The connection lasts for `wait` longer than it would have, at another place: its own is free.
    pub(super) fn prolong(&self, wait: Duration, place: OwnedSemaphorePermit) {
        let mut terms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let end = terms.0 + wait;
        *terms = (end, place);
    }

    /// On a connection that there is not.
    #[cfg(test)]
    pub(super) fn nowhere() -> Self {
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned();
        Self(Arc::new(Mutex::new((Instant::now(), place.unwrap()))))
    }

    fn end(&self) -> Instant {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Connected<IncomingStream<'_, Door>> for Stay {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        stream.io().stay.clone()
    }
}

impl Visit {
    /// The stream, while there is time. The clock is looked at first: a client that always has another octet ready would
    /// otherwise never be asked to go.
    fn stream(&mut self, cx: &mut Context<'_>) -> io::Result<Pin<&mut TcpStream>> {
        while self.end.is_elapsed() || self.end.as_mut().poll(cx).is_ready() {
            let end = self.stay.end();
            if end <= self.end.deadline() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.end.as_mut().reset(end);
        }
        Ok(Pin::new(&mut self.stream))
    }
}

impl AsyncRead for Visit {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.get_mut().stream(cx)?.poll_read(cx, buffer)
    }
}

impl AsyncWrite for Visit {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().stream(cx)?.poll_write(cx, octets)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().stream(cx)?.poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stream(cx)?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// What every answer says: one request a connection, so that a place is free again as soon as it is answered; and the type
/// is the type that is written, not what a browser makes of the body.
pub(super) async fn sign(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::extract::ConnectInfo;
    use axum::middleware;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn whoever_holds_a_place_goes_and_the_next_one_is_answered() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut door = Door::open(any, &mut Inherited::default(), "http").unwrap();
        door.places = Arc::new(Semaphore::new(1));
        door.lifetime = Duration::from_millis(50);
        let address = door.address();
        let router = Router::new().route("/", get(|| async { "ok" }));
        let router = router.layer(middleware::map_response(sign));
        tokio::spawn(async move { axum::serve(door, router).await });

        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(b"GET / HT").await.unwrap();
        let mut quick = TcpStream::connect(address).await.unwrap();
        quick
            .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        quick.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("ok"));

        // The slow one got nothing but the end; its half request may make that a reset.
        let mut rest = Vec::new();
        let _end = slow.read_to_end(&mut rest).await;
        assert_eq!(rest, Vec::<u8>::new());
    }

    #[tokio::test]
    async fn who_waits_by_right_gives_the_place_back_and_outlives_the_rest() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut door = Door::open(any, &mut Inherited::default(), "api").unwrap();
        door.places = Arc::new(Semaphore::new(1));
        door.lifetime = Duration::from_millis(50);
        let address = door.address();
        let waiting = Arc::new(Semaphore::new(1));
        let (free, go) = (Arc::clone(&waiting), Arc::new(tokio::sync::Notify::new()));
        let gone = Arc::clone(&go);
        let wait = move |ConnectInfo(stay): ConnectInfo<Stay>| async move {
            let place = free.try_acquire_owned().unwrap();
            stay.prolong(Duration::from_secs(3600), place);
            // Longer than any connection that has not asked.
            tokio::time::sleep(Duration::from_millis(60)).await;
            gone.notified().await;
            "waited"
        };
        let router = Router::new()
            .route("/", get(|| async { "ok" }))
            .route("/wait", get(wait));
        let router = router.layer(middleware::map_response(sign));
        let service = router.into_make_service_with_connect_info::<Stay>();
        tokio::spawn(async move { axum::serve(door, service).await });

        let ask = async |path: &str| {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            stream
        };
        let read = async |mut stream: TcpStream| {
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        };
        let waits = ask("/wait").await;
        assert!(read(ask("/").await).await.ends_with("ok"));
        assert_eq!(waiting.available_permits(), 0);
        go.notify_one();
        assert!(read(waits).await.ends_with("waited"));
    }
}
