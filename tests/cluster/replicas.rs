//! Replicas: three servers of ours on one plane compute the same, each for itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::ours::service_of;
use crate::plane::eventually;
use crate::theatre::{SHOP, theatre};

/// How often the replicas are looked at.
const EVERY: Duration = Duration::from_millis(50);
/// For how long they may disagree: what one has heard, the others hear within this time.
const AGREE: Duration = Duration::from_secs(2);

/// Where the track of a service stands: its digest, and each version with its share in basis points.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stand {
    digest: String,
    split: Vec<(String, u64)>,
}

/// What the API of a server tells; `None` where nobody answers, or there is no such service.
fn stand(api: std::net::SocketAddr, service: &str) -> Option<Stand> {
    let service = service_of(api, SHOP, service)?;
    let version = |version: &Value| {
        let alias = version["alias"].as_str()?.to_owned();
        Some((alias, version["share"]["basisPoints"].as_u64()?))
    };
    Some(Stand {
        digest: service["tracks"][0]["digest"].as_str()?.to_owned(),
        split: service["versions"]
            .as_array()?
            .iter()
            .filter_map(version)
            .collect(),
    })
}

/// What was seen of three servers.
#[derive(Debug, Default)]
struct Seen {
    looks: usize,
    /// Digests that all had at some time.
    agreed: Vec<String>,
    /// For how long they disagreed, each time.
    apart: Vec<Duration>,
}

/// Looks at all until told to end. Who does not answer has no say.
fn look(apis: [std::net::SocketAddr; 3], service: &str, end: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    let mut since: Option<Instant> = None;
    while !end.load(Ordering::Relaxed) {
        let at = Instant::now();
        let stands: Vec<Stand> = apis.iter().filter_map(|api| stand(*api, service)).collect();
        seen.looks += 1;
        if let Some(odd) = stands.iter().find(|stand| **stand != stands[0]) {
            let started = *since.get_or_insert(at);
            assert!(
                at - started < AGREE * 10,
                "they never agree: {odd:?} {:?}",
                stands[0]
            );
        } else if let Some(first) = stands.first() {
            seen.apart.extend(since.take().map(|since| since.elapsed()));
            if seen.agreed.last() != Some(&first.digest) {
                seen.agreed.push(first.digest.clone());
            }
        }
        thread::sleep(EVERY.saturating_sub(at.elapsed()));
    }
    seen
}

#[test]
#[ignore = "runs a control plane: tests/cluster/run"]
fn three_replicas_compute_the_same_and_one_that_starts_again_joins_them() {
    let theatre = theatre();
    let others = ["replica-b", "replica-c"].map(|name| theatre.another(name, ""));
    let apis = [theatre.ours.api, others[0].api, others[1].api];
    let policy = [
        ("strategy", "linear"),
        ("ramp", "60s"),
        ("ttl", "endpoints=1,rollout=1"),
    ];
    let spec = r#"{"minReadySeconds": 70, "strategy": {"rollingUpdate": {"maxSurge": "100%", "maxUnavailable": 0}}}"#;
    let scene = theatre.open("replicas", "deployment", 6, &policy, spec);
    for other in &others {
        eventually("every replica knows the service", || {
            stand(other.api, "replicas")
        });
    }
    let end = Arc::new(AtomicBool::new(false));
    let looks = thread::spawn({
        let end = Arc::clone(&end);
        move || look(apis, "replicas", &end)
    });

    scene.image("2");
    scene.until_share("2", 30, 70);
    others[1].program.kill();
    assert_eq!(stand(others[1].api, "replicas"), None, "it is gone");
    let before = theatre.share("replicas", "2");
    scene.until_share("2", 40, 80);
    others[1].program.restart_with(&[]);
    others[1].wait_ready();
    let ready = Instant::now();
    let joined = eventually("the one that started again agrees", || {
        let stands = apis.map(|api| stand(api, "replicas"));
        let [Some(first), Some(second), Some(third)] = stands else {
            return None;
        };
        (first == second && second == third).then_some(third)
    });
    let joined_after = ready.elapsed();
    // In mid-ramp: one that forgot where the ramp began would be told from the others.
    let share = joined.split.iter().find(|(alias, _)| alias == "2");
    let share = share.expect("the target").1;
    assert!(
        before.is_some_and(|before| before <= share) && share < 10_000,
        "{joined:?}"
    );
    assert!(
        joined_after <= AGREE,
        "it agrees {joined_after:?} after it is ready"
    );
    scene.until_done();

    end.store(true, Ordering::Relaxed);
    let seen = looks.join().expect("it looks to the end");
    let longest = seen.apart.iter().max().copied().unwrap_or_default();
    println!(
        "replicas: {} looks, {} states agreed on, {} times apart, at most {} ms; started again at {share} bp: agrees {} ms \
         after it is ready",
        seen.looks,
        seen.agreed.len(),
        seen.apart.len(),
        longest.as_millis(),
        joined_after.as_millis(),
    );
    assert!(
        seen.agreed.len() > 8,
        "the ramp was seen: {:?}",
        seen.agreed
    );
    assert!(longest <= AGREE, "{:?}", seen.apart);
    scene.close(&["Healthy", "Progressing", "Healthy"]);
}
