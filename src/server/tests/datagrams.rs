//! Datagrams, over each way there is of moving them: the same queries, the same answers.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::super::udp::Processors;
use super::{
    Client, Counts, LOCALHOST, Path, Running, SOON, Settings, ask_udp, bind, id_of, next_of, query,
    serving, settings, start, udp_client, unlimited,
};

const LOCALHOST_6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

fn each_path() -> impl Iterator<Item = Path> {
    Path::ALL.iter().copied()
}

async fn running(path: Path, address: &str, workers: usize) -> Running {
    serving(&settings(path, address, workers, unlimited())).await
}

/// The ids of the next `count` answers, in ascending order.
fn ids_of(client: &UdpSocket, count: u16) -> Vec<u16> {
    let mut ids: Vec<u16> = (0..count).map(|_| next_of(client)).collect();
    ids.sort_unstable();
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn one_by_one_they_are_answered() {
    for path in each_path() {
        for (address, from) in [("127.0.0.1:0", LOCALHOST), ("[::1]:0", LOCALHOST_6)] {
            let running = running(path, address, 1).await;
            let client = udp_client(from, running.address);
            for id in 0..100 {
                ask_udp(&client, id);
            }
            assert_eq!(running.counters.read(), Counts::default());
        }
    }
}

/// What was queued before anyone read it, several batches of it, of several clients.
#[tokio::test(flavor = "multi_thread")]
async fn more_than_a_batch_at_once_is_answered() {
    for path in each_path() {
        for workers in [1, 3] {
            let settings = settings(path, "127.0.0.1:0", workers, unlimited());
            let bound = bind(&settings).await.unwrap();
            let clients: Vec<UdpSocket> = (0..8)
                .map(|_| udp_client(LOCALHOST, bound.addresses()[0]))
                .collect();
            for id in 0..150 {
                for client in &clients {
                    client.send(&query(id)).unwrap();
                }
            }
            let _server = start(bound);
            for client in &clients {
                assert_eq!(ids_of(client, 150), (0..150).collect::<Vec<_>>());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_of_an_address_share_its_port() {
    for path in each_path() {
        let settings = settings(path, "127.0.0.1:0", 3, unlimited());
        let bound = bind(&settings).await.unwrap();
        assert_eq!(bound.workers_needed(), 3);
        let address = bound.addresses()[0];
        let _server = start(bound);
        // The kernel spreads clients over sockets by a hash of their ports; 40 clients leave none out but once in 10^6
        // runs, and whichever socket they come to, they are answered.
        for id in 0..40 {
            ask_udp(&udp_client(LOCALHOST, address), id);
        }
        Client(TcpStream::connect(address).await.unwrap())
            .ask(41)
            .await;
    }
}

/// A worker of several addresses waits for all of them.
#[tokio::test(flavor = "multi_thread")]
async fn several_addresses_are_answered() {
    for path in each_path() {
        for workers in [1, 2] {
            let mut several = settings(path, "127.0.0.1:0", workers, unlimited());
            for other in ["127.0.0.2:0", "[::1]:0", "0.0.0.0:0"] {
                several.listen.push(other.parse().unwrap());
            }
            let bound = bind(&several).await.unwrap();
            let addresses = bound.addresses();
            let server = start(bound);
            let clients: Vec<UdpSocket> = addresses
                .iter()
                .map(|address| match address {
                    SocketAddr::V4(_) => udp_client(LOCALHOST, *address),
                    SocketAddr::V6(_) => udp_client(LOCALHOST_6, *address),
                })
                .collect();
            for client in clients.iter().chain(clients.iter().rev()) {
                for id in 0..150 {
                    client.send(&query(id)).unwrap();
                }
                assert_eq!(ids_of(client, 150), (0..150).collect::<Vec<_>>());
            }
            timeout(SOON, server.shutdown(SOON * 2))
                .await
                .expect("ends");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wildcard_answers_from_the_asked_address() {
    for path in each_path() {
        for workers in [1, 2] {
            let v4 = running(path, "0.0.0.0:0", workers).await;
            let clients = [1, 2, 3, 77].map(|host| {
                let asked = SocketAddr::from(([127, 0, 0, host], v4.address.port()));
                udp_client(LOCALHOST, asked)
            });
            for id in 0..100 {
                for client in &clients {
                    client.send(&query(id)).unwrap();
                }
            }
            for client in &clients {
                assert_eq!(ids_of(client, 100), (0..100).collect::<Vec<_>>());
            }
            let v6 = running(path, "[::]:0", workers).await;
            let asked = SocketAddr::new(LOCALHOST_6, v6.address.port());
            ask_udp(&udp_client(LOCALHOST_6, asked), 4);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_wildcards_stand_on_one_port() {
    for path in each_path() {
        // A port that is free for IPv6 may be another test's for IPv4; not ten times in a row.
        let mut stand = false;
        for _ in 0..10 {
            let v6 = running(path, "[::]:0", 1).await;
            let address = format!("0.0.0.0:{}", v6.address.port());
            let Ok(v4) = bind(&settings(path, &address, 1, unlimited())).await else {
                continue;
            };
            let _v4 = start(v4);
            for (id, localhost) in [(1, LOCALHOST), (2, LOCALHOST_6)] {
                let asked = SocketAddr::new(localhost, v6.address.port());
                ask_udp(&udp_client(localhost, asked), id);
                Client(TcpStream::connect(asked).await.unwrap())
                    .ask(id)
                    .await;
            }
            stand = true;
            break;
        }
        assert!(
            stand,
            "the IPv6 wildcard keeps the IPv4 wildcard from its port"
        );
    }
}

/// The kernel joins datagrams when it sees fit (GRO), where a socket takes them so. A sender on loopback that leaves the
/// cutting to the kernel (GSO) makes it certain: they are never cut.
#[tokio::test(flavor = "multi_thread")]
async fn datagrams_that_the_kernel_joined_are_each_answered() {
    for path in each_path() {
        let running = running(path, "127.0.0.1:0", 1).await;
        let client = udp_client(LOCALHOST, running.address);
        let state = quinn_udp::UdpSocketState::new((&client).into()).unwrap();
        client.set_nonblocking(false).unwrap();

        let queries: Vec<u8> = (0..10).flat_map(query).collect();
        let joined = quinn_udp::Transmit {
            destination: running.address,
            ecn: None,
            contents: &queries,
            segment_size: Some(query(0).len()),
            src_ip: None,
        };
        if state.max_gso_segments() < 10 {
            return; // A kernel that cannot join.
        }
        state.try_send((&client).into(), &joined).unwrap();
        assert_eq!(ids_of(&client, 10), (0..10).collect::<Vec<_>>());
    }
}

/// What is sent back to each of `datagrams`, in their order; nothing for those that are not answered.
fn replies(client: &UdpSocket, datagrams: &[Vec<u8>]) -> Vec<Option<Vec<u8>>> {
    let mut octets = [0; 4096];
    let mut next = || {
        let length = client.recv(&mut octets).expect("answers");
        octets[..length].to_vec()
    };
    let mut replies = Vec::new();
    for datagram in datagrams {
        client.send(datagram).unwrap();
        // A worker answers in the order of its queue: what comes before the answer to this is the answer to that.
        client.send(&query(0xFFFF)).unwrap();
        let first = next();
        if id_of(&first) == 0xFFFF {
            replies.push(None);
        } else {
            replies.push(Some(first));
            assert_eq!(id_of(&next()), 0xFFFF);
        }
    }
    replies
}

#[tokio::test(flavor = "multi_thread")]
async fn oddities_have_the_same_answer_over_each_path() {
    let long = |length: usize| {
        let mut long = query(7);
        long.resize(length, 0);
        long
    };
    let with = |at: usize, octet: u8| {
        let mut odd = query(7);
        odd[at] = octet;
        odd
    };
    let odd = [
        Vec::new(),
        vec![0; 11],
        vec![0; 12],
        vec![0xFF; 60_000],
        long(512),
        long(4096),
        long(4097),
        long(65_507),
        with(2, 0x80),
        with(2, 0x28),
        with(5, 2),
        with(11, 1),
        with(12, 0xC0),
        query(7)[..30].to_vec(),
    ];
    let mut by_path = Vec::new();
    for path in each_path() {
        let running = running(path, "127.0.0.1:0", 1).await;
        let client = udp_client(LOCALHOST, running.address);
        let got = replies(&client, &odd);
        let is_answered: Vec<bool> = got.iter().map(Option::is_some).collect();
        let expected = [
            false, false, true, false, true, true, true, true, false, true, true, true, true, true,
        ];
        assert_eq!(is_answered, expected, "{path:?}");
        by_path.push(got);

        // A client that is gone when its answer comes: the ICMP error must not be the next client's.
        let gone = udp_client(LOCALHOST, running.address);
        gone.send(&query(1)).unwrap();
        drop(gone);
        ask_udp(&udp_client(LOCALHOST, running.address), 2);
    }
    by_path.dedup();
    assert_eq!(by_path.len(), 1, "{by_path:?}");
}

/// H-SPORT: no reply to source port 0.
#[tokio::test(flavor = "multi_thread")]
async fn port_zero_is_not_answered() {
    for path in each_path() {
        let running = running(path, "127.0.0.1:0", 1).await;
        let Ok(forger) = Socket::new(Domain::IPV4, Type::from(3), Some(Protocol::UDP)) else {
            return; // Raw sockets want a privilege.
        };
        let query = query(1);
        let length = u16::try_from(8 + query.len()).unwrap();
        let mut datagram = Vec::new();
        for field in [0, running.address.port(), length, 0] {
            datagram.extend(field.to_be_bytes());
        }
        datagram.extend(query);
        forger
            .send_to(&datagram, &SockAddr::from(running.address))
            .unwrap();

        ask_udp(&udp_client(LOCALHOST, running.address), 2);
        let expected = Counts {
            port_zero: 1,
            ..Counts::default()
        };
        assert_eq!(running.counters.read(), expected);
    }
}

/// What had arrived when the server was told to stop is answered, wherever the worker was.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_queued_is_answered_before_the_end() {
    for path in each_path() {
        for listen in [&["127.0.0.1:0"][..], &["127.0.0.1:0", "0.0.0.0:0"]] {
            let settings = Settings {
                listen: listen.iter().map(|at| at.parse().unwrap()).collect(),
                ..settings(path, "127.0.0.1:0", 2, unlimited())
            };
            // Once the worker has never run, once it waits.
            for is_waiting in [false, true] {
                let bound = bind(&settings).await.unwrap();
                let address = *bound.addresses().last().unwrap();
                let address = SocketAddr::new(LOCALHOST, address.port());
                let client = udp_client(LOCALHOST, address);
                // As many answers fit into the client's own buffer, which it reads in the end.
                let ask = || {
                    for id in 0..200 {
                        client.send(&query(id)).unwrap();
                    }
                };
                let server;
                if is_waiting {
                    server = start(bound);
                    ask_udp(&client, 1000);
                    ask();
                } else {
                    ask();
                    server = start(bound);
                }
                let shutdown = server.shutdown(SOON * 2);
                timeout(SOON, shutdown).await.expect("ends by itself");
                assert_eq!(ids_of(&client, 200), (0..200).collect::<Vec<_>>());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_dropped_leaves_its_port() {
    // An address of its own, so that no other test's client sits on the port.
    let running = running(Path::default(), "127.0.5.6:0", 2).await;
    let client = udp_client(LOCALHOST, running.address);
    ask_udp(&client, 1);
    drop(running.server);
    UdpSocket::bind(running.address).expect("free again");
}

/// P11: a burst that does not fit is counted, to the datagram.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn what_the_kernel_drops_is_counted() {
    let mut tiny = settings(Path::Batched, "127.0.0.1:0", 1, unlimited());
    tiny.udp.receive_buffer = 8 << 10;
    let bound = bind(&tiny).await.unwrap();
    let counters = bound.counters();
    assert_eq!(counters.smallest_buffer(), 8 << 10);
    let client = udp_client(LOCALHOST, bound.addresses()[0]);
    // No one reads yet.
    let burst = 500;
    for id in 0..burst {
        client.send(&query(id)).unwrap();
    }
    let _server = start(bound);
    client
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    // The first of these may find the buffer full still.
    let (mut sent, mut answered) = (u64::from(burst), 0);
    loop {
        client.send(&query(burst)).unwrap();
        sent += 1;
        let mut octets = [0; 512];
        let mut next = || {
            client
                .recv(&mut octets)
                .map(|length| id_of(&octets[..length]))
        };
        let mut was_last = false;
        while !was_last && let Ok(id) = next() {
            answered += 1;
            was_last = id == burst;
        }
        if was_last {
            break;
        }
        assert!(sent < 1000, "it is not answered");
    }
    assert!(answered < u64::from(burst), "the buffer held {answered}");
    let counted = async {
        while counters.read().overflowed < sent - answered {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    // Looked at once a second.
    let _late = timeout(SOON, counted).await;
    assert_eq!(counters.read().overflowed, sent - answered);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_processor_that_is_not_there_does_not_end_a_worker() {
    for path in each_path() {
        for processors in [Processors::Each, Processors::These(vec![1023, 0])] {
            let mut settings = settings(path, "127.0.0.1:0", 2, unlimited());
            settings.udp.processors = processors;
            let running = serving(&settings).await;
            for id in 0..40 {
                ask_udp(&udp_client(LOCALHOST, running.address), id);
            }
        }
    }
}
