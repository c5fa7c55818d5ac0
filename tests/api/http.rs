//! HTTP/1.1 and TLS by hand, so that what is sent can be wrong at any octet.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{self, Message};

use super::reply::{Manner, Reply, Request, reply};
use super::{Command, Shared};

/// A certificate for 127.0.0.1, its key, and who to trust for it.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    authority: String,
}

impl Default for Tls {
    fn default() -> Self {
        Self::new()
    }
}

impl Tls {
    /// Another one each time.
    pub fn new() -> Self {
        let names = vec!["127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
        let mut config = ServerConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .expect("a key that fits");
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            authority: made.cert.pem(),
        }
    }

    /// Who to trust, as PEM.
    pub fn write_authority(&self, path: &Path) {
        std::fs::write(path, &self.authority).expect("a file");
    }
}

/// A port that stays ours while nobody listens on it.
#[derive(Debug)]
pub(super) struct Port {
    address: SocketAddr,
    _keeps: Socket,
}

impl Port {
    pub(super) fn take(address: SocketAddr) -> (Self, SocketAddr) {
        let keeps = bound(address).expect("a port");
        let taken = keeps.local_addr().expect("bound");
        let address = taken.as_socket().expect("an IP address");
        let port = Self {
            address,
            _keeps: keeps,
        };
        (port, address)
    }

    fn listen(&self) -> io::Result<TcpListener> {
        let socket = bound(self.address)?;
        socket.listen(1024)?;
        TcpListener::from_std(socket.into())
    }
}

fn bound(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // Two sockets may have a port as long as one listens at the most.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Serves until nobody commands any more.
pub(super) fn run(
    port: &Port,
    shared: &Arc<Shared>,
    mut commands: mpsc::UnboundedReceiver<Command>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let (mut listener, mut tls): (_, Option<Tls>) = (None, None);
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    None => return,
                    Some(Command::Kill(deaf, done)) => {
                        if deaf {
                            listener = None;
                        }
                        connections.shutdown().await;
                        shared.state.lock().expect("no panic").watches.clear();
                        let _ = done.send(());
                    }
                    Some(Command::Listen(with, done)) => {
                        tls = with;
                        listener = Some(port.listen().expect("the port is ours"));
                        let _ = done.send(());
                    }
                },
                Some(accepted) = accept(listener.as_ref()) => {
                    let Ok((stream, _)) = accepted else { continue };
                    let _ = stream.set_nodelay(true);
                    let id = {
                        let mut state = shared.state.lock().expect("no panic");
                        state.next_connection += 1;
                        state.next_connection - 1
                    };
                    let (shared, tls) = (Arc::clone(shared), tls.clone());
                    connections.spawn(async move {
                        match tls {
                            None => speak(stream, id, &shared).await,
                            Some(tls) => {
                                // Who does not trust us goes away.
                                if let Ok(stream) = tls.acceptor.accept(stream).await {
                                    speak(stream, id, &shared).await;
                                }
                            }
                        }
                    });
                }
                Some(ended) = connections.join_next() => ended.expect("no connection panics"),
            }
        }
    });
}

async fn accept(
    listener: Option<&TcpListener>,
) -> Option<io::Result<(tokio::net::TcpStream, SocketAddr)>> {
    match listener {
        Some(listener) => Some(listener.accept().await),
        None => std::future::pending().await,
    }
}

