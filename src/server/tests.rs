//! The server over real sockets on loopback addresses. What an answer says is not looked at: its id and the QR bit tell
//! that it is one.

mod datagrams;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task;
use tokio::time::{interval, sleep, timeout};

use super::{
    BindError, Bound, Counters, Counts, Path, Server, Settings, TcpSettings, UdpSettings, bind,
    guarded,
};
use crate::answer::{Identity, Limits, Verdict, View, Worker};
use crate::zone::Zones;

/// Far more than anything takes here, on a busy machine too.
const SOON: Duration = Duration::from_secs(20);

/// Limits that no test reaches unless it sets its own.
fn unlimited() -> TcpSettings {
    TcpSettings {
        connections: 100,
        connections_per_prefix: 100,
        idle: SOON * 2,
        message: SOON * 2,
        lifetime: SOON * 2,
    }
}

/// Settings of one listen address.
fn settings(path: Path, address: &str, workers: usize, tcp: TcpSettings) -> Settings {
    let udp = UdpSettings {
        path,
        ..UdpSettings::default()
    };
    let listen = vec![address.parse().unwrap()];
    Settings {
        listen,
        workers,
        udp,
        tcp,
    }
}

fn start(bound: Bound) -> Server {
    let workers = (0..bound.workers_needed()).map(|_| worker()).collect();
    let server = bound.start(
        Arc::new(nothing_published()),
        workers,
        vec![worker(), worker()],
    );
    server.unwrap()
}

/// A view without zones: every query is refused, which is an answer.
fn nothing_published() -> View {
    let (store, _) = crate::store::new();
    View::new(
        store,
        Zones::default(),
        Identity::default(),
        Limits::default(),
    )
}

fn worker() -> Worker {
    Worker::new(1)
}

/// A server on one address of one worker.
struct Running {
    address: SocketAddr,
    counters: Arc<Counters>,
    server: Server,
}

/// Streams are the same over either path of datagrams.
async fn running(address: &str, tcp: TcpSettings) -> Running {
    serving(&settings(Path::default(), address, 1, tcp)).await
}

async fn serving(settings: &Settings) -> Running {
    let bound = bind(settings).await.unwrap();
    Running {
        address: bound.addresses()[0],
        counters: bound.counters(),
        server: start(bound),
    }
}

impl Running {
    async fn connect(&self) -> Client {
        Client(TcpStream::connect(self.address).await.unwrap())
    }

    /// Waits until the counters are such.
    async fn until(&self, are_such: impl Fn(Counts) -> bool) {
        let counted = async {
            while !are_such(self.counters.read()) {
                sleep(Duration::from_millis(1)).await;
            }
        };
        let waited = timeout(SOON, counted).await;
        assert!(waited.is_ok(), "{:?}", self.counters.read());
    }
}

/// `test.cluster.local. A`, as a stub resolver sends it.
fn query(id: u16) -> Vec<u8> {
    let mut octets = id.to_be_bytes().to_vec();
    octets.extend([0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0]);
    octets.extend(b"\x04test\x07cluster\x05local\x00\x00\x01\x00\x01");
    octets
}

/// `messages` with their lengths.
fn framed(messages: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut octets = Vec::new();
    for message in messages {
        octets.extend(u16::try_from(message.len()).unwrap().to_be_bytes());
        octets.extend(message);
    }
    octets
}

/// The id of an answer, which `message` must be.
fn id_of(message: &[u8]) -> u16 {
    assert!(message.len() >= 12, "{message:?} has no header");
    assert_eq!(message[2] & 0x80, 0x80, "{message:?} is no answer");
    u16::from_be_bytes([message[0], message[1]])
}

/// A connection, with the patience of [`SOON`] in all it does.
struct Client(TcpStream);

impl Client {
    async fn send(&mut self, octets: &[u8]) {
        let sent = timeout(SOON, self.0.write_all(octets)).await;
        sent.expect("is read").expect("is open");
    }

    /// The id of the next answer.
    async fn next(&mut self) -> u16 {
        let message = async {
            let length = self.0.read_u16().await?;
            let mut message = vec![0; length.into()];
            self.0.read_exact(&mut message).await?;
            Ok::<_, std::io::Error>(message)
        };
        let message = timeout(SOON, message).await.expect("answers");
        id_of(&message.expect("is open"))
    }

    async fn ask(&mut self, id: u16) {
        self.send(&framed([query(id)])).await;
        assert_eq!(self.next().await, id);
    }

    /// Waits until the server closes, having sent nothing more.
    async fn closed(&mut self) {
        let mut rest = Vec::new();
        // An error is a reset: a close as well.
        let _ = timeout(SOON, self.0.read_to_end(&mut rest))
            .await
            .expect("closes");
        assert_eq!(rest, Vec::<u8>::new(), "sent before it closed");
    }
}

/// A blocking client; these tests have other threads for the server.
fn udp_client(from: IpAddr, to: SocketAddr) -> UdpSocket {
    let client = UdpSocket::bind((from, 0)).unwrap();
    // A connected socket takes datagrams only from the address that it asks.
    client.connect(to).unwrap();
    client.set_read_timeout(Some(SOON)).unwrap();
    client
}

