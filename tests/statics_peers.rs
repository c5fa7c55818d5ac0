//! Static zones beside NSD, Knot and BIND: the same generated zones, the same questions, and every difference has a name.
//!
//! ```text
//! cargo test --test statics_peers -- --ignored --nocapture
//! ```
//! takes the servers that are installed (Debian's packages `nsd`, `knot` and `bind9`), on loopback and as the user it runs as, for
//! about a minute. `SHIFTDNS_PEERS_SEED` and `SHIFTDNS_PEERS_QUERIES` choose other zones and another number of questions.
//!
//! What is compared: the code, AA, TC, the answer section, and of the authority section what says something: the SOA record of a
//! negative answer and the NS records of a referral; of a referral also the addresses of servers. Sets have no order.

mod rig;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::{DNSClass, Name as ProtoName, RData, Record, RecordType};
use rig::{Offline, config};
use shiftdns::answer::Transport;
use shiftdns::wire::Name;
use shiftdns::zone::{StaticZone, Weights, master};

/// Zones that are served together, and how often others take their place.
const ZONES: usize = 6;
const ROUNDS: u64 = 10;
const TYPES: [u16; 13] = [1, 1, 1, 28, 2, 6, 5, 15, 16, 33, 39, 43, 666];

/// splitmix64: the zones of a seed are the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % below as u64) as usize
    }

    fn of<'t, T>(&mut self, list: &'t [T]) -> &'t T {
        &list[self.next(list.len())]
    }
}

/// A zone under construction: records by name relative to the apex; `""` is the apex.
struct Zone {
    apex: String,
    records: BTreeMap<String, Vec<String>>,
}

fn kinds(records: &[String]) -> BTreeSet<&str> {
    records
        .iter()
        .filter_map(|record| record.split(' ').nth(1))
        .collect()
}

/// Whether `name` is below `over`, both relative.
fn is_below(name: &str, over: &str) -> bool {
    name != over && (over.is_empty() || name.ends_with(&format!(".{over}")))
}

impl Zone {
    fn generate(apex: String, random: &mut Random) -> Self {
        let labels = ["a", "b", "c", "d", "e", "*", "_s", "X1"];
        let mut zone = Self {
            apex,
            records: BTreeMap::new(),
        };
        let name = |random: &mut Random| {
            let depth = 1 + random.next(4);
            let labels: Vec<&str> = (0..depth).map(|_| *random.of(&labels)).collect();
            labels.join(".")
        };
        for _ in 0..150 {
            let owner = name(random);
            let target = match random.next(5) {
                0 => "www.elsewhere.".to_owned(),
                _ => name(random),
            };
            let (n, m) = (random.next(200), random.next(200));
            // Half the sets have a TTL below that of the SOA record's MINIMUM, half above.
            let ttl = [60, 600][owner.len() % 2];
            let (kind, data) = match random.next(16) {
                0..=3 => ("A", format!("10.0.{n}.{m}")),
                4 => ("AAAA", format!("2001:db8::{n:x}:{m:x}")),
                5 => ("TXT", format!("\"{n}\"")),
                6 => ("MX", format!("{n} {target}")),
                7 => ("SRV", format!("0 {n} {m} {target}")),
                8..=10 => ("CNAME", target),
                11..=12 => ("NS", target),
                13 => ("DNAME", target),
                14 => ("TYPE666", format!("\\# 4 0102{n:04X}")),
                _ => ("DS", format!("{n} 8 2 {}", "AB".repeat(32))),
            };
            zone.add(&owner, kind, ttl, &data);
        }
        zone
    }

    /// Adds a record where every one of the servers takes it.
    fn add(&mut self, owner: &str, kind: &str, ttl: u32, data: &str) {
        let is_wild = owner.starts_with("*.") || owner == "*";
        let there = self
            .records
            .get(owner)
            .map(|records| kinds(records))
            .unwrap_or_default();
        let fits = match kind {
            "CNAME" => there.is_empty(),
            // Wildcards that are delegated or renamed mean something else to everybody (RFC 4592, section 4).
            "NS" => !is_wild && !there.contains("CNAME") && !there.contains("DNAME"),
            "DNAME" => {
                // "no data below a DNAME" (RFC 6672, section 2.4); NSD refuses the zone.
                let has_below = self.records.keys().any(|name| is_below(name, owner));
                !is_wild
                    && there.iter().all(|kind| matches!(*kind, "A" | "TXT" | "MX"))
                    && !has_below
            }
            "DS" => there.contains("NS"),
            _ => !there.contains("CNAME"),
        };
        let is_renamed = self
            .records
            .iter()
            .any(|(name, records)| is_below(owner, name) && kinds(records).contains("DNAME"));
        if !fits || is_renamed {
            return;
        }
        let records = self.records.entry(owner.to_owned()).or_default();
        records.retain(|record| !record.starts_with(&format!("{ttl} {kind} {data}")));
        records.push(format!("{ttl} {kind} {data}"));
    }

