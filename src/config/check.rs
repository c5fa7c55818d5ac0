//! From what was asked to what is in force: every value is read once, here, and every complaint has its place.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use serde_saphyr::Spanned;

use super::file::{self, Defaults, File, List, Source};
use super::{
    Api, Config, ConfigError, CpuAffinity, Dnstap, EmptyService, Flags, Identity, Kubernetes,
    Limits, Pods, Soa, Ttl, text,
};
use crate::model::{
    AnswerMode, DURATION_WORDS, OnFailure, Origin, Policy, Problem, RollbackMode, Strategy,
    parse_duration,
};
use crate::objects::LabelSelector;
use crate::rollout;

/// The format this release reads.
const API_VERSION: &str = "shiftdns.io/v1alpha1";
const KIND: &str = "Config";

/// TTLs are 31 bits (RFC 2181, section 8).
const TTL_MAX: u32 = i32::MAX.unsigned_abs();
/// A worker is a thread and a socket; more than this is a typing error on any machine there is.
const WORKERS_MAX: usize = 1024;
/// What fits into the kernel's usual set of processors.
const CPU_MAX: usize = 1023;
/// Where resolvers answer that are written without a port.
const DNS_PORT: u16 = 53;
/// They are asked one after another, each for two seconds at most: more would keep a look-up open longer than it is waited for.
const UPSTREAM_MAX: usize = 4;
/// Directly below a zone: what it has itself, whatever the cluster holds.
const ZONE_LABELS: [&str; 4] = ["svc", "pod", "dns", "dns-version"];
/// NSID and TXT strings carry their length in one octet.
const IDENTITY_MAX: usize = 255;
/// Ten times its own declaration: beyond it a capacity bounds nothing, and its arithmetic is meant for such numbers.
const HEADROOM_MAX: u32 = 1000;

/// The configuration that `file`, read from the file `name`, and `flags` ask for.
pub(super) fn check(name: Option<&str>, file: &File, flags: &Flags) -> Result<Config, ConfigError> {
    let mut check = Check {
        file: name.map(Arc::from),
        problems: Vec::new(),
    };
    check.header(file);
    let config = check.config(file, flags);
    check.listeners(&config, file, flags);
    check.not_ourselves(&config, file);
    if check.problems.is_empty() {
        return Ok(config);
    }
    let mut problems = check.problems;
    problems.sort_by_key(|problem| problem.origin.as_ref().map(|origin| origin.line));
    Err(ConfigError::Invalid { problems })
}

/// A value with the key, or the flag, that asked for it.
struct Asked<T> {
    value: T,
    key: &'static str,
    /// In the file, counted from 1; 0 for flags and defaults.
    line: u32,
}

fn asked<T: Clone>(value: &Spanned<T>, key: &'static str) -> Asked<T> {
    Asked {
        value: value.value.clone(),
        key,
        line: u32::try_from(value.referenced.line()).unwrap_or(u32::MAX),
    }
}

/// The flag where it was given, else the file's key.
fn one(
    flag: Option<&String>,
    name: &'static str,
    value: &Spanned<String>,
    key: &'static str,
) -> Asked<String> {
    match flag {
        Some(flag) => Asked {
            value: flag.clone(),
            key: name,
            line: 0,
        },
        None => asked(value, key),
    }
}

/// The flags where there are any, else the file's list.
fn many(
    flags: &[String],
    name: &'static str,
    list: &List,
    key: &'static str,
) -> Vec<Asked<String>> {
    if flags.is_empty() {
        return list.value.iter().map(|value| asked(value, key)).collect();
    }
    let from_flag = |flag: &String| Asked {
        value: flag.clone(),
        key: name,
        line: 0,
    };
    flags.iter().map(from_flag).collect()
}

/// Collects what is wrong; a value that cannot be read is replaced by one that can, since it will not be used.
struct Check {
    file: Option<Arc<str>>,
    problems: Vec<Problem>,
}

impl Check {
    fn refuse(&mut self, line: u32, key: &str, text: String) {
        let origin = self.file.clone().filter(|_| line > 0);
        self.problems.push(Problem {
            origin: origin.map(|file| Origin { file, line }),
            subject: key.to_owned(),
            text,
        });
    }

