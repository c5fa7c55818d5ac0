//! Replays: the worked examples of roll-outs as recordings of Kubernetes objects, told to an engine in any order and
//! with restarts in between. However it is told, the service is the same afterwards; without its memory, its split is.
//!
//! In a second in which the engine moves something by itself (a drain ends, a ramp grows) news may come before or after
//! that, and both are right; the examples have none such that would tell.

mod flips;
mod lost;
mod story;

use std::sync::{Arc, LazyLock};

use crate::answer::View;
use crate::app;
use crate::cli::check::resets;
use crate::config::{self, Flags};
use crate::engine::{Engine, TrackSummary, VersionSummary};
use crate::files::state::Memories;
use crate::objects::{Change, Object};
use crate::rollout::Memory;
use crate::rollout::controllers::Second;
use crate::zone::Node;
use story::{Objects, Recording, Story, fold, moment, web};

/// What is told of the service at a second.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    second: Second,
    state: &'static str,
    versions: Vec<VersionSummary>,
    tracks: Vec<TrackSummary>,
}

impl Told {
    /// `second v1hash=share v2hash=share`, in basis points.
    fn split(&self) -> String {
        let shares = self.versions.iter();
        let shares = shares.map(|v| format!(" {}={}", v.hash, v.share.basis_points()));
        format!("{}{}", self.second, shares.collect::<String>())
    }
}

/// A server, with all that it was told.
struct Server {
    engine: Engine,
    /// What queries see.
    view: Arc<View>,
    objects: Objects,
    /// As its state file has them.
    memories: Memories,
}

impl Server {
    /// A process that begins at a second: it reads its state file, then all objects at once.
    fn start(objects: Objects, memories: Memories, second: Second) -> Self {
        let config = config::load(None, &Flags::default()).expect("the defaults are sound");
        let (mut engine, view) = app::offline(&config).expect("the zones' own names fit");
        engine.remember(memories.clone());
        let list: Vec<Object> = objects.values().cloned().collect();
        engine.apply(resets(list), moment(second));
        Self {
            engine,
            view,
            objects,
            memories,
        }
    }

    fn apply(&mut self, changes: Vec<Change>, second: Second) {
        for change in &changes {
            fold(&mut self.objects, change);
        }
        self.engine.apply(changes, moment(second));
    }

    fn tick(&mut self, second: Second) {
        let now = moment(second);
        if self.engine.next_due().is_some_and(|due| due <= now) {
            self.engine.tick(now);
        }
    }

    /// The process ends and begins again.
    fn restart(&mut self, second: Second) {
        for (key, memory) in self.engine.take_remembered() {
            match memory {
                Some(memory) => self.memories.insert(key, memory),
                None => self.memories.remove(&key),
            };
        }
        let stored = |memory: &Memory| -> Memory {
            let text = serde_json::to_string(memory).expect("a memory is text");
            serde_json::from_str(&text).expect("as it was written")
        };
        let read = self.memories.iter();
        let read = read.map(|(key, memory)| (key.clone(), stored(memory)));
        *self = Self::start(self.objects.clone(), read.collect(), second);
    }

    fn told(&self, second: Second) -> Told {
        let list = self.engine.list();
        let mut list = list.iter();
        let summary = list.find(|summary| summary.key == web());
        let summary = summary.expect("the service is there all the time");
        Told {
            second,
            state: summary.state.as_str(),
            versions: summary.versions.clone(),
            tracks: summary.tracks.clone(),
        }
    }

    /// What is published is what compiling all that is known would give.
    fn check_published(&self, second: Second) {
        for (name, node) in self.engine.compile_from_scratch(moment(second)) {
            let found = self.view.store.find(name.as_wire(), Node::clone);
            assert!(found == Some(node), "second {second}: {name:?} is behind");
        }
    }
}

/// How a recording is told.
#[derive(Clone, Copy)]
enum Telling {
    /// What happens in a second is one batch.
    AtOnce,
    /// The same, with a restart after every event and every tick.
    Restarted,
    /// One object at a time, in an order that a seed gives.
    Shuffled(u64),
    /// The same, with a restart after every object.
    ShuffledAndRestarted(u64),
}

impl Telling {
    fn tell(self, server: &mut Server, changes: &[Change], second: Second) {
        let (seed, restarts) = match self {
            Self::AtOnce | Self::Restarted => return server.apply(changes.to_vec(), second),
            Self::Shuffled(seed) => (seed, false),
            Self::ShuffledAndRestarted(seed) => (seed, true),
        };
        for change in shuffled(changes, seed, second) {
            server.apply(vec![change], second);
            if restarts {
                server.restart(second);
            }
        }
    }
}

fn shuffled(changes: &[Change], seed: u64, second: Second) -> Vec<Change> {
    let mut changes = changes.to_vec();
    // Fisher and Yates, by the numbers of splitmix64.
    let mut state = seed << 32 | second.unsigned_abs();
    for last in (1..changes.len()).rev() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^= word >> 31;
        let place = word % (last as u64 + 1);
        changes.swap(last, usize::try_from(place).expect("below the length"));
    }
    changes
}

