//! A server begins with what an earlier process knew, and is as any other once the source was read.

use super::shop::Shop;
use super::*;

/// The code of an answer for `web.shop`.
fn code(engine: &Engine) -> u8 {
    ask(engine, "web.shop.svc.z", rtype::A)[3] & 15
}

fn objects(cluster: &Cluster) -> Vec<Object> {
    cluster.0.values().cloned().collect()
}

fn shop() -> Cluster {
    let mut cluster = Cluster::default();
    cluster.put(service("shop", "web", 0));
    cluster.put(slice("shop", "web-0", "web", 0b0101));
    cluster
}

#[test]
fn names_are_answered_at_once_and_said_to_be_stale() {
    let mut engine = engine();
    assert_eq!(code(&engine), 2);
    engine.restore(objects(&shop()), at(-3), at(0));
    assert_eq!(code(&engine), 0);
    let now = u64::try_from(NOW).unwrap();
    // Long before the data is so old that it would be said of a source that was lost.
    assert!(engine.terms.limits.stale_after_secs > 3);
    assert!(is_stale(&engine, now) && engine.view.is_restored());
    assert_eq!(engine.view.data_age_secs(now), 3);
    let problems: Vec<String> = engine.problems().iter().map(ToString::to_string).collect();
    assert_eq!(
        problems,
        [
            "snapshot: names are answered from the snapshot of 2027-01-15T07:59:57Z, until every kind of object has been \
            read from the API server"
        ]
    );
    // It is no basis for anything that is to last.
    assert!(engine.known(0, at(0)).is_none());
    let intent = Intent::Pause;
    let key = ServiceKey::new("shop", "web");
    assert!(matches!(
        engine.act(&key, None, intent, at(0)),
        Err(IntentError::NotSynced)
    ));
}

#[test]
fn what_was_read_replaces_it_when_all_was_read_and_not_before() {
    let mut engine = engine();
    engine.restore(objects(&shop()), at(-3), at(0));
    let before = published(&engine);
    let mut now = Cluster::default();
    now.put(service("shop", "db", 0));
    let mut lists = now.lists();
    let last = lists.pop().unwrap();
    for list in lists {
        engine.apply(vec![list], at(1));
        // Not even one that says so makes the data fresh.
        engine.set_back();
        assert_eq!(published(&engine), before);
        assert!(is_stale(&engine, u64::try_from(NOW).unwrap()));
    }
    engine.apply(vec![last], at(2));
    assert_eq!(code(&engine), 3, "it is gone");
    assert!(!is_stale(&engine, u64::MAX) && !engine.view.is_restored());
    assert_eq!(engine.problems(), []);
    let known = engine.known(0, at(2)).unwrap();
    assert_eq!(known.objects, objects(&now));
    assert!(engine.known(known.batch, at(2)).is_none(), "nothing is new");
}

/// A kind that cannot be followed while the last of the others is read: the data is of now, and grows old from here on.
#[test]
fn a_source_that_is_lost_when_all_was_read_stays_lost() {
    let mut engine = engine();
    engine.restore(objects(&shop()), at(-300), at(0));
    engine.set_lost(at(1));
    engine.apply(shop().lists(), at(2));
    let now = u64::try_from(NOW).unwrap();
    assert_eq!(engine.view.data_age_secs(now + 3), 2);
    assert!(!is_stale(&engine, now + 3));
    assert_eq!(engine.known(0, at(9)).unwrap().at, at(1));
    assert!(engine.set_back());
    assert_eq!(engine.view.data_age_secs(now + 3), 0);
}

#[test]
fn nothing_is_told_of_roll_outs_until_all_was_read() {
    let mut shop = Shop::in_cluster();
    let known = shop.engine.known(0, at(0)).unwrap();
    let mut second = Shop::closed();
    second.engine.restore(known.objects, at(0), at(5));
    assert_eq!(second.answer(), shop.answer());
    second.play(1000, "-");
    assert_eq!(second.engine.take_reports(), []);
    assert_eq!(second.engine.take_remembered(), []);
    assert_eq!(second.engine.next_due(), None);
    second.sync("");
    shop.sync("");
    assert_eq!(second.answer(), shop.answer());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn afterwards_it_is_as_if_nothing_had_been_restored(
        before in prop::collection::vec(step(), 1..20),
        since in prop::collection::vec(step(), 0..10),
        remembered in any::<bool>(),
    ) {
        let mut cluster = Cluster::default();
        before.iter().for_each(|step| drop(cluster.step(step)));
        let (mut restored, mut fresh) = (engine(), engine());
        let mut kept = BTreeMap::new();
        if remembered {
            let mut first = engine();
            first.apply(cluster.lists(), at(-100));
            let memories: BTreeMap<_, _> = first.take_remembered().into_iter()
                .filter_map(|(key, memory)| Some((key, memory?))).collect();
            restored.remember(memories.clone());
            fresh.remember(memories.clone());
            kept = memories;
        }
        restored.restore(objects(&cluster), at(-50), at(0));
        since.iter().for_each(|step| drop(cluster.step(step)));
        for list in cluster.lists() {
            restored.apply(vec![list.clone()], at(1));
            fresh.apply(vec![list], at(1));
        }
        prop_assert_eq!(differences(&published(&restored), &from_scratch(&restored, at(1))), [""; 0]);
        let memories = |engine: &Engine| -> Vec<_> {
            engine.services.iter().map(|(key, service)| (key.clone(), service.memory.clone())).collect()
        };
        prop_assert_eq!(memories(&restored), memories(&fresh));
        let kept = |engine: &mut Engine| {
            let mut kept = kept.clone();
            for (key, memory) in engine.take_remembered() {
                match memory {
                    Some(memory) => drop(kept.insert(key, memory)),
                    None => drop(kept.remove(&key)),
                }
            }
            kept
        };
        prop_assert_eq!(kept(&mut restored), kept(&mut fresh));
        prop_assert_eq!(restored.problems(), fresh.problems());
        let addresses = |engine: &Engine| -> Vec<_> {
            engine.view.store.dump().into_iter().map(|(name, node)| (name, node.sets.get(rtype::SRV).is_some())).collect()
        };
        prop_assert_eq!(addresses(&restored), addresses(&fresh));
    }
}

fn is_stale(engine: &Engine, now_secs: u64) -> bool {
    let after_secs = engine.terms.limits.stale_after_secs;
    engine.view.is_stale(now_secs, after_secs)
}
