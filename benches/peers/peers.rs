//! The peers: their configurations over the same cluster, as a zone file or from an API server.
//!
//! What all have in common: one worker thread or process, loopback only, nothing logged but errors, no signing, no transfers, no
//! rate limits, 1232 octets of UDP, addresses of SRV targets in the additional section. What is said to one of them alone stands at it with
//! its reason; everything else is as the package has it. A peer that is not installed is missing from the table, with what installs it.

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::servers::{Ground, Prepared, Which, first_line};
use crate::shape::ZONE;
use crate::zonefile;

/// How to run this one on `address`, or what is missing.
pub(crate) fn prepare(
    which: Which,
    ground: &Ground,
    home: &Path,
    address: SocketAddr,
) -> Result<Prepared, String> {
    let write = |name: &str, text: &str| {
        let path = home.join(name);
        fs::write(&path, text).map_err(|error| format!("`{}`: {error}", path.display()))
    };
    if !matches!(which, Which::Coredns | Which::CorednsCache) {
        write("zone", &zonefile::zone(ground.shape))?;
    }
    let port = address.port();
    let home = home.display();
    match which {
        Which::Knot => {
            let program = installed("knotd", "knot")?;
            // `background-workers` load the zone and then wait.
            write(
                "knot.conf",
                &format!(
                    "server:\n    listen: 127.0.0.1@{port}\n    rundir: {home}\n    udp-workers: 1\n    tcp-workers: 1\n    \
                     background-workers: 1\n    udp-max-payload: 1232\n\
                     log:\n  - target: stderr\n    any: error\n\
                     database:\n    storage: {home}\n\
                     zone:\n  - domain: {ZONE}\n    file: {home}/zone\n    storage: {home}\n    zonefile-sync: -1\n    \
                     journal-content: none\n"
                ),
            )?;
            let mut command = Command::new(&program);
            command.args(["-c", &format!("{home}/knot.conf")]);
            Ok(Prepared {
                command,
                version: first_line(Command::new(program).arg("--version")),
            })
        }
        Which::Nsd => {
            let program = installed("nsd", "nsd")?;
            // Debian compiles rate limits in, 200 a second by default: off. `minimal-responses: yes` would leave out the addresses
            // of SRV targets, so it stays `no`, and name servers stand in the authority section.
            write(
                "nsd.conf",
                &format!(
                    "server:\n  ip-address: 127.0.0.1@{port}\n  server-count: 1\n  username: \"\"\n  chroot: \"\"\n  \
                     zonesdir: \"{home}\"\n  database: \"\"\n  zonelistfile: \"{home}/zones\"\n  logfile: \"{home}/nsd.log\"\n  \
                     pidfile: \"{home}/pid\"\n  xfrdfile: \"{home}/xfrd\"\n  xfrdir: \"{home}\"\n  verbosity: 0\n  \
                     ipv4-edns-size: 1232\n  tcp-count: 200\n  receive-buffer-size: 4194304\n  send-buffer-size: 4194304\n  \
                     rrl-ratelimit: 0\n  rrl-whitelist-ratelimit: 0\n\
                     remote-control:\n  control-enable: no\n\
                     zone:\n  name: {ZONE}\n  zonefile: zone\n"
                ),
            )?;
            let mut command = Command::new(&program);
            command.args(["-d", "-c", &format!("{home}/nsd.conf")]);
            Ok(Prepared {
                command,
                version: first_line(Command::new(program).arg("-v")),
            })
        }
        Which::Bind => {
            let program = installed("named", "bind9")?;
            // `no-auth`: the addresses of SRV targets, but no name servers.
            write(
                "named.conf",
                &format!(
                    "options {{ directory \"{home}\"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; pid-file none; \
                     session-keyfile none; recursion no; allow-query {{ any; }}; notify no; empty-zones-enable no; \
                     dnssec-validation no; minimal-responses no-auth; max-udp-size 1232; edns-udp-size 1232; \
                     zone-statistics none; querylog no; }};\n\
                     controls {{ }};\n\
                     logging {{ category default {{ null; }}; }};\n\
                     zone \"{ZONE}\" {{ type primary; file \"zone\"; check-names ignore; }};\n"
                ),
            )?;
            let mut command = Command::new(&program);
            command.args(["-f", "-4", "-n", "1", "-c", &format!("{home}/named.conf")]);
            Ok(Prepared {
                command,
                version: first_line(Command::new(program).arg("-v")),
            })
        }
        Which::Powerdns => {
            let program = installed("pdns_server", "pdns-server pdns-backend-bind")?;
            // The packet cache is on, as the package has it: without it the backend is asked for every query.
            write(
                "named.conf",
                &format!("zone \"{ZONE}\" {{ type master; file \"{home}/zone\"; }};\n"),
            )?;
            write(
                "pdns.conf",
                &format!(
                    "launch=bind\nbind-config={home}/named.conf\nlocal-address=127.0.0.1\nlocal-port={port}\nsocket-dir={home}\n\
                     daemon=no\nguardian=no\nreceiver-threads=1\ndistributor-threads=1\nretrieval-threads=1\nsigning-threads=1\n\
                     disable-syslog=yes\nloglevel=3\nmax-tcp-connections=200\nudp-truncation-threshold=1232\nversion-string=anonymous\n\
                     security-poll-suffix=\n"
                ),
            )?;
            let mut command = Command::new(&program);
            command.arg(format!("--config-dir={home}"));
            Ok(Prepared {
                command,
                // A time stands before it, as before every line of its log.
                version: from_word(
                    &first_line(Command::new(program).arg("--version")),
                    "PowerDNS",
                ),
            })
        }
        Which::Coredns | Which::CorednsCache => {
            let program = coredns()?;
            let cache = match which {
                Which::CorednsCache => "cache 30",
                _ => "",
            };
            write(
                "Corefile",
                &format!(
                    "{ZONE}:{port} {{\n  bind 127.0.0.1\n  kubernetes {ZONE} {{\n    endpoint http://{}\n    ttl 30\n  }}\n  {cache}\n}}\n",
                    ground.api.address
                ),
            )?;
            let mut command = Command::new(&program);
            command
                .args(["-conf", &format!("{home}/Corefile")])
                .env("GOMAXPROCS", "1");
            Ok(Prepared {
                command,
                version: first_line(Command::new(program).arg("-version")),
            })
        }
        _ => unreachable!("`servers` starts reflectors and ours"),
    }
}

