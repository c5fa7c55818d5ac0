//! A snapshot is read as it was written, or not at all.

use std::fs;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;

use super::*;

const DAY: Duration = Duration::from_secs(86_400);
const CLUSTER: &[u8] = b"https://10.0.0.1:6443";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn pods(count: usize, of: usize) -> Vec<Object> {
    let pod = |n: usize| {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("pod-{of}-{n}"), "namespace": "shop",
            "uid": "0f8fad5b-d9cb-469f-a165-70867728950e", "labels": {"app": "web"}},
            "status": {"podIP": "10.1.0.1"}})
    };
    let read = |n| serde_json::from_value(pod(n)).unwrap();
    (0..count).map(read).collect()
}

fn written(dir: &TempDir) -> (std::path::PathBuf, Vec<u8>) {
    let path = dir.path().join("snapshot");
    save(&path, CLUSTER, &pods(20, 0), at(0)).unwrap();
    let octets = fs::read(&path).unwrap();
    (path, octets)
}

fn loaded(path: &Path) -> Result<Snapshot, String> {
    load(path, CLUSTER, DAY, at(60)).map_err(|refused| refused.to_string())
}

#[test]
fn what_is_saved_is_what_is_loaded() {
    let dir = TempDir::new().unwrap();
    let (path, octets) = written(&dir);
    let snapshot = loaded(&path).unwrap();
    assert_eq!((snapshot.objects, snapshot.taken), (pods(20, 0), at(0)));
    assert_eq!(
        octets.len() as u64,
        save(&path, CLUSTER, &pods(20, 0), at(0)).unwrap()
    );
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        1,
        "the draft is gone"
    );
}

#[test]
fn what_is_not_ours_now_is_refused_with_the_reason() {
    let dir = TempDir::new().unwrap();
    let (path, octets) = written(&dir);
    let check = |refused: Result<Snapshot, Refused>, why: &str| {
        assert_eq!(
            refused.map(drop).map_err(|refused| refused.to_string()),
            Err(why.to_owned())
        );
    };
    check(
        load(&path.with_extension("no"), CLUSTER, DAY, at(0)),
        "there is none",
    );
    check(
        load(&path, b"https://10.0.0.2:6443", DAY, at(0)),
        "it is of another cluster",
    );
    let old = "it is of 2027-01-15T08:00:00Z, which is not within 86400 s";
    check(load(&path, CLUSTER, DAY, at(86_401)), old);
    check(load(&path, CLUSTER, DAY, at(-86_401)), old);
    assert!(load(&path, CLUSTER, DAY, at(86_400)).is_ok());
    let put = |octets: &[u8]| fs::write(&path, octets).unwrap();
    put(&[b"shiftdns-snapshot 2 ".as_slice(), &octets[20..]].concat());
    check(
        load(&path, CLUSTER, DAY, at(0)),
        "it is of another version of this program",
    );
    put(b"");
    check(
        load(&path, CLUSTER, DAY, at(0)),
        "it is broken: it has no first line",
    );
    put(b"#!/bin/sh\nexit 0\n");
    check(
        load(&path, CLUSTER, DAY, at(0)),
        "it is broken: it does not begin as one",
    );
    put(&octets[..octets.len() - 1]);
    check(
        load(&path, CLUSTER, DAY, at(0)),
        "it is broken: its checksum is another: it was cut off or changed",
    );
    // It costs no disk, and no memory.
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(10 << 30).unwrap();
    check(
        load(&path, CLUSTER, DAY, at(0)),
        "it has 10737418240 octets, and more than 268435456 are not read",
    );
}

/// Of a program with other fields: the sums are right, and the objects mean something else.
#[test]
fn another_shape_is_another_version() {
    let dir = TempDir::new().unwrap();
    let (path, octets) = written(&dir);
    let mut octets = octets[..octets.len() - 8].to_vec();
    octets[20..36].copy_from_slice(b"0123456789abcdef");
    octets.extend(sum_of(&octets).to_le_bytes());
    fs::write(&path, octets).unwrap();
    assert_eq!(
        loaded(&path).map(drop),
        Err("it is of another version of this program".to_owned())
    );
}