/// One connection, until either side ends it; one that has fallen silent stays open.
async fn speak<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, id: u64, shared: &Shared) {
    let mut below = shared.silent_below.subscribe();
    let silent = {
        let mut conversation = pin!(converse(&mut stream, id, shared));
        tokio::select! {
            biased;
            _ = below.wait_for(|below| id < *below) => true,
            _ = &mut conversation => false,
        }
    };
    shared
        .state
        .lock()
        .expect("no panic")
        .watches
        .retain(|(connection, _)| *connection != id);
    if silent {
        // What comes in is not even read.
        std::future::pending::<()>().await;
    }
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    id: u64,
    shared: &Shared,
) -> io::Result<()> {
    let mut buffer = Vec::new();
    while let Some(request) = read(stream, &mut buffer).await? {
        let reply = reply(&mut shared.state.lock().expect("no panic"), id, &request);
        // A write is news.
        if request.method != "GET" {
            shared.ring();
        }
        match reply {
            Reply::Whole {
                code,
                headers,
                body,
                manner,
            } => {
                let mut head = format!(
                    "HTTP/1.1 {code} X\r\ndate: {}\r\ncontent-length: {}\r\n",
                    date(),
                    body.len()
                );
                for (name, value) in headers {
                    head += &format!("{name}: {value}\r\n");
                }
                stream.write_all((head + "\r\n").as_bytes()).await?;
                if !send(stream, &body, manner).await? {
                    return Ok(());
                }
            }
            Reply::Lines(lines, manner) => {
                head_of_watch(stream).await?;
                if !lines.is_empty() {
                    chunk(stream, &lines).await?;
                }
                if !send(stream, b"", manner).await? {
                    return Ok(());
                }
                stream.write_all(b"0\r\n\r\n").await?;
            }
            Reply::Watch {
                cursor,
                bookmarks,
                until,
            } => {
                head_of_watch(stream).await?;
                watch(stream, shared, cursor, bookmarks, until).await?;
                let mut state = shared.state.lock().expect("no panic");
                state.watches.retain(|(connection, _)| *connection != id);
            }
            Reply::Hang => std::future::pending().await,
            Reply::Forward { key, port, inside } => {
                let accept = derive_accept_key(key.as_bytes());
                let head = format!(
                    "HTTP/1.1 101 X\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
                     sec-websocket-accept: {accept}\r\n\
                     sec-websocket-protocol: v4.channel.k8s.io\r\n\r\n"
                );
                stream.write_all(head.as_bytes()).await?;
                // Whatever ends it: the connection is over.
                let _ = forward(stream, port, inside).await;
                return Ok(());
            }
        }
    }
    Ok(())
}

/// A port-forward of one port as kubelets speak it (`v4.channel.k8s.io`): each frame begins with its channel, 0 for octets and 1
/// for what is wrong, and each channel begins with the number of the port.
async fn forward<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    port: u16,
    inside: Option<SocketAddr>,
) -> Result<(), tungstenite::Error> {
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
    let [low, high] = port.to_le_bytes();
    for channel in [0, 1] {
        let begin = Message::binary(vec![channel, low, high]);
        socket.send(begin).await?;
    }
    let Some(inside) = inside else {
        let text = b"\x01failed to connect to localhost: connection refused".to_vec();
        socket.send(Message::binary(text)).await?;
        return socket.close(None).await;
    };
    let mut inside = TcpStream::connect(inside).await?;
    let mut buffer = vec![0; 4096];
    loop {
        tokio::select! {
            read = inside.read(&mut buffer) => match read? {
                0 => return socket.close(None).await,
                octets => {
                    let frame = [&[0], &buffer[..octets]].concat();
                    socket.send(Message::binary(frame)).await?;
                }
            },
            message = socket.next() => match message.transpose()? {
                Some(Message::Binary(frame)) if frame.first() == Some(&0) => inside.write_all(&frame[1..]).await?,
                Some(Message::Close(_)) | None => return Ok(()),
                Some(_) => {}
            },
        }
    }
}

