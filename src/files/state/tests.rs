//! What survives in a state file, and what is not taken for one.

use std::sync::mpsc;

use jiff::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::model::{Intents, Promotion, Share, WorkloadKey, WorkloadKind};
use crate::rollout::{Cause, ChangeKind, Latch, State, TrackMemory};

fn key(name: &str) -> ServiceKey {
    ServiceKey::new("shop", name)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// A memory in which nothing is left out.
fn full() -> Memory {
    Memory {
        good: Some(vec![("weights".into(), "v1=90,v2=\"10\u{e9}\n".into())]),
        intents: Intents {
            promote: vec![
                ("a".into(), Promotion::Step(3)),
                ("b".into(), Promotion::Full),
            ],
            pause: vec!["b".into()],
            abort: vec!["c".into()],
            retry: vec![("d".into(), 7)],
        },
        state: Some(State::Progressing),
        since: Some(at(1)),
        short_ttl_until: Some(at(2)),
        tracks: vec![TrackMemory {
            workload: Some(WorkloadKey {
                kind: WorkloadKind::StatefulSet,
                namespace: "shop".into(),
                name: "db".into(),
            }),
            stable: "a".into(),
            target: "b".into(),
            kind: ChangeKind::Reroll,
            state: State::Paused,
            since: at(3),
            started: at(4),
            ramp: Some(at(5)),
            paused: Some(at(6)),
            paused_secs: 8,
            step: (2, 60),
            share: Share::from_basis_points(2500),
            forgiven: Some(at(9)),
            stale_deadline: true,
            latches: vec![Latch {
                hash: "c".into(),
                cause: Cause::ReadinessLost,
                at: at(10),
            }],
            retries: vec![("d".into(), 6)],
            seen: vec!["a".into(), "b".into()],
        }],
    }
}

fn memories() -> Memories {
    [(key("db"), full()), (key("web"), Memory::default())].into()
}

fn check(octets: &[u8], why: &str) {
    assert_eq!(read(octets), Err(why.to_owned()));
}

const CUT_OFF: &str = "its checksum is another: it was cut off or changed";

#[test]
fn what_is_written_is_what_is_read() {
    assert_eq!(read(&written(&memories()).unwrap()), Ok(memories()));
    assert_eq!(
        read(&written(&Memories::new()).unwrap()),
        Ok(Memories::new())
    );
    let path = TempDir::new().unwrap().path().join("state");
    assert_eq!(load(&path).unwrap(), Memories::new());
}

#[test]
fn no_file_that_was_cut_off_is_read() {
    let whole = written(&memories()).unwrap();
    for length in 0..whole.len() {
        assert!(read(&whole[..length]).is_err(), "{length}");
    }
    check(&whole[..whole.len() - 1], CUT_OFF);
    check(&whole[..40], CUT_OFF);
    check(&whole[..5], "it has no first line");
    check(b"", "it has no first line");
}

#[test]
fn no_file_with_a_flipped_bit_is_read() {
    let whole = written(&memories()).unwrap();
    for place in 0..whole.len() {
        for bit in 0..8 {
            let mut flipped = whole.clone();
            flipped[place] ^= 1 << bit;
            assert!(read(&flipped).is_err(), "octet {place}, bit {bit}");
        }
    }
}

#[test]
fn what_others_wrote_is_told_as_that() {
    check(
        b"kind: Service\nmetadata: {}\n",
        "it does not begin with `shiftdns-state`",
    );
    check(
        b"shiftdns-state 2 0\n{}",
        "it is of version `2`, this program reads version 1",
    );
    check(b"\xff\n", "it does not begin with `shiftdns-state`");
    let sealed = |body: &[u8]| {
        let head = format!("shiftdns-state 1 {}\n", checksum_of(body));
        [head.as_bytes(), body].concat()
    };
    check(&sealed(b"{\"web\":{}}"), "`web` is no service");
    assert!(
        read(&sealed(b"[]"))
            .unwrap_err()
            .starts_with("it cannot be read: ")
    );
    // A later release of this version may write more.
    let more = sealed(b"{\"shop/web\":{\"mood\":\"good\"}}");
    assert_eq!(read(&more), Ok([(key("web"), Memory::default())].into()));
}

/// A keeper over a file of its own, and the means to wait for it.
struct Kept {
    dir: TempDir,
    path: PathBuf,
    keeper: Keeper,
}

impl Kept {
    fn over(octets: Option<&[u8]>) -> (Self, Memories) {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("state");
        if let Some(octets) = octets {
            fs::write(&path, octets).unwrap();
        }
        let (keeper, memories) = Keeper::start(&path).unwrap();
        (Self { dir, path, keeper }, memories)
    }

    /// Puts a change and waits until it is on disk.
    fn put(&self, change: (ServiceKey, Option<Memory>)) -> Result<(), String> {
        let (sender, done) = mpsc::channel();
        let tell = move |result| drop(sender.send(result));
        self.keeper.sink().put(vec![change], Some(Box::new(tell)));
        done.recv().unwrap()
    }
}

#[test]
fn whoever_waits_is_answered_when_it_is_on_disk() {
    let (kept, memories) = Kept::over(None);
    assert_eq!(memories, Memories::new());
    assert_eq!(kept.put((key("db"), Some(full()))), Ok(()));
    assert_eq!(load(&kept.path).unwrap(), [(key("db"), full())].into());
    // What came before without being waited for is there as well.
    let other = (key("web"), Some(full()));
    kept.keeper.sink().put(vec![other], None);
    assert_eq!(kept.put((key("db"), None)), Ok(()));
    assert_eq!(load(&kept.path).unwrap(), [(key("web"), full())].into());
    assert_eq!(fs::read_dir(kept.dir.path()).unwrap().count(), 1);
}

#[test]
fn the_end_writes_what_is_left() {
    let (kept, _) = Kept::over(None);
    kept.put((key("db"), None)).unwrap();
    kept.keeper
        .sink()
        .put(vec![(key("web"), Some(full()))], None);
    kept.keeper.finish();
    assert_eq!(load(&kept.path).unwrap(), [(key("web"), full())].into());
}

#[test]
fn memories_from_before_are_kept_while_others_change() {
    let (kept, memories) = Kept::over(Some(&written(&self::memories()).unwrap()));
    assert_eq!(memories, self::memories());
    kept.put((key("web"), None)).unwrap();
    assert_eq!(load(&kept.path).unwrap(), [(key("db"), full())].into());
}

#[test]
fn a_broken_file_stands_until_there_is_a_good_one_and_is_then_put_aside() {
    let (kept, memories) = Kept::over(Some(b"precious"));
    assert_eq!(memories, Memories::new());
    assert_eq!(fs::read(&kept.path).unwrap(), b"precious");
    kept.put((key("db"), Some(full()))).unwrap();
    assert_eq!(load(&kept.path).unwrap(), [(key("db"), full())].into());
    let aside = kept.dir.path().join("state.broken");
    assert_eq!(fs::read(&aside).unwrap(), b"precious");
    // Good ones are replaced.
    kept.put((key("db"), None)).unwrap();
    assert_eq!(fs::read(&aside).unwrap(), b"precious");
}

#[test]
fn a_broken_file_that_somebody_takes_away_is_not_missed() {
    let (kept, _) = Kept::over(Some(b"precious"));
    fs::remove_file(&kept.path).unwrap();
    assert_eq!(kept.put((key("db"), Some(full()))), Ok(()));
    assert_eq!(load(&kept.path).unwrap(), [(key("db"), full())].into());
}

#[test]
fn what_could_not_be_written_is_told_and_tried_again() {
    let dir = TempDir::new().unwrap();
    let inner = dir.path().join("inner");
    let path = inner.join("state");
    assert!(matches!(Keeper::start(&path), Err(StateError::Io { .. })));
    fs::create_dir(&inner).unwrap();
    let (keeper, _) = Keeper::start(&path).unwrap();
    let kept = Kept { dir, path, keeper };
    fs::remove_dir(&inner).unwrap();
    assert!(kept.put((key("db"), Some(full()))).is_err());
    fs::create_dir(&inner).unwrap();
    // Nothing new, and all of it is written.
    assert_eq!(kept.put((key("gone"), None)), Ok(()));
    assert_eq!(load(&kept.path).unwrap(), [(key("db"), full())].into());
}
