//! The program and its configuration file: read anew on SIGHUP, when the file is another, and when a mounted ConfigMap swaps
//! its link; what cannot be obeyed is told with file and line, and what was in force stays so.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod rig;

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Far above any time it takes; a test that waits this long fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program, killed when it is dropped.
struct Server {
    child: Child,
    log: PathBuf,
    dns: SocketAddr,
    http: SocketAddr,
    api: SocketAddr,
}

impl Server {
    fn start(home: &Path, config: &Path) -> Self {
        let log = home.join("log");
        let file = File::create(&log).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_shiftdns"))
            .arg("serve")
            .arg("--config")
            .arg(config)
            .args(["--manifests", "zones/demo"])
            .args([
                "--listen",
                "127.0.0.1:0",
                "--http",
                "127.0.0.1:0",
                "--api",
                "127.0.0.1:0",
            ])
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut server = Self {
            child,
            log,
            dns: nowhere,
            http: nowhere,
            api: nowhere,
        };
        let after = |log: &str, mark: &str| -> Option<SocketAddr> {
            let (_, rest) = log.split_once(mark)?;
            rest.split_once([' ', '\n'])?.0.parse().ok()
        };
        (server.dns, server.http, server.api) = server.eventually("it serves", |server| {
            let log = server.log();
            let (dns, http) = (after(&log, " address=")?, after(&log, " http=")?);
            Some((dns, http, after(&log, " api=")?))
        });
        server
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Looks until there is something, while it runs.
    fn eventually<T>(&mut self, what: &str, look: impl Fn(&Self) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            let ended = self.child.try_wait().unwrap();
            assert_eq!(ended, None, "{what}\n{}", self.log());
            assert!(begun.elapsed() < PATIENCE, "{what}\n{}", self.log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn hang_up(&self) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-HUP", &id]).status().unwrap();
        assert!(sent.success());
    }

    fn get(at: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(at).unwrap();
        let request = format!("GET {path} HTTP/1.0\r\nhost: {at}\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    /// What the counters of reloads stand at: successes, failures, and whether the last one succeeded.
    fn reloads(&self) -> [u64; 3] {
        let text = Self::get(self.http, "/metrics");
        [
            "shiftdns_config_reloads_total{result=\"success\"} ",
            "shiftdns_config_reloads_total{result=\"failure\"} ",
            "shiftdns_config_last_reload_successful ",
        ]
        .map(|name| {
            let mut lines = text.lines();
            let value = lines.find_map(|line| line.strip_prefix(name)).unwrap();
            value.parse().unwrap()
        })
    }

    fn ttl(&self) -> u32 {
        let answer = rig::udp(self.dns, &rig::query("api.shop.svc.Z A")).unwrap();
        // None while the names are not there.
        let answers = rig::decode(&answer).answers;
        answers.first().map_or(0, |record| record.ttl)
    }

    fn problems(&self) -> String {
        Self::get(self.api, "/api/v1/problems")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(ttl: &str) -> String {
    format!("apiVersion: shiftdns.io/v1alpha1\nkind: Config\nttl:\n  clusterIp: {ttl}\n")
}

#[test]
fn a_file_is_read_anew_when_it_is_another_and_a_broken_one_keeps_all() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("config.yaml");
    fs::write(&file, text("41")).unwrap();
    let mut server = Server::start(home.path(), &file);
    server.eventually("the names are there", |server| {
        (server.ttl() == 41).then_some(())
    });
    assert_eq!(server.reloads(), [0, 0, 1]);

    // In place, and with another file in its place, as editors write.
    fs::write(&file, text("42")).unwrap();
    server.eventually("written", |server| (server.ttl() == 42).then_some(()));
    fs::write(home.path().join("new"), text("43")).unwrap();
    fs::rename(home.path().join("new"), &file).unwrap();
    server.eventually("renamed", |server| (server.ttl() == 43).then_some(()));

    fs::write(&file, text("many")).unwrap();
    server.eventually("broken", |server| (server.reloads()[2] == 0).then_some(()));
    let place = format!("{}:4: ttl.clusterIp: ", file.display());
    assert_eq!(server.ttl(), 43);
    server.eventually("the log has the place", |server| {
        let log = server.log();
        let says =
            log.contains("the configuration cannot be obeyed; the one before stays in force");
        (says && log.contains(&place)).then_some(())
    });
    assert!(
        server.problems().contains("ttl.clusterIp"),
        "{}",
        server.problems()
    );

    fs::write(&file, text("44") + "workers: 7\n").unwrap();
    server.eventually("right again", |server| (server.ttl() == 44).then_some(()));
    server.eventually("told", |server| {
        let problems = server.problems();
        let waits = problems.contains("`workers` takes effect after a restart");
        (waits && !problems.contains("ttl.clusterIp")).then_some(())
    });
    assert_eq!(server.reloads()[2], 1);
    assert!(server.reloads()[0] >= 3 && server.reloads()[1] >= 1);
}

#[test]
fn sighup_reads_anew_and_does_not_end_the_process() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("config.yaml");
    fs::write(&file, text("41")).unwrap();
    let mut server = Server::start(home.path(), &file);
    for count in 1..=3 {
        server.hang_up();
        server.eventually("counted", |server| {
            (server.reloads() == [count, 0, 1]).then_some(())
        });
    }
    server.eventually("the names are there", |server| {
        (server.ttl() == 41).then_some(())
    });
}

/// `config.yaml -> ..data/config.yaml`, `..data -> ..1`: the kubelet writes `..2` and renames a new link over `..data`.
#[test]
fn a_mounted_config_map_is_read_anew_when_its_link_is_swapped() {
    let home = tempfile::tempdir().unwrap();
    let mount = home.path().join("etc");
    let version = |number: u32| {
        let folder = mount.join(format!("..{number}"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("config.yaml"), text(&number.to_string())).unwrap();
        symlink(format!("..{number}"), mount.join("..data_tmp")).unwrap();
        fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
    };
    version(51);
    symlink("..data/config.yaml", mount.join("config.yaml")).unwrap();
    let mut server = Server::start(home.path(), &mount.join("config.yaml"));
    for number in [52, 53] {
        version(number);
        server.eventually("swapped", |server| (server.ttl() == number).then_some(()));
        fs::remove_dir_all(mount.join(format!("..{}", number - 1))).unwrap();
    }
    assert_eq!(server.reloads()[1..], [0, 1]);
}