async fn watch<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    shared: &Shared,
    mut cursor: super::store::Cursor,
    bookmarks: Option<Duration>,
    until: Instant,
) -> io::Result<()> {
    let mut bell = shared.bell.subscribe();
    let mut last_bookmark = Instant::now();
    loop {
        bell.mark_unchanged();
        loop {
            let next = shared
                .state
                .lock()
                .expect("no panic")
                .store
                .next(&mut cursor);
            let Some((mut line, end)) = next else { break };
            if !line.is_empty() {
                line.push(b'\n');
                chunk(stream, &line).await?;
            }
            if end {
                return stream.write_all(b"0\r\n\r\n").await;
            }
        }
        // How often is looked up anew, since a test may change it while watches are open.
        let every = bookmarks.map(|_| shared.state.lock().expect("no panic").bookmarks_every);
        let due = every.map_or(until, |every| last_bookmark + every);
        let mut octet = [0];
        tokio::select! {
            _ = bell.changed() => {}
            () = time::sleep_until(due.min(until).into()) => {
                if Instant::now() >= until {
                    return stream.write_all(b"0\r\n\r\n").await;
                }
                last_bookmark = Instant::now();
                let line = shared.state.lock().expect("no panic").store.bookmark_for(&cursor);
                if let Some(line) = line {
                    chunk(stream, format!("{line}\n").as_bytes()).await?;
                }
            }
            // The client has nothing to say in the middle of an answer: it has gone.
            read = stream.read(&mut octet) => {
                return Err(read.err().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }
}

async fn head_of_watch<S: AsyncWrite + Unpin>(stream: &mut S) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 200 OK\r\ndate: {}\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\n\r\n",
        date()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.flush().await
}

/// As RFC 9110 writes it.
fn date() -> String {
    let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
    let date = printer.timestamp_to_rfc9110_string(&jiff::Timestamp::now());
    date.expect("a year of four digits")
}

async fn chunk<S: AsyncWrite + Unpin>(stream: &mut S, data: &[u8]) -> io::Result<()> {
    let whole = [format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat();
    stream.write_all(&whole).await?;
    stream.flush().await
}

/// Sends a body; `false`: the connection is to end here.
async fn send<S: AsyncWrite + Unpin>(
    stream: &mut S,
    body: &[u8],
    manner: Manner,
) -> io::Result<bool> {
    let beginning = |octets: usize| &body[..octets.min(body.len())];
    match manner {
        Manner::Plain => stream.write_all(body).await?,
        Manner::Stall(octets) => {
            stream.write_all(beginning(octets)).await?;
            stream.flush().await?;
            std::future::pending::<()>().await;
        }
        Manner::Cut(octets) => {
            stream.write_all(beginning(octets)).await?;
            stream.flush().await?;
            return Ok(false);
        }
        Manner::Trickle(octets, pause) => {
            for part in body.chunks(octets) {
                stream.write_all(part).await?;
                stream.flush().await?;
                time::sleep(pause).await;
            }
        }
    }
    stream.flush().await?;
    Ok(true)
}

/// Reads a request; `None` at the end of the connection.
async fn read<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
) -> io::Result<Option<Request>> {
    let head_len = loop {
        if let Some(at) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let head: Vec<u8> = buffer.drain(..head_len).collect();
    let head = String::from_utf8_lossy(&head);
    let mut lines = head.lines();
    let line = lines.next().unwrap_or_default();
    let mut words = line.split(' ');
    let mut word = || words.next().unwrap_or_default().to_owned();
    let (method, target) = (word(), word());
    let mut request = Request {
        line: format!("{method} {target}"),
        method,
        ..Request::default()
    };
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    request.path = path.to_owned();
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    request.query = pairs.map(|(k, v)| (decoded(k), decoded(v))).collect();
    let mut length = 0;
    for header in lines {
        let Some((name, value)) = header.split_once(':') else {
            continue;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().expect("a length"),
            "sec-websocket-key" => request.key = Some(value.trim().to_owned()),
            "authorization" => request.authorization = Some(value.trim().to_owned()),
            "transfer-encoding" => panic!("a request in chunks: {line}"),
            _ => {}
        }
    }
    while buffer.len() < length {
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    request.body = buffer.drain(..length).collect();
    Ok(Some(request))
}

/// Without its percent signs.
fn decoded(text: &str) -> String {
    let mut octets = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, more @ ..] = rest {
        rest = more;
        let hex = |octets: &[u8]| {
            let text = std::str::from_utf8(octets).ok()?;
            u8::from_str_radix(text, 16).ok()
        };
        match (first, more.get(..2).and_then(hex)) {
            (b'%', Some(octet)) => {
                octets.push(octet);
                rest = &more[2..];
            }
            (b'+', _) => octets.push(b' '),
            (octet, _) => octets.push(*octet),
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}