/// Tells a recording from a second on, and gives what is told of the service at every event and every tick.
fn replay(server: &mut Server, recording: &Recording, from: Second, telling: Telling) -> Vec<Told> {
    let mut told = Vec::new();
    for second in from..=recording.until {
        let changes = recording.at(second);
        if !changes.is_empty() {
            telling.tell(server, changes, second);
        }
        server.tick(second);
        if !changes.is_empty() || second % 5 == 0 {
            match telling {
                Telling::Restarted => server.restart(second),
                Telling::Shuffled(_) => server.check_published(second),
                Telling::AtOnce | Telling::ShuffledAndRestarted(_) => {}
            }
            told.push(server.told(second));
        }
    }
    told
}

/// The whole recording, beginning at rest.
fn whole(recording: &Recording, telling: Telling) -> Vec<Told> {
    let mut server = Server::start(recording.rest.clone(), Memories::new(), -1);
    replay(&mut server, recording, 0, telling)
}

/// What is told of the service by a server that knows nothing but these objects, and by and by the rest of the
/// recording; `late` are those of the second's changes that reach it one by one.
fn forgotten(
    recording: &Recording,
    objects: Objects,
    late: &[Change],
    second: Second,
) -> Vec<Told> {
    let mut server = Server::start(objects, Memories::new(), second);
    for change in late {
        server.apply(vec![change.clone()], second);
    }
    server.tick(second);
    let mut told = vec![server.told(second)];
    told.extend(replay(&mut server, recording, second + 1, Telling::AtOnce));
    told
}

#[track_caller]
fn check(told: &[Told], reference: &[Told], what: &str) {
    assert_eq!(told.len(), reference.len(), "{what}");
    for (told, reference) in told.iter().zip(reference) {
        assert_eq!(told, reference, "{what}, second {}", reference.second);
    }
}

#[track_caller]
fn check_splits(told: &[Told], reference: &[Told], what: &str) {
    let splits = |told: &[Told]| told.iter().map(Told::split).collect::<Vec<_>>();
    assert_eq!(splits(told), splits(reference), "{what}");
}

/// A recording, with what is told of the service by a server that nothing disturbs.
struct Example {
    name: &'static str,
    recording: Recording,
    reference: Vec<Told>,
}

/// Name | workload | annotations of the service | what is done, and how long pods take.
const STORIES: &str = "
    1a                   | Deployment replicas: 10 | | 0 update v2
    1a with a guard      | Deployment replicas: 10 | strategy: follow | 0 update v2
    1b                   | Deployment replicas: 10 | ramp: 60s; soak: 5s | 0 update v2
    1c                   | Deployment replicas: 10, minReadySeconds: 30 | ramp: 60s; soak: 5s | 0 update v2
    1d                   | Deployment replicas: 10, minReadySeconds: 120, RECIPE | ramp: 100s; soak: 5s | 0 update v2
    1d in steps          | Deployment replicas: 10, minReadySeconds: 120, RECIPE | steps: 5@10s,25@20s,100 | 0 update v2
    2a                   | Deployment replicas: 10 | ramp: 60s; soak: 5s | 0 update v2; 12 undo
    2b                   | Deployment replicas: 10 | ramp: 60s; soak: 5s | 0 update v2; 22 undo
    2c                   | Deployment replicas: 10, minReadySeconds: 120, RECIPE | ramp: 60s | 0 update v2; 60 undo; gone 20
    3a                   | Deployment replicas: 10, progressDeadlineSeconds: 60 | ramp: 60s | 0 update v2; 0 fail v2; 90 undo
    3b                   | Deployment replicas: 10, minReadySeconds: 60 | strategy: follow | 0 update v2; 0 crash v2 5
    4                    | Deployment replicas: 10, THREE | strategy: follow | 0 update v2; 1 pause; 60 resume
    4 in steps           | Deployment replicas: 10, THREE | steps: 10 | 0 update v2; 1 pause; 60 resume
    5                    | Deployment replicas: 10, minReadySeconds: 120, RECIPE | strategy: blue-green; auto-promotion: 20s | 0 update v2
    6                    | StatefulSet replicas: 5, PARTITION | steps: 5@10s,25@20s,100 | 0 update v2; 80 undo
    7                    | Deployment replicas: 10 | ramp: 60s; soak: 5s | 0 update v2; 12 update v3
    recreate             | Deployment replicas: 4, strategy: {type: Recreate} | ramp: 60s; soak: 5s | 0 update v2; 30 undo; gone 5
    daemon set           | DaemonSet minReadySeconds: 0 | ramp: 60s; soak: 5s | 0 update v2; 25 undo
    daemons in pairs     | DaemonSet minReadySeconds: 40, PAIRS | ramp: 60s; soak: 5s | 0 update v2
    ready at once        | DaemonSet minReadySeconds: 40, PAIRS | steps: 5@10s,25@20s,100 | 0 update v2; ready 0
    forward again        | StatefulSet replicas: 3, podManagementPolicy: Parallel | ramp: 30s; rollback: immediate | 0 update v2; 12 undo; 40 update v2
    a crash at the end   | Deployment replicas: 1 | ramp: 60s; soak: 5s | 0 update v2; 0 crash v2 7; gone 17