    /// The format must be named, so that a later one is not read as this one.
    fn header(&mut self, file: &File) {
        if self.file.is_none() {
            return;
        }
        let known = [
            (&file.api_version, "apiVersion", API_VERSION),
            (&file.kind, "kind", KIND),
        ];
        for (value, key, expected) in known {
            let got = asked(value, key);
            if got.value.is_empty() {
                self.refuse(
                    got.line.max(1),
                    key,
                    format!("missing, write `{key}: {expected}`"),
                );
            } else if got.value != expected {
                self.refuse(
                    got.line,
                    key,
                    format!("`{}` is not `{expected}`", got.value),
                );
            }
        }
    }

    fn config(&mut self, file: &File, flags: &Flags) -> Config {
        let zones = many(&flags.zone, "--zone", &file.zones, "zones");
        if zones.is_empty() {
            self.refuse(
                asked(&file.zones, "").line,
                "zones",
                "empty, and there is no server without a zone".to_owned(),
            );
        }
        let listen = many(&flags.listen, "--listen", &file.listen, "listen");
        if listen.is_empty() {
            self.refuse(
                asked(&file.listen, "").line,
                "listen",
                "empty, and nobody could ask".to_owned(),
            );
        }
        let reverse = many(&flags.reverse, "--reverse", &file.reverse, "reverse");
        let listed = |list: &List, key| many(&[], key, list, key);
        Config {
            zones: self.zones(zones),
            reverse: self.list(reverse, Self::network),
            listen: self.list(listen, Self::socket),
            http: self.socket_or_any(&one(flags.http.as_ref(), "--http", &file.http, "http")),
            api: Api {
                listen: self.socket_or_any(&one(
                    flags.api.as_ref(),
                    "--api",
                    &file.api.listen,
                    "api.listen",
                )),
                token_file: path(&file.api.token_file.value),
                actions: file.api.actions,
            },
            workers: self.workers(file, flags),
            cpu_affinity: self.cpu_affinity(&asked(&file.cpu_affinity, "cpuAffinity")),
            manifests: self.manifests(file, flags),
            kubernetes: kubernetes(file, flags),
            state: flags.state.clone().or_else(|| path(&file.state)),
            snapshot_max_age: self.time_or_never(&asked(&file.snapshot_max_age, "snapshotMaxAge")),
            lame_duck: self.time_or_never(&asked(&file.lame_duck, "lameDuck")),
            static_zones: flags.zones.clone().or_else(|| path(&file.static_zones)),
            upstream: self.upstream(&file.upstream),
            namespaces: self.list(listed(&file.namespaces, "namespaces"), Self::namespace),
            namespace_selector: self
                .selector(&asked(&file.namespace_selector, "namespaceSelector")),
            stale_after: self.time(&asked(&file.stale_after, "staleAfter")),
            unready_after: self.time_or_never(&asked(&file.unready_after, "unreadyAfter")),
            pods: self.word(
                &asked(&file.pods, "pods"),
                &[
                    ("disabled", Pods::Disabled),
                    ("insecure", Pods::Insecure),
                    ("verified", Pods::Verified),
                ],
            ),
            endpoint_pod_names: file.endpoint_pod_names,
            empty_service: self.word(
                &asked(&file.empty_service, "emptyService"),
                &[
                    ("nxdomain", EmptyService::Nxdomain),
                    ("nodata", EmptyService::Nodata),
                ],
            ),
            recursion_available: file.recursion_available,
            soa: Soa {
                mname: self.name_or_none(&asked(&file.soa.mname, "soa.mname")),
                rname: self.name_or_none(&asked(&file.soa.rname, "soa.rname")),
            },
            name_servers: self.list(listed(&file.name_servers, "nameServers"), Self::address),
            ttl: Ttl {
                cluster_ip: self.ttl(&asked(&file.ttl.cluster_ip, "ttl.clusterIp")),
                endpoints: self.ttl(&asked(&file.ttl.endpoints, "ttl.endpoints")),
                rollout: self.ttl(&asked(&file.ttl.rollout, "ttl.rollout")),
                negative: self.ttl(&asked(&file.ttl.negative, "ttl.negative")),
                cache_floor: self.ttl(&asked(&file.ttl.cache_floor, "ttl.cacheFloor")),
            },
            defaults: self.policy(&file.defaults),
            limits: Limits {
                endpoints_per_service: self.count(&asked(
                    &file.limits.endpoints_per_service,
                    "limits.endpointsPerService",
                )),
                endpoints_per_namespace: self.count(&asked(
                    &file.limits.endpoints_per_namespace,
                    "limits.endpointsPerNamespace",
                )),
                tcp_connections: self.count(&asked(
                    &file.limits.tcp_connections,
                    "limits.tcpConnections",
                )),
                tcp_idle: self.time(&asked(&file.limits.tcp_idle, "limits.tcpIdle")),
                tcp_message: self.time(&asked(&file.limits.tcp_message, "limits.tcpMessage")),
            },
            reserved_namespaces: self.list(
                listed(&file.reserved_namespaces, "reservedNamespaces"),
                Self::namespace,
            ),
            address_deny: self.list(listed(&file.address_deny, "addressDeny"), Self::network),
            identity: Identity {
                id: self.identity(&asked(&file.identity.id, "identity.id")),
                version: self
                    .identity(&asked(&file.identity.version, "identity.version"))
                    .filter(|version| version != "refused"),
            },
            dnstap: self.dnstap(&file.dnstap),
        }
    }

