//! What holds in every play.

use crate::model::Amount;
use proptest::prelude::*;

use super::play::{Event, Failure, Start, play};
use super::{
    Controller, DaemonSetUpdate, DeploymentUpdate, PodManagement, Second, Snapshot,
    StatefulSetUpdate, Template, Workload,
};

/// Far behind the end of every play below: 20 pods, one by one, 30 + 20 seconds each, some times over.
const END: Second = 50_000;

const V1: Template = Template(1);
const V2: Template = Template(2);

fn amount() -> impl Strategy<Value = Amount> {
    prop_oneof![
        (0_u32..8).prop_map(Amount::Count),
        (0_u32..=100).prop_map(Amount::Percent),
    ]
}

/// Controllers that bring every pod to the target by themselves.
fn controller() -> impl Strategy<Value = Controller> {
    let rolling = |(surge, unavailable)| DeploymentUpdate::Rolling { surge, unavailable };
    prop_oneof![
        4 => (amount(), amount()).prop_map(move |pair| Controller::Deployment(rolling(pair))),
        1 => Just(Controller::Deployment(DeploymentUpdate::Recreate)),
        2 => (amount(), any::<bool>()).prop_map(|(unavailable, is_ordered)| Controller::StatefulSet {
            update: StatefulSetUpdate::Rolling { partition: 0, unavailable },
            management: match is_ordered {
                true => PodManagement::OrderedReady,
                false => PodManagement::Parallel,
            },
        }),
        2 => (amount(), amount()).prop_map(|(surge, unavailable)| {
            Controller::DaemonSet(DaemonSetUpdate::Rolling { surge, unavailable })
        }),
    ]
}

fn workload() -> impl Strategy<Value = Workload> {
    let secs = (0_u32..20, 0_u32..30, 0_u32..8);
    (controller(), 1_u32..20, secs).prop_map(|(controller, replicas, (min, ready, gone))| {
        Workload {
            replicas,
            controller,
            min_ready_secs: min,
            progress_deadline_secs: Some(60),
            history_limit: 10,
            ready_after_secs: ready,
            gone_after_secs: gone,
        }
    })
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (1_u32..5).prop_map(|t| Event::Update(Template(t))),
        2 => Just(Event::Undo),
        1 => Just(Event::Pause),
        1 => Just(Event::Resume),
    ]
}

fn events() -> impl Strategy<Value = Vec<(Second, Event)>> {
    prop::collection::vec((0_i64..200, event()), 0..6)
}

fn last_of(timeline: &[Snapshot]) -> &Snapshot {
    timeline.last().expect("second 0 always has a snapshot")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn enough_pods_are_available_and_no_more_than_allowed_are_there(
        workload in workload(), mut events in events(), broken in prop::option::of(1_u32..5),
    ) {
        let broken = broken.filter(|template| *template != V1.0);
        events.extend(broken.map(|t| (0, Event::Fail(Template(t), Failure::NeverReady))));
        let Some(bounds) = workload.controller.bounds(workload.replicas) else {
            return Ok(());
        };
        for now in play(&workload, Start::AtRest(V1), &events, END) {
            let available = now.available();
            let active = u32::try_from(now.active().count()).unwrap();
            prop_assert!(available + bounds.unavailable >= workload.replicas, "{now:?}");
            prop_assert!(active <= workload.replicas + bounds.surge, "{now:?}");
        }
    }

    #[test]
    fn every_play_without_failures_ends_with_all_pods_on_the_wanted_template(
        workload in workload(), mut events in events(),
        scales in prop::collection::vec((0_i64..200, 0_u32..20), 0..3),
    ) {
        events.extend(scales.into_iter().map(|(at, n)| (at, Event::Scale(n))));
        events.push((200, Event::Resume));
        let timeline = play(&workload, Start::AtRest(V1), &events, END);
        let last = last_of(&timeline);
        prop_assert!(last.at < END);
        prop_assert!(last.is_complete(), "{last:?}");
        prop_assert_eq!(last.target().map(|r| r.template), Some(last.template));
        prop_assert!(last.pods.iter().all(super::Pod::is_active), "{last:?}");
    }

    #[test]
    fn an_undo_returns_every_pod(workload in workload(), at in 0_i64..200) {
        let workload = Workload { gone_after_secs: 0, ..workload };
        let events = [(0, Event::Update(V2)), (at, Event::Undo)];
        let timeline = play(&workload, Start::AtRest(V1), &events, END);
        let last = last_of(&timeline);
        prop_assert_eq!(last.template, V1);
        prop_assert!(last.is_complete(), "{last:?}");
        let numbers: Vec<(u32, u32)> = last.revisions.iter().map(|r| (r.template.0, r.number)).collect();
        prop_assert_eq!(numbers, [(1, 3), (2, 2)]);
    }

    #[test]
    fn the_timeline_has_no_second_twice_and_none_in_which_nothing_changed(
        workload in workload(), events in events(),
    ) {
        let timeline = play(&workload, Start::Created(V1), &events, END);
        prop_assert_eq!(timeline[0].at, 0);
        for pair in timeline.windows(2) {
            prop_assert!(pair[0].at < pair[1].at);
            let then = Snapshot { at: pair[1].at, ..pair[0].clone() };
            prop_assert!(then != pair[1] || pair[0].available() != pair[1].available());
        }
    }
}
