//! Many answers to the same question, and what they add up to.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::time::Duration;

use super::{Rig, decode, query};

/// Queries under way at a time, few enough for any socket's buffer.
const WINDOW: usize = 64;

/// The addresses of `count` answers to each of `questions`, asked in turn over one socket: as a list of answers,
/// each in the order of its records.
pub fn answers<const N: usize>(
    rig: &Rig,
    questions: [&str; N],
    count: usize,
) -> [Vec<Vec<String>>; N] {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.connect(rig.dns).expect("a route to loopback");
    let patience = Some(Duration::from_secs(10));
    socket.set_read_timeout(patience).expect("a timeout");
    let mut queries = questions.map(query);
    let mut answers = questions.map(|_| vec![Vec::new(); count]);
    let mut buffer = vec![0; 65_535];
    let total = count * N;
    for start in (0..total).step_by(WINDOW) {
        let window = start..total.min(start + WINDOW);
        for n in window.clone() {
            let id = u16::try_from(n - start).expect("a window is small");
            let query = &mut queries[n % N];
            query[..2].copy_from_slice(&id.to_be_bytes());
            socket.send(query).expect("sent");
        }
        for _ in window {
            let len = socket.recv(&mut buffer).expect("an answer to each query");
            let message = decode(&buffer[..len]);
            let n = start + usize::from(message.metadata.id);
            let addresses = message.answers.iter().map(|record| record.data.to_string());
            answers[n % N][n / N] = addresses.collect();
        }
    }
    answers
}

/// How often each address comes first.
pub fn firsts(answers: &[Vec<String>]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for answer in answers {
        let first = answer.first().expect("an answer has a record");
        *counts.entry(&**first).or_default() += 1;
    }
    counts
}

/// `10.2.0.1` and `fd00:2::1` are of version 2.
pub fn version(address: &str) -> &str {
    let mut parts = address.split(['.', ':']);
    parts.nth(1).expect("the second part is the version")
}

pub fn of_version(counts: &BTreeMap<&str, usize>, wanted: &str) -> usize {
    let of = counts
        .iter()
        .filter(|(address, _)| version(address) == wanted);
    of.map(|(_, count)| count).sum()
}