#[test]
fn one_that_cannot_be_saved_leaves_the_last_one() {
    let dir = TempDir::new().unwrap();
    let (path, octets) = written(&dir);
    let draft = Draft::of(&path).unwrap();
    let error = save(&path, CLUSTER, &pods(1, 1), at(5)).unwrap_err();
    assert_eq!(error.to_string(), "another process is writing it");
    assert_eq!(fs::read(&path).unwrap(), octets);
    drop(draft);
    save(&path, CLUSTER, &pods(1, 1), at(5)).unwrap();
    assert_eq!(loaded(&path).unwrap().taken, at(5));
}

proptest! {
    #[test]
    fn any_corruption_gives_all_or_nothing(
        end in any::<prop::sample::Index>(),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), 1_u8..), 0..4),
        more in proptest::collection::vec(any::<u8>(), 0..4),
        is_cut in any::<bool>(),
    ) {
        let dir = TempDir::new().unwrap();
        let (path, whole) = written(&dir);
        let mut octets = whole.clone();
        if is_cut {
            octets.truncate(end.index(octets.len() + 1));
        }
        for (at, bits) in flips {
            if !octets.is_empty() {
                let at = at.index(octets.len());
                octets[at] ^= bits;
            }
        }
        octets.extend(more);
        fs::write(&path, &octets).unwrap();
        match loaded(&path) {
            Ok(snapshot) => {
                prop_assert_eq!(&octets, &whole);
                prop_assert_eq!(snapshot.objects, pods(20, 0));
            }
            Err(_) => prop_assert_ne!(&octets, &whole),
        }
    }
}

/// How the writer of [`a_writer_that_is_killed_leaves_a_whole_one`] is told where to write.
const WRITER: &str = "SHIFTDNS_TEST_SNAPSHOT";

/// Not a test: the process that is killed. It saves snapshots that can be told apart, as fast as it can.
#[test]
#[ignore = "run by the test below, in a process of its own"]
fn writer() {
    let Some(path) = std::env::var_os(WRITER) else {
        return;
    };
    for of in 0.. {
        save(Path::new(&path), CLUSTER, &pods(200, of), at(0)).unwrap();
    }
}

/// Kills a writer in mid-write, `rounds` times; returns how many files were neither absent nor whole.
fn killed(rounds: u32) -> u32 {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("snapshot");
    let (mut broken, mut saved) = (0, 0);
    for round in 0..rounds {
        let mut writer = Command::new(std::env::current_exe().unwrap());
        writer.args(["--exact", "files::snapshot::tests::writer", "--ignored"]);
        writer
            .env(WRITER, &path)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let before = fs::metadata(&path).and_then(|file| file.modified()).ok();
        let mut writer = writer.spawn().unwrap();
        // Until it has written one, and then some part of another.
        while fs::metadata(&path).and_then(|file| file.modified()).ok() == before {
            std::thread::yield_now();
        }
        (0..round % 64 * 50).for_each(|_| std::thread::yield_now());
        writer.kill().unwrap();
        writer.wait().unwrap();
        match loaded(&path) {
            Ok(snapshot) => {
                let name = snapshot.objects[0].name().to_string();
                let of = name
                    .split('-')
                    .nth(1)
                    .and_then(|of| of.parse().ok())
                    .unwrap();
                let is_whole = snapshot.objects == pods(200, of);
                saved += u32::from(is_whole);
                broken += u32::from(!is_whole);
            }
            Err(_) => broken += 1,
        }
    }
    assert_eq!(saved + broken, rounds);
    broken
}

#[test]
fn a_writer_that_is_killed_leaves_a_whole_one() {
    assert_eq!(killed(20), 0);
}

#[test]
#[ignore = "a minute or more"]
fn a_writer_that_is_killed_a_thousand_times_leaves_a_whole_one() {
    assert_eq!(killed(1000), 0);
}
