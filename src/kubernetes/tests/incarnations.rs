//! Whatever the order in which events come, and however often, what is known in the end is what there is.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::known::{Known, Mark};

/// One object's lives: how many, and how many states each has. The last may not have ended.
#[derive(Clone, Debug)]
struct Lives {
    states: Vec<u8>,
    is_there: bool,
}

/// An event as it happened: its mark, and whether it is an end.
type Happened = (Mark, bool);

/// What happened, in order, and which incarnation and version of each object there is at the end.
fn history(objects: &[Lives]) -> (Vec<Happened>, BTreeMap<u64, (u64, u64)>) {
    let mut version = 0;
    let mut events = Vec::new();
    let mut there = BTreeMap::new();
    for (id, lives) in (1..).zip(objects) {
        for (life, states) in (1..).zip(&lives.states) {
            let uid = id * 100 + life;
            let mut next = |is_end| {
                version += 1;
                events.push((Mark { id, uid, version }, is_end));
            };
            (0..*states).for_each(|_| next(false));
            if usize::try_from(life).unwrap() < lives.states.len() || !lives.is_there {
                next(true);
            } else {
                there.insert(id, (uid, version));
            }
        }
    }
    (events, there)
}

fn lives() -> impl Strategy<Value = Vec<Lives>> {
    let one = (prop::collection::vec(1_u8..4, 1..4), any::<bool>())
        .prop_map(|(states, is_there)| Lives { states, is_there });
    prop::collection::vec(one, 1..6)
}

/// Histories, with every event at least once, in any order, some twice.
fn shuffled() -> impl Strategy<Value = (Vec<Lives>, Vec<usize>)> {
    lives().prop_flat_map(|lives| {
        let count = history(&lives).0.len();
        let all: Vec<usize> = (0..count).collect();
        let again = prop::collection::vec(0..count, 0..8);
        let order = (Just(all), again)
            .prop_map(|(all, again)| [all, again].concat())
            .prop_shuffle();
        (Just(lives), order)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn events_twice_and_in_any_order_end_in_the_same_state((lives, order) in shuffled()) {
        let (events, there) = history(&lives);
        let mut known = Known::default();
        let mut state = BTreeMap::new();
        for at in order {
            let (mark, is_end) = events[at];
            if is_end {
                if known.delete(mark) {
                    state.remove(&mark.id);
                }
            } else if known.apply(mark) {
                state.insert(mark.id, (mark.uid, mark.version));
            }
        }
        prop_assert_eq!(known.len(), there.len());
        prop_assert_eq!(state, there);
    }
}