    /// Reads every entry of a list; one that stands twice is refused, since it is not what was meant.
    fn list<T: Ord + Clone>(
        &mut self,
        entries: Vec<Asked<String>>,
        read: impl Fn(&mut Self, &Asked<String>) -> Option<T>,
    ) -> Vec<T> {
        let mut seen = BTreeSet::new();
        let mut values = Vec::new();
        for entry in entries {
            let Some(value) = read(self, &entry) else {
                continue;
            };
            if seen.insert(value.clone()) {
                values.push(value);
            } else {
                self.refuse(
                    entry.line,
                    entry.key,
                    format!("`{}` stands twice", entry.value),
                );
            }
        }
        values
    }

    /// Complains where there is no value.
    fn need<T, U>(
        &mut self,
        from: &Asked<T>,
        value: Option<U>,
        text: impl FnOnce() -> String,
    ) -> Option<U> {
        if value.is_none() {
            self.refuse(from.line, from.key, text());
        }
        value
    }

    fn name(&mut self, from: &Asked<String>) -> Option<String> {
        let given = &from.value;
        self.need(from, text::name(given), || match given.contains('@') {
            true => format!("`{given}` is not a DNS name, write a dot for the `@`"),
            false => format!("`{given}` is not a DNS name"),
        })
    }

    fn name_or_none(&mut self, from: &Asked<String>) -> Option<String> {
        if from.value.is_empty() {
            None
        } else {
            self.name(from)
        }
    }

    /// A zone may lie below another, but not where that one has names of its own: the answer would be one's or the
    /// other's.
    fn zones(&mut self, asked: Vec<Asked<String>>) -> Vec<String> {
        let lines: Vec<_> = asked.iter().map(|from| (from.line, from.key)).collect();
        let zones = self.list(asked, Self::zone);
        for (inner, (line, key)) in zones.iter().zip(lines) {
            let clashes = |outer: &&String| {
                let front = inner
                    .strip_suffix(&***outer)
                    .and_then(|f| f.strip_suffix('.'));
                let last = front.and_then(|front| front.rsplit('.').next());
                last.is_some_and(|label| ZONE_LABELS.contains(&label))
            };
            if let Some(outer) = zones.iter().find(clashes) {
                self.refuse(
                    line,
                    key,
                    format!("`{inner}` lies among the names of zone `{outer}`"),
                );
            }
        }
        zones
    }