fn next_of(client: &UdpSocket) -> u16 {
    let mut octets = [0; 4096];
    let length = client.recv(&mut octets).expect("answers");
    id_of(&octets[..length])
}

fn ask_udp(client: &UdpSocket, id: u16) {
    client.send(&query(id)).unwrap();
    assert_eq!(next_of(client), id);
}

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

// Streams.

/// A message may come in as many pieces as it has octets (RFC 7766, section 8).
#[tokio::test(flavor = "multi_thread")]
async fn c_split() {
    let running = running("127.0.0.1:0", unlimited()).await;
    let mut client = running.connect().await;
    client.0.set_nodelay(true).unwrap();
    for octet in framed([query(7)]) {
        client.send(&[octet]).await;
        sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(client.next().await, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn c_pipe_20_and_1000() {
    let running = running("127.0.0.1:0", unlimited()).await;
    for count in [20, 1000] {
        let mut client = running.connect().await;
        client.send(&framed((0..count).map(query))).await;
        let mut ids = Vec::new();
        for _ in 0..count {
            ids.push(client.next().await);
        }
        ids.sort_unstable();
        assert_eq!(ids, (0..count).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn c_half() {
    let running = running("127.0.0.1:0", unlimited()).await;
    let mut client = running.connect().await;
    client.send(&framed([query(7)])).await;
    client.0.shutdown().await.unwrap();
    assert_eq!(client.next().await, 7);
    client.closed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c_len0() {
    let running = running("127.0.0.1:0", unlimited()).await;
    let mut client = running.connect().await;
    // What came before it is answered.
    client.send(&framed([query(7), Vec::new()])).await;
    assert_eq!(client.next().await, 7);
    client.closed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c_short() {
    let running = running("127.0.0.1:0", unlimited()).await;
    let mut client = running.connect().await;
    client.send(&framed([vec![0; 5]])).await;
    client.closed().await;
}

/// The longest message there is passes; a buffer that began small has grown.
#[tokio::test(flavor = "multi_thread")]
async fn c_long() {
    let running = running("127.0.0.1:0", unlimited()).await;
    let mut client = running.connect().await;
    let mut long = query(7);
    long.resize(65_535, 0);
    client.send(&framed([long, query(8)])).await;
    assert_eq!(client.next().await, 7);
    assert_eq!(client.next().await, 8);
    client.ask(9).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c_http() {
    let tcp = TcpSettings {
        message: Duration::from_millis(200),
        ..unlimited()
    };
    let running = running("127.0.0.1:0", tcp).await;
    let mut client = running.connect().await;
    // "GE" announces 18245 octets, which never come.
    client.send(b"GET / HTTP/1.1\r\n\r\n").await;
    client.closed().await;
    assert_eq!(running.counters.read().closed_message, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn c_rst() {
    let running = running("127.0.0.1:0", unlimited()).await;
    for id in 0..200 {
        let mut client = running.connect().await;
        client.send(&framed([query(id)])).await;
        client.0.set_zero_linger().unwrap();
    }
    running.connect().await.ask(7).await;
    running.until(|counts| counts.connections_open == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c_idle() {
    let tcp = TcpSettings {
        idle: Duration::from_millis(200),
        ..unlimited()
    };
    let running = running("127.0.0.1:0", tcp).await;
    running.connect().await.closed().await;
    let mut client = running.connect().await;
    client.ask(7).await;
    client.closed().await;
    assert_eq!(running.counters.read().closed_idle, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn c_drip() {
    let tcp = TcpSettings {
        message: Duration::from_millis(300),
        ..unlimited()
    };
    let running = running("127.0.0.1:0", tcp).await;
    let client = running.connect().await;
    // Every octet comes within the limit, the message (4 s of them) does not; nor does a read of an octet move it.
    let (mut read, mut write) = client.0.into_split();
    let drip = task::spawn(async move {
        let mut ticks = interval(Duration::from_millis(100));
        let mut dripped = 0;
        for octet in framed([query(7)]) {
            ticks.tick().await;
            if write.write_all(&[octet]).await.is_err() {
                break;
            }
            dripped += 1;
        }
        dripped
    });
    let mut answer = Vec::new();
    let _ = timeout(SOON, read.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(answer, Vec::<u8>::new());
    assert!(drip.await.unwrap() < framed([query(7)]).len());
    assert_eq!(running.counters.read().closed_message, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn c_noread() {
    let tcp = TcpSettings {
        message: Duration::from_millis(200),
        ..unlimited()
    };
    let running = running("127.0.0.1:0", tcp).await;
    let mut client = running.connect().await;
    SockRef::from(&client.0).set_recv_buffer_size(4096).unwrap();
    let queries = framed((0..10_000).map(query));
    // As the server does not read while it cannot write, this ends only when it closes.
    let refused = async { while client.0.write_all(&queries).await.is_ok() {} };
    timeout(SOON, refused).await.expect("closes");
    running.until(|counts| counts.closed_write == 1).await;
    running.until(|counts| counts.connections_open == 0).await;
}

/// A connection that is always busy ends too.
#[tokio::test(flavor = "multi_thread")]
async fn c_lifetime() {
    let tcp = TcpSettings {
        lifetime: Duration::from_millis(300),
        ..unlimited()
    };
    let running = running("127.0.0.1:0", tcp).await;
    let mut client = running.connect().await;
    let question = framed([query(7)]);
    let busy = async {
        let mut octets = [0; 4096];
        while client.0.write_all(&question).await.is_ok() {
            if !matches!(client.0.read(&mut octets).await, Ok(1..)) {
                break;
            }
        }
    };
    timeout(SOON, busy).await.expect("closes");
    assert_eq!(running.counters.read().closed_lifetime, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn c_cap() {
    let tcp = TcpSettings {
        connections_per_prefix: 4,
        ..unlimited()
    };
    let running = running("127.0.0.1:0", tcp).await;
    let from = async |address: &str| {
        let socket = TcpSocket::new_v4().unwrap();
        let address: IpAddr = address.parse().unwrap();
        socket.bind((address, 0).into()).unwrap();
        Client(socket.connect(running.address).await.unwrap())
    };
    let mut full = Vec::new();
    for host in 1..=4 {
        full.push(from(&format!("127.0.0.{host}")).await);
    }
    from("127.0.0.5").await.closed().await;
    from("127.0.1.1").await.ask(7).await;
    ask_udp(&udp_client(LOCALHOST, running.address), 8);
    assert_eq!(running.counters.read().connections_refused, 1);
    // They have waited and are still served; a place that is given back is taken again.
    full[0].ask(9).await;
    drop(full);
    running.until(|counts| counts.connections_open == 0).await;
    from("127.0.0.5").await.ask(10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_may_be_endless() {
    let tcp = TcpSettings {
        idle: Duration::MAX,
        message: Duration::MAX,
        lifetime: Duration::MAX,
        ..unlimited()
    };
    running("127.0.0.1:0", tcp)
        .await
        .connect()
        .await
        .ask(7)
        .await;
}

// Beginning and end.

#[tokio::test(flavor = "multi_thread")]
async fn port_in_use_is_named() {
    // An address of its own, so that no other test's client sits on the port.
    let settings = |address: &str| settings(Path::default(), address, 2, unlimited());
    let bound = bind(&settings("127.0.5.5:0")).await.unwrap();
    let address = bound.addresses()[0];
    let again = settings(&address.to_string());
    let error = bind(&again).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{address} (udp): address in use; stop the process that holds it, or listen on another port"
        )
    );
    drop(bound);

    let _other = std::net::TcpListener::bind(address).unwrap();
    let error = bind(&again).await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with(&format!("{address} (tcp): address in use;")),
        "{error}"
    );
}

#[tokio::test]
async fn an_address_of_another_host_is_named() {
    let settings = settings(Path::default(), "192.0.2.1:0", 1, unlimited());
    let error = bind(&settings).await.unwrap_err();
    assert!(
        matches!(
            error,
            BindError::NotHere {
                transport: "udp",
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn shutdown_drains() {
    let running = running("127.0.0.1:0", unlimited()).await;
    let mut waiting = running.connect().await;
    waiting.ask(1).await;
    let mut halfway = running.connect().await;
    halfway.ask(2).await;
    let (first, last) = (framed([query(3), query(4)]), framed([query(5)]));
    let (last, rest) = last.split_at(9);
    halfway.send(&[&first, last].concat()).await;
    let (address, server) = (running.address, running.server);
    let shutdown = task::spawn(server.shutdown(SOON));
    waiting.closed().await;
    for id in [3, 4] {
        assert_eq!(halfway.next().await, id);
    }
    // The message that had begun may still end.
    assert!(!shutdown.is_finished());
    halfway.send(rest).await;
    assert_eq!(halfway.next().await, 5);
    halfway.closed().await;
    timeout(SOON, shutdown)
        .await
        .expect("ends before the limit")
        .unwrap();
    let refused = TcpStream::connect(address).await;
    assert!(refused.is_err(), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_ends_at_its_limit() {
    let running = running("127.0.0.1:0", unlimited()).await;
    let mut client = running.connect().await;
    client.ask(1).await;
    // Half of a length: the message has begun and will not end.
    client.send(&[0]).await;
    let mut shutdown = pin!(running.server.shutdown(Duration::from_millis(200)));
    timeout(SOON, &mut shutdown).await.expect("ends");
    client.closed().await;
}

/// P10: a panic ends neither the UDP worker nor the other connections.
#[test]
fn a_panic_costs_one_query_and_is_counted() {
    let counters = Counters::default();
    let verdict = guarded(&counters, || panic!("of a test"));
    assert_eq!(verdict, Verdict::Silence);
    assert_eq!(guarded(&counters, || Verdict::Reply), Verdict::Reply);
    assert_eq!(counters.read().panics, 1);
}