/// The line from `word` on.
fn from_word(line: &str, word: &str) -> String {
    let start = line.find(word).unwrap_or(0);
    line.get(start..).unwrap_or_default().to_owned()
}

/// A program in PATH, or where Debian keeps servers, which is not in everybody's PATH.
pub(crate) fn installed(program: &str, packages: &str) -> Result<PathBuf, String> {
    let path = env::var_os("PATH").unwrap_or_default();
    let directories = env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let mut candidates = directories.map(|directory| directory.join(program));
    candidates
        .find(|path| path.is_file())
        .ok_or_else(|| format!("no `{program}` in PATH; apt-get install {packages}"))
}

/// CoreDNS as the test control plane builds it: a pinned Go module, in the cache that `tests/cluster/build` keeps.
fn coredns() -> Result<PathBuf, String> {
    let home = env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let cache = env::var_os("XDG_CACHE_HOME").map_or_else(|| home.join(".cache"), PathBuf::from);
    let root = env::var_os("SHIFTDNS_CLUSTER_CACHE")
        .map_or_else(|| cache.join("shiftdns/cluster"), PathBuf::from);
    let builds = fs::read_dir(&root).into_iter().flatten().flatten();
    let programs = builds.map(|build| build.path().join("bin/coredns"));
    let newest = programs
        .filter(|program| program.is_file())
        .max_by_key(|program| program.metadata().and_then(|meta| meta.modified()).ok());
    newest
        .or_else(|| installed("coredns", "").ok())
        .ok_or_else(|| "no `coredns`; tests/cluster/build builds it (Go 1.26)".to_owned())
}