    fn zone(&mut self, from: &Asked<String>) -> Option<String> {
        let name = self.name(from)?;
        let is_reverse = ["in-addr.arpa", "ip6.arpa"].iter().any(|root| {
            name.strip_suffix(root)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        });
        let forward = Some(name).filter(|_| !is_reverse);
        self.need(from, forward, || {
            format!(
                "`{}` is a reverse zone, give its network under `reverse`",
                from.value
            )
        })
    }

    fn network(&mut self, from: &Asked<String>) -> Option<IpNet> {
        let given = &from.value;
        let network = self.need(from, given.parse::<IpNet>().ok(), || {
            format!("`{given}` is not a network such as `10.1.0.0/16` or `fd00::/8`")
        })?;
        let whole = network.trunc();
        self.need(from, Some(whole).filter(|whole| *whole == network), || {
            format!("`{given}` has bits set behind its prefix, the network is `{whole}`")
        })
    }

    fn socket(&mut self, from: &Asked<String>) -> Option<SocketAddr> {
        self.need(from, from.value.parse().ok(), || {
            format!(
                "`{}` is not an address with a port such as `127.0.0.1:1053`",
                from.value
            )
        })
    }

    fn socket_or_any(&mut self, from: &Asked<String>) -> SocketAddr {
        self.socket(from)
            .unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    fn upstream(&mut self, list: &List) -> Vec<SocketAddr> {
        let resolvers = self.list(many(&[], "", list, "upstream"), Self::resolver);
        if resolvers.len() > UPSTREAM_MAX {
            let text = format!("more than {UPSTREAM_MAX} resolvers");
            self.refuse(asked(list, "").line, "upstream", text);
        }
        resolvers
    }

    fn resolver(&mut self, from: &Asked<String>) -> Option<SocketAddr> {
        let given = &from.value;
        let address = self.need(from, text::socket(given, DNS_PORT), || {
            format!("`{given}` is not an address such as `192.0.2.1` or `[2001:db8::1]:5353`")
        })?;
        let ip = address.ip();
        let is_one = !ip.is_unspecified() && !ip.is_multicast() && address.port() != 0;
        self.need(from, Some(address).filter(|_| is_one), || {
            format!("`{given}` is not the address of a resolver")
        })
    }

    fn address(&mut self, from: &Asked<String>) -> Option<IpAddr> {
        self.need(from, from.value.parse().ok(), || {
            format!("`{}` is not an IP address", from.value)
        })
    }

    fn namespace(&mut self, from: &Asked<String>) -> Option<String> {
        let name = Some(from.value.clone()).filter(|name| text::is_namespace(name));
        self.need(from, name, || {
            format!("`{}` is not a name that a namespace can have", from.value)
        })
    }

    /// One of a few words; where it is none of them, the first.
    fn word<T: Copy>(&mut self, from: &Asked<String>, words: &[(&str, T)]) -> T {
        let found = words.iter().find(|(word, _)| *word == from.value);
        let found = self.need(from, found, || {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            format!("`{}` is none of {}", from.value, words.join(", "))
        });
        let (_, value) = found
            .or(words.first())
            .expect("every word list has an entry");
        *value
    }

    fn workers(&mut self, file: &File, flags: &Flags) -> Option<NonZeroUsize> {
        let from = match flags.workers {
            Some(value) => Asked {
                value,
                key: "--workers",
                line: 0,
            },
            None => asked(&file.workers, "workers"),
        };
        if from.value > WORKERS_MAX {
            self.refuse(
                from.line,
                from.key,
                format!("`{}` is above {WORKERS_MAX}", from.value),
            );
        }
        NonZeroUsize::new(from.value)
    }

    /// Whether the host has them is seen when the workers start.
    fn cpu_affinity(&mut self, from: &Asked<file::CpuAffinity>) -> CpuAffinity {
        let numbers = match &from.value {
            file::CpuAffinity::Switch(false) => return CpuAffinity::Off,
            file::CpuAffinity::Switch(true) => return CpuAffinity::On,
            file::CpuAffinity::Cpus(numbers) => numbers,
        };
        if numbers.is_empty() {
            let text = "empty, name a processor, or say `true` or `false`";
            self.refuse(from.line, from.key, text.to_owned());
        }
        let mut seen = BTreeSet::new();
        for number in numbers {
            if *number > CPU_MAX {
                let text = format!("`{number}` is above {CPU_MAX}");
                self.refuse(from.line, from.key, text);
            }
            if !seen.insert(number) {
                self.refuse(from.line, from.key, format!("`{number}` twice"));
            }
        }
        CpuAffinity::Cpus(numbers.clone())
    }

    fn manifests(&mut self, file: &File, flags: &Flags) -> Option<PathBuf> {
        let from_file = match &file.source {
            Source::Manifests(folder) => {
                let from = asked(folder, "source.manifests");
                self.need(&from, path(&from.value), || {
                    "empty, name a directory".to_owned()
                })
            }
            Source::Kubernetes(_) => None,
        };
        for (flag, is_given) in [
            ("--kubeconfig", flags.kubeconfig.is_some()),
            ("--context", flags.context.is_some()),
        ] {
            if is_given && flags.manifests.is_some() {
                let text = "a cluster and manifests are two sources, name one".to_owned();
                self.refuse(0, flag, text);
            }
        }
        let asks_for_cluster = flags.kubeconfig.is_some() || flags.context.is_some();
        let from_file = from_file.filter(|_| !asks_for_cluster);
        flags.manifests.clone().or(from_file)
    }

    fn ttl(&mut self, from: &Asked<u32>) -> u32 {
        if from.value > TTL_MAX {
            self.refuse(
                from.line,
                from.key,
                format!("`{}` is above {TTL_MAX}", from.value),
            );
        }
        from.value
    }

    fn count(&mut self, from: &Asked<usize>) -> usize {
        if from.value == 0 {
            self.refuse(
                from.line,
                from.key,
                "`0` would let nothing through".to_owned(),
            );
        }
        from.value
    }

    fn time(&mut self, from: &Asked<String>) -> Duration {
        let time = self.read_time(from);
        if time == Some(Duration::ZERO) {
            self.refuse(
                from.line,
                from.key,
                format!("`{}` would let nothing through", from.value),
            );
        }
        time.unwrap_or_default()
    }

    /// A time that is zero where there is to be none.
    fn time_or_never(&mut self, from: &Asked<String>) -> Duration {
        self.read_time(from).unwrap_or_default()
    }

    fn read_time(&mut self, from: &Asked<String>) -> Option<Duration> {
        let given = &from.value;
        self.need(from, text::duration(given), || {
            format!("`{given}` is not a duration such as `500ms`, `30s` or `5m`")
        })
    }

    fn selector(&mut self, from: &Asked<String>) -> Option<LabelSelector> {
        if from.value.trim().is_empty() {
            return None;
        }
        match LabelSelector::parse(&from.value) {
            Ok(selector) => Some(selector),
            Err(error) => {
                self.refuse(from.line, from.key, error.to_string());
                None
            }
        }
    }

    fn identity(&mut self, from: &Asked<String>) -> Option<String> {
        if from.value.len() > IDENTITY_MAX {
            self.refuse(
                from.line,
                from.key,
                format!("longer than {IDENTITY_MAX} octets"),
            );
        }
        Some(from.value.clone()).filter(|text| !text.is_empty())
    }

    fn dnstap(&mut self, asked_for: &file::Dnstap) -> Dnstap {
        let socket = asked(&asked_for.socket, "dnstap.socket");
        if !socket.value.is_empty() && !cfg!(feature = "dnstap") {
            let text = "this program was built without it; build it with `--features dnstap`";
            self.refuse(socket.line, socket.key, text.to_owned());
        }
        Dnstap {
            socket: path(&socket.value),
            identity: Some(asked_for.identity.clone()).filter(|name| !name.is_empty()),
        }
    }

    fn policy(&mut self, defaults: &Defaults) -> Policy {
        let strategy = asked(&defaults.strategy, "defaults.strategy");
        let strategy = match rollout::default_strategy(&strategy.value) {
            Ok(found) => found,
            Err(text) => {
                self.refuse(strategy.line, strategy.key, text);
                Strategy::Follow
            }
        };
        let soak = asked(&defaults.soak, "defaults.soak");
        let soak_secs = self.need(&soak, parse_duration(&soak.value), || {
            format!("`{}` is not {DURATION_WORDS}", soak.value)
        });
        let records = asked(&defaults.records, "defaults.records");
        if !(1..=8).contains(&records.value) {
            self.refuse(
                records.line,
                records.key,
                format!("`{}` is not from 1 to 8", records.value),
            );
        }
        let headroom = asked(&defaults.headroom, "defaults.headroom");
        if !(1..=HEADROOM_MAX).contains(&headroom.value) {
            let text = format!(
                "`{}` is not a percentage from 1 to {HEADROOM_MAX}",
                headroom.value
            );
            self.refuse(headroom.line, headroom.key, text);
        }
        Policy {
            strategy,
            soak_secs: soak_secs.unwrap_or_default(),
            answer: self.word(
                &asked(&defaults.answer, "defaults.answer"),
                &AnswerMode::ALL.map(|mode| (mode.as_str(), mode)),
            ),
            records: records.value,
            on_failure: self.word(
                &asked(&defaults.on_failure, "defaults.onFailure"),
                &OnFailure::ALL.map(|then| (then.as_str(), then)),
            ),
            rollback: self.word(
                &asked(&defaults.rollback, "defaults.rollback"),
                &RollbackMode::ALL.map(|mode| (mode.as_str(), mode)),
            ),
            headroom_percent: headroom.value,
            ..Policy::default()
        }
    }

    /// Whom we ask must not be ourselves: we would refuse it, or ask again in turn.
    fn not_ourselves(&mut self, config: &Config, file: &File) {
        for from in many(&[], "", &file.upstream, "upstream") {
            let is_ours = |asked: SocketAddr| {
                config.listen.iter().any(|listen| {
                    let any =
                        listen.ip().is_unspecified() && asked.ip().to_canonical().is_loopback();
                    listen.port() == asked.port() && (listen.ip() == asked.ip() || any)
                })
            };
            if text::socket(&from.value, DNS_PORT).is_some_and(is_ours) {
                let text = format!("`{}` is where DNS is answered", from.value);
                self.refuse(from.line, from.key, text);
            }
        }
    }

    /// What the listeners must not be to each other and to the world.
    fn listeners(&mut self, config: &Config, file: &File, flags: &Flags) {
        let http = one(flags.http.as_ref(), "--http", &file.http, "http");
        let api = one(flags.api.as_ref(), "--api", &file.api.listen, "api.listen");
        let taken = |address: SocketAddr| address.port() != 0 && config.listen.contains(&address);
        for (from, address) in [(&http, config.http), (&api, config.api.listen)] {
            if taken(address) {
                self.refuse(
                    from.line,
                    from.key,
                    format!("`{address}` is where DNS is answered"),
                );
            }
        }
        if config.http == config.api.listen && config.http.port() != 0 {
            self.refuse(
                api.line,
                api.key,
                format!("`{}` is the address of probes and metrics", config.http),
            );
        }
        let address = config.api.listen;
        if !address.ip().to_canonical().is_loopback() && config.api.token_file.is_none() {
            let text = format!(
                "`{address}` is not on loopback, and the API tells who runs what: set `api.tokenFile`, or listen on 127.0.0.1"
            );
            self.refuse(api.line, api.key, text);
        }
    }
}

/// The flags where they are given, else the file's keys.
fn kubernetes(file: &File, flags: &Flags) -> Kubernetes {
    let said = match &file.source {
        Source::Kubernetes(cluster) => Kubernetes {
            kubeconfig: path(&cluster.kubeconfig.value),
            context: Some(cluster.context.value.clone()).filter(|context| !context.is_empty()),
        },
        Source::Manifests(_) => Kubernetes::default(),
    };
    Kubernetes {
        kubeconfig: flags.kubeconfig.clone().or(said.kubeconfig),
        context: flags.context.clone().or(said.context),
    }
}

fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| PathBuf::from(text))
}
