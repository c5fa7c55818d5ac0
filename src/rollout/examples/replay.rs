//! Replays: restarts after every event, the memory kept and the memory lost.

use super::{DEFAULTS, RECIPE, Story, second};
use crate::model::{Policy, ServiceView};
use crate::rollout::{Memory, Outcome, evaluate};

/// A split at a second.
type Split = (i64, Vec<u16>);

/// What there is to see at every tick and at every event of the first 200 seconds.
fn scenes(story: &Story) -> Vec<(i64, ServiceView)> {
    let events = story.events();
    let mut seconds: Vec<i64> = events.iter().map(|(at, _)| *at).collect();
    seconds.extend((0..200).step_by(5));
    seconds.retain(|at| *at < 200);
    seconds.sort_unstable();
    seconds.dedup();
    seconds.into_iter().map(|at| (at, story.view(at))).collect()
}

/// Looks at every scene; `restart` makes the memory with which the server comes back at that second.
fn replay(scenes: &[(i64, ServiceView)], restart: impl Fn(i64, Memory) -> Memory) -> Vec<Split> {
    let mut memory = Memory::default();
    let mut splits = Vec::new();
    for (at, view) in scenes {
        memory = restart(*at, memory);
        let outcome = evaluate(view, &Policy::default(), &memory, second(*at));
        splits.push((*at, split(&outcome)));
        memory = outcome.memory;
    }
    splits
}

fn split(outcome: &Outcome) -> Vec<u16> {
    let versions = outcome.versions.iter();
    versions
        .map(|version| version.share.basis_points())
        .collect()
}

/// As it comes back from a file.
fn stored(memory: &Memory) -> Memory {
    serde_json::from_str(&serde_json::to_string(memory).unwrap()).unwrap()
}

fn stories() -> Vec<(&'static str, Story)> {
    let linear = "strategy: linear; ramp: 60s; soak: 5s";
    let steps = "strategy: steps; steps: 5@10s,25@20s,100";
    vec![
        ("1a", Story::new(DEFAULTS, "0 update v2", "")),
        ("1b", Story::new(DEFAULTS, "0 update v2", linear)),
        (
            "1c",
            Story::new("deployment 10 ready=10 minready=30", "0 update v2", linear),
        ),
        (
            "1d",
            Story::new(
                RECIPE,
                "0 update v2",
                "strategy: linear; ramp: 100s; soak: 5s",
            ),
        ),
        (
            "1d exponential",
            Story::new(RECIPE, "0 update v2", "strategy: exponential; ramp: 90s"),
        ),
        ("1d steps", Story::new(RECIPE, "0 update v2", steps)),
        ("2a", Story::new(DEFAULTS, "0 update v2; 12 undo", linear)),
        ("2b", Story::new(DEFAULTS, "0 update v2; 22 undo", linear)),
        ("2c", Story::new(RECIPE, "0 update v2; 60 undo", linear)),
        (
            "3b",
            Story::new(
                "deployment 10 ready=10 minready=60",
                "0 update v2; 0 crash v2 5",
                "strategy: follow",
            ),
        ),
        (
            "5",
            Story::new(
                RECIPE,
                "0 update v2",
                "strategy: blue-green; auto-promotion: 20s",
            ),
        ),
        (
            "6",
            Story::new(
                "statefulset 5 partition=3 ready=10",
                "0 update v2; 80 undo",
                steps,
            ),
        ),
        (
            "7",
            Story::new(DEFAULTS, "0 update v2; 12 update v3", linear),
        ),
        (
            "daemon set",
            Story::new("daemonset 4 ready=10", "0 update v2; 25 undo", linear),
        ),
        (
            "recreate",
            Story::new("recreate 4 ready=10 gone=5", "0 update v2; 30 undo", linear),
        ),
    ]
}

#[test]
fn a_restart_with_its_memory_changes_nothing() {
    for (name, story) in stories() {
        let scenes = scenes(&story);
        let undisturbed = replay(&scenes, |_, memory| memory);
        for (lost, _) in &scenes {
            let kept = replay(&scenes, |at, memory| match at == *lost {
                true => stored(&memory),
                false => memory,
            });
            assert_eq!(kept, undisturbed, "{name}, restarted at {lost}");
        }
        let always = replay(&scenes, |_, memory| stored(&memory));
        assert_eq!(always, undisturbed, "{name}, restarted every time");
    }
}

#[test]
fn without_its_memory_a_server_comes_to_the_same_split() {
    for (name, story) in stories() {
        let scenes = scenes(&story);
        let undisturbed = replay(&scenes, |_, memory| memory);
        for (lost, _) in &scenes {
            let forgot = replay(&scenes, |at, memory| match at == *lost {
                true => Memory::default(),
                false => memory,
            });
            assert_eq!(forgot, undisturbed, "{name}, memory lost at {lost}");
        }
    }
}

#[test]
fn a_lost_memory_may_put_the_ramp_ahead_by_what_it_stood_still() {
    let linear = "strategy: linear; ramp: 100s";
    let story = Story::new(RECIPE, "0 update v2", linear)
        .annotate(20, &format!("{linear}; pause: v2"))
        .annotate(50, linear);
    let scenes = scenes(&story);
    let undisturbed = replay(&scenes, |_, memory| memory);
    let forgot = replay(&scenes, |at, memory| match at == 55 {
        true => Memory::default(),
        false => memory,
    });
    let share = |splits: &[Split], second: i64| {
        let (_, shares) = splits.iter().find(|(at, _)| *at == second).unwrap();
        shares[1]
    };
    assert_eq!((share(&undisturbed, 55), share(&forgot, 50)), (1500, 1000));
    assert_eq!(
        share(&forgot, 55),
        4500,
        "30 seconds of standing still are not known any more"
    );
}