";

static EXAMPLES: LazyLock<Vec<Example>> = LazyLock::new(|| {
    let stories = STORIES.trim().lines().map(Story::read);
    let played = stories.map(|story| (story.name, story.record()));
    let all = played.chain([("5 of two services", flips::record())]);
    all.map(|(name, recording)| Example {
        name,
        reference: whole(&recording, Telling::AtOnce),
        recording,
    })
    .collect()
});

/// As a table of the worked examples has it: seconds with the shares of v1 and v2 in percent.
#[test]
fn the_recordings_are_of_the_worked_examples() {
    for (name, expected) in [
        ("1a", "0 100 0, 10 37 62, 20 0 100"),
        (
            "1c",
            "10 100 0, 20 91 8, 30 75 25, 40 37 62, 60 25 75, 80 0 100",
        ),
        ("1d", "10 100 0, 20 95 5, 60 55 45, 100 15 85, 115 0 100"),
        ("2a", "10 37 62, 12 37 62, 22 100 0"),
        ("2b", "22 0 100, 32 62 37, 42 100 0"),
        ("3a", "60 100 0, 90 100 0, 100 100 0"),
        ("3b", "10 61 38, 15 100 0, 25 100 0, 30 100 0"),
        ("4", "10 76 23, 60 70 30, 70 40 60, 90 0 100"),
        ("4 in steps", "10 90 10, 60 70 30, 70 40 60, 90 0 100"),
        ("7", "12 37 62, 22 0 37, 32 0 0"),
        (
            "5 of two services",
            "20 100 0, 21 25 75, 28 0 100, 52 100 0, 73 0 100",
        ),
    ] {
        let mut examples = EXAMPLES.iter();
        let example = examples.find(|example| example.name == name);
        let reference = &example.expect("such an example").reference;
        for expected in expected.split(", ") {
            let second: Second = expected.split(' ').next().unwrap().parse().unwrap();
            let told = reference.iter().find(|told| told.second == second);
            let versions = &told.expect("a tick or an event").versions;
            let shares = versions.iter().take(2);
            let shares = shares.map(|v| format!(" {}", v.share.basis_points() / 100));
            let found = format!("{second}{}", shares.collect::<String>());
            assert_eq!(found, expected, "{name}");
        }
    }
}

#[test]
fn objects_that_come_in_any_order_come_to_the_same() {
    for Example {
        name,
        recording,
        reference,
    } in &*EXAMPLES
    {
        for seed in 1..=3 {
            let told = whole(recording, Telling::Shuffled(seed));
            check(&told, reference, &format!("{name}, order {seed}"));
        }
    }
}

#[test]
fn a_restart_with_its_memory_changes_nothing() {
    for Example {
        name,
        recording,
        reference,
    } in &*EXAMPLES
    {
        let told = whole(recording, Telling::Restarted);
        check(&told, reference, &format!("{name}, after every event"));
        let told = whole(recording, Telling::ShuffledAndRestarted(4));
        check(&told, reference, &format!("{name}, after every object"));
    }
}

#[test]
fn without_its_memory_a_server_comes_to_the_same_split() {
    for Example {
        name,
        recording,
        reference,
    } in &*EXAMPLES
    {
        let mut objects = recording.rest.clone();
        for (index, told) in reference.iter().enumerate() {
            let second = told.second;
            for change in recording.at(second) {
                fold(&mut objects, change);
            }
            let told = forgotten(recording, objects.clone(), &[], second);
            let what = format!("{name}, memory lost at {second}");
            check_splits(&told, &reference[index..], &what);
        }
    }
}

/// While the lists that a new process reads tell of some objects what is so, and of others what was.
#[test]
fn without_its_memory_a_server_is_not_led_astray_by_half_of_the_news() {
    for Example {
        name,
        recording,
        reference,
    } in &*EXAMPLES
    {
        let mut objects = recording.rest.clone();
        for (second, changes) in &recording.seconds {
            let index = reference.iter().position(|told| told.second == *second);
            let reference = &reference[index.expect("every event is looked at")..];
            let order = shuffled(changes, 6, *second);
            for cut in (1..order.len()).step_by(order.len().div_ceil(3)) {
                let (known, late) = order.split_at(cut);
                let mut objects = objects.clone();
                known.iter().for_each(|change| fold(&mut objects, change));
                let told = forgotten(recording, objects, late, *second);
                let what = format!("{name}, memory lost at {second} after {cut} objects");
                check_splits(&told, reference, &what);
            }
            changes.iter().for_each(|change| fold(&mut objects, change));
        }
    }
}