    fn text(&self) -> String {
        let mut text = format!(
            "$ORIGIN {}.\n$TTL 300\n@ SOA ns hostmaster 1 7200 1800 86400 120\n@ NS ns\n@ NS ns.elsewhere.\nns A 192.0.2.1\n",
            self.apex
        );
        for (owner, records) in &self.records {
            for record in records {
                let _ = writeln!(text, "{owner} {record}");
            }
        }
        text
    }

    fn question(&self, random: &mut Random) -> (String, u16) {
        let names: Vec<&String> = self.records.keys().collect();
        let mut name = match random.next(8) {
            0 => String::new(),
            1..=4 => (*random.of(&names)).clone(),
            5 => {
                ["a", "b.c", "d.a.b", "e.e.e.e.e", "nope", "ns", "x1.x1"][random.next(7)].to_owned()
            }
            // An ancestor.
            _ => {
                let name = *random.of(&names);
                name.split_once('.')
                    .map_or(name.clone(), |(_, over)| over.to_owned())
            }
        };
        if random.next(3) == 0 {
            let front = ["q", "*", "a", "q.r", "_s.c", "Z.*"][random.next(6)];
            name = if name.is_empty() {
                front.to_owned()
            } else {
                format!("{front}.{name}")
            };
        }
        let full = if name.is_empty() {
            self.apex.clone()
        } else {
            format!("{name}.{}", self.apex)
        };
        (full, *random.of(&TYPES))
    }
}

/// A server, stopped when it is dropped.
struct Peer {
    name: &'static str,
    child: Child,
    socket: UdpSocket,
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    loop {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        if UdpSocket::bind(address).is_ok() {
            return address.port();
        }
    }
}

/// Starts a server over the zone files in `dir`; `None` where it is not installed.
fn start(name: &'static str, dir: &Path, zones: &[Zone]) -> Option<Peer> {
    let home = dir.join(name);
    fs::create_dir_all(&home).expect("a directory");
    let (home_text, port) = (home.display(), free_port());
    let conf = home.join("conf");
    let zone = |text: &dyn Fn(&str, String) -> String| -> String {
        let zones = zones
            .iter()
            .map(|zone| text(&zone.apex, format!("{}/{}.zone", dir.display(), zone.apex)));
        zones.collect()
    };
    let (program, arguments, text): (&str, Vec<String>, String) = match name {
        "NSD" => (
            "nsd",
            vec!["-d".into(), "-c".into(), conf.display().to_string()],
            format!(
                "server:\n ip-address: 127.0.0.1\n port: {port}\n username: \"\"\n database: \"\"\n zonesdir: \"{home_text}\"\n pidfile: \"{home_text}/pid\"\n \
                 xfrdfile: \"{home_text}/xfrd\"\n zonelistfile: \"{home_text}/list\"\n logfile: \"{home_text}/log\"\n rrl-ratelimit: 0\n \
                 xfrdir: \"{home_text}\"\nremote-control:\n control-enable: no\n{}",
                zone(&|apex, file| format!("zone:\n name: \"{apex}\"\n zonefile: \"{file}\"\n"))
            ),
        ),
        "Knot" => (
            "knotd",
            vec!["-c".into(), conf.display().to_string()],
            format!(
                "server:\n  rundir: \"{home_text}\"\n  listen: 127.0.0.1@{port}\n  udp-workers: 1\nlog:\n  - target: stderr\n    any: error\ndatabase:\n  \
                 storage: \"{home_text}\"\ncontrol:\n  listen: \"{home_text}/sock\"\nzone:\n{}",
                zone(&|apex, file| format!(
                    "  - domain: {apex}\n    file: \"{file}\"\n    zonefile-sync: -1\n    zonefile-load: whole\n    journal-content: none\n"
                ))
            ),
        ),
        _ => (
            "named",
            vec![
                "-f".into(),
                "-n".into(),
                "1".into(),
                "-c".into(),
                conf.display().to_string(),
            ],
            format!(
                "options {{ directory \"{home_text}\"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; recursion no; pid-file none; \
                 session-keyfile none; dnssec-validation no; empty-zones-enable no; notify no; check-names primary ignore; allow-transfer {{ none; }}; \
                 minimal-responses no; max-cache-size 8m; }};\ncontrols {{ }};\nlogging {{ category default {{ null; }}; }};\n{}",
                zone(&|apex, file| format!(
                    "zone \"{apex}\" {{ type primary; file \"{file}\"; }};\n"
                ))
            ),
        ),
    };
    fs::write(&conf, text).expect("written");
    let log = fs::File::create(home.join("output")).expect("a file");
    let child = Command::new(program)
        .args(arguments)
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a file"))
        .stderr(log)
        .spawn();
    let child = match child {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        child => child.expect("it starts"),
    };
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    socket
        .connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .expect("a route");
    socket
        .set_read_timeout(Some(Duration::from_millis(500)))
        .expect("a timeout");
    let peer = Peer {
        name,
        child,
        socket,
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    for zone in zones {
        loop {
            let asked = message(0, &zone.apex, 6);
            let answer = ask(&peer.socket, &asked);
            if answer.is_some_and(|answer| !decoded(&answer).answers.is_empty()) {
                break;
            }
            let log = fs::read_to_string(home.join("output")).unwrap_or_default()
                + &fs::read_to_string(home.join("log")).unwrap_or_default();
            assert!(
                Instant::now() < deadline,
                "{name} does not serve {}: {log}",
                zone.apex
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    Some(peer)
}

fn ask(socket: &UdpSocket, query: &[u8]) -> Option<Vec<u8>> {
    let mut answer = vec![0; 4096];
    for _ in 0..4 {
        if socket.send(query).is_err() {
            continue;
        }
        while let Ok(len) = socket.recv(&mut answer) {
            if answer[..2] == query[..2] {
                answer.truncate(len);
                return Some(answer);
            }
        }
    }
    None
}

fn message(id: u16, name: &str, rtype: u16) -> Vec<u8> {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    let mut proto = ProtoName::from_labels(name.split('.').map(str::as_bytes)).expect("a name");
    proto.set_fqdn(true);
    let mut query = Query::query(proto, RecordType::from(rtype));
    query.set_query_class(DNSClass::IN);
    message.add_query(query);
    let mut edns = Edns::new();
    edns.set_max_payload(1232);
    message.edns = Some(edns);
    message.to_vec().expect("encodes")
}

fn decoded(answer: &[u8]) -> Message {
    Message::from_vec(answer).expect("it decodes")
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    rcode: String,
    authoritative: bool,
    truncated: bool,
    answers: BTreeSet<String>,
    /// SOA of negative answers, NS of referrals.
    authority: BTreeSet<String>,
    /// Of referrals.
    glue: BTreeSet<String>,
}

impl Said {
    fn of(answer: &[u8], whose: &str) -> Self {
        let message = decoded(answer);
        // In lower case: a name that is compressed has the letters of the one it points to. hickory-proto knows DNAME as octets.
        let line = |record: &Record| {
            let data = match &record.data {
                RData::Unknown { rdata, .. } => {
                    format!("{:?}", rdata.anything.to_ascii_lowercase())
                }
                data => data.to_string(),
            };
            let text = format!(
                "{} {} {} {data}",
                record.name,
                record.ttl,
                u16::from(record.record_type())
            );
            text.to_lowercase()
        };
        let of = |records: &[Record]| -> BTreeSet<String> {
            let set: BTreeSet<String> = records.iter().map(line).collect();
            // NSD repeats a DNAME that a chain meets again.
            assert!(
                set.len() == records.len() || whose != "ours",
                "a record stands twice: {records:?}"
            );
            set
        };
        let authority = of(&message.authorities);
        let has_answer_of_type = message.queries.first().is_some_and(|query| {
            message
                .answers
                .iter()
                .any(|record| record.record_type() == query.query_type())
        });
        let is_referral = authority.iter().any(|line| line.contains(" 2 ")) && !has_answer_of_type;
        Self {
            rcode: format!("{:?}", message.metadata.response_code),
            authoritative: message.metadata.authoritative,
            truncated: message.metadata.truncation,
            answers: of(&message.answers),
            authority: if has_answer_of_type {
                BTreeSet::new()
            } else {
                authority
            },
            glue: if is_referral {
                of(&message.additionals)
            } else {
                BTreeSet::new()
            },
        }
    }
}

/// Why two answers may differ; `None`: nobody knows.
fn rule(peer: &str, qtype: u16, ours: &Said, theirs: &Said) -> Option<&'static str> {
    let same_but_glue = Said {
        glue: BTreeSet::new(),
        ..ours.clone()
    } == Said {
        glue: BTreeSet::new(),
        ..theirs.clone()
    };
    if same_but_glue {
        let more = theirs
            .glue
            .iter()
            .filter(|line| !ours.glue.contains(*line))
            .count();
        let cut = theirs
            .authority
            .first()
            .and_then(|line| line.split(' ').next());
        let mut missing = ours.glue.difference(&theirs.glue);
        let is_below = |line: &String| {
            let owner = line.split(' ').next();
            owner
                .zip(cut)
                .is_some_and(|(owner, cut)| owner == cut || owner.ends_with(&format!(".{cut}")))
        };
        return match () {
            () if peer == "BIND" && more == 0 && !missing.any(is_below) => {
                Some("of servers that are not below the delegation the addresses are not added")
            }
            () if ours.glue.is_subset(&theirs.glue) && more > 0 => Some(
                "addresses of servers that a wildcard stands for are added, which a resolver can ask for",
            ),
            () => None,
        };
    }
    // "0 TTL" so that a resolver that looks for the zone's apex does not keep it; RFC 2308, section 3 knows no exception.
    let zero = |authority: &BTreeSet<String>| -> BTreeSet<String> {
        authority
            .iter()
            .map(|line| line.replacen(" 120 6 ", " 0 6 ", 1))
            .collect()
    };
    if peer == "BIND" && qtype == 6 && zero(&ours.authority) == theirs.authority {
        return Some("a negative answer to a question for SOA has TTL 0");
    }
    // A chain that leads in circles, or further than anybody follows it, has no right answer: ours is what was found, at most 16
    // links; NSD has more; BIND says SERVFAIL.
    let links = |said: &Said| {
        said.answers
            .iter()
            .filter(|line| line.contains(" 5 "))
            .count()
    };
    if ours.rcode == "NoError" && ours.authority.is_empty() && links(ours) > 0 {
        match () {
            () if theirs.rcode == "ServFail" && ends_nowhere(ours) => {
                return Some("a chain that does not end is SERVFAIL");
            }
            () if is_renamed_again(ours) && theirs.answers.is_subset(&ours.answers) => {
                return Some("a DNAME that comes once more ends the chain");
            }
            () if links(ours) >= 15 && links(theirs) >= 15 => {
                return Some("a chain is followed for another number of links");
            }
            () => {}
        }
    }
    None
}

/// Whether the target of every CNAME is the owner of another, or there are as many as are followed.
fn ends_nowhere(said: &Said) -> bool {
    let links: Vec<Vec<&str>> = said
        .answers
        .iter()
        .map(|line| line.split(' ').collect())
        .collect();
    let links: Vec<(&str, &str)> = links
        .iter()
        .filter(|words| words[2] == "5")
        .map(|words| (words[0], words[3]))
        .collect();
    links.len() >= 16
        || said.truncated
        || links
            .iter()
            .all(|(_, target)| links.iter().any(|(owner, _)| owner == target))
}

/// Whether more names were renamed than there are DNAME records.
fn is_renamed_again(said: &Said) -> bool {
    let count = |of: &str| said.answers.iter().filter(|line| line.contains(of)).count();
    count(" 39 ") > 0 && count(" 5 ") > count(" 39 ")
}

/// What differs, in few words.
fn difference(ours: &Said, theirs: &Said) -> String {
    let mut text = String::new();
    let mut fact = |what: &str, one: &dyn std::fmt::Debug, other: &dyn std::fmt::Debug| {
        let (one, other) = (format!("{one:?}"), format!("{other:?}"));
        if one != other {
            let _ = write!(text, "\n  {what}: ours {one}\n  {what}: theirs {other}");
        }
    };
    fact("code", &ours.rcode, &theirs.rcode);
    fact(
        "aa tc",
        &(ours.authoritative, ours.truncated),
        &(theirs.authoritative, theirs.truncated),
    );
    fact("answer", &ours.answers, &theirs.answers);
    fact("authority", &ours.authority, &theirs.authority);
    fact("glue", &ours.glue, &theirs.glue);
    text
}

/// What came of asking.
#[derive(Default)]
struct Count {
    same: u64,
    rules: BTreeMap<(&'static str, &'static str), u64>,
    unknown: u64,
    /// Some of those, each with what differs.
    examples: Vec<String>,
}

/// Generates zones, serves them by everybody, and compares the answers to `queries` questions.
fn compare(seed: u64, queries: u64, count: &mut Count) -> Vec<&'static str> {
    let mut random = Random(seed);
    let zones = (0..ZONES).map(|index| Zone::generate(format!("z{index}.test"), &mut random));
    let zones: Vec<Zone> = zones.collect();
    let dir = tempfile::tempdir().expect("a directory");
    let mut offline = Offline::with(&config(), &[]);
    let mut given = Vec::new();
    for zone in &zones {
        let text = zone.text();
        fs::write(dir.path().join(format!("{}.zone", zone.apex)), &text).expect("written");
        let apex = Name::parse(&zone.apex).expect("a name");
        let mut include = |_: &str, _: &str| Err(String::new());
        let read = master::read("z", text.as_bytes(), &apex, &mut include);
        let (found, findings) = StaticZone::of(&read, &apex, &Weights::default());
        assert!(found.is_some(), "{findings:?}");
        given.push((apex, found.map(Box::new)));
    }
    offline.engine.set_static_zones(given, Vec::new());
    let peers = ["NSD", "Knot", "BIND"].into_iter();
    let peers: Vec<Peer> = peers
        .filter_map(|name| start(name, dir.path(), &zones))
        .collect();
    for index in 0..queries {
        let zone = &zones[random.next(ZONES)];
        let (name, qtype) = zone.question(&mut random);
        let asked = message(index as u16, &name, qtype);
        let answer = offline.ask(&asked, Transport::Udp).expect("an answer");
        let ours = Said::of(answer, "ours");
        for peer in &peers {
            let answer = ask(&peer.socket, &asked).expect("a peer answers");
            let theirs = Said::of(&answer, peer.name);
            if ours == theirs {
                count.same += 1;
            } else if let Some(rule) = rule(peer.name, qtype, &ours, &theirs) {
                *count.rules.entry((peer.name, rule)).or_default() += 1;
            } else {
                count.unknown += 1;
                let difference = difference(&ours, &theirs);
                let is_new = !count
                    .examples
                    .iter()
                    .any(|text| text.ends_with(&difference));
                if is_new && count.examples.len() < 20 {
                    let qtype = RecordType::from(qtype);
                    let text = format!("seed {seed}: {} {name} {qtype}{difference}", peer.name);
                    count.examples.push(text);
                }
            }
        }
    }
    peers.iter().map(|peer| peer.name).collect()
}

#[test]
#[ignore = "starts NSD, Knot and BIND, and asks them a hundred thousand questions"]
fn answers_are_those_of_nsd_knot_and_bind() {
    let number = |name: &str, default: u64| {
        let text = std::env::var(name).ok();
        text.and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let seed = number("SHIFTDNS_PEERS_SEED", 1);
    let queries = number("SHIFTDNS_PEERS_QUERIES", 100_000);
    let mut count = Count::default();
    for seed in seed..seed + ROUNDS {
        let peers = compare(seed, queries / ROUNDS, &mut count);
        assert!(!peers.is_empty(), "none of NSD, Knot and BIND is installed");
        println!("seed {seed}: asked {}", peers.join(", "));
    }
    println!("{queries} questions: {} answers alike", count.same);
    for ((peer, rule), count) in &count.rules {
        println!("{count:>8} {peer}: {rule}");
    }
    for text in &count.examples {
        println!("{text}");
    }
    assert_eq!(count.unknown, 0, "answers that differ without a rule");
}
