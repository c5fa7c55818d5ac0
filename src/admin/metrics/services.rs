//! What metrics tell of services: states, shares, roll-outs.

use std::collections::BTreeMap;
use std::fmt;

use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use super::{Facts, Page};
use crate::engine::{DURATION_BOUNDS, Summary, TrackSummary, VersionSummary};
use crate::model::{Reason, Share};
use crate::rollout::{Cause, State};

/// A number of a time series is exact up to 2^53.
const DIGEST_MASK: u64 = (1 << 48) - 1;

fn labels_of<'s>(
    service: &'s Summary,
    version: &'s VersionSummary,
) -> [(&'static str, &'s str); 4] {
    [
        ("namespace", &*service.key.namespace),
        ("service", &*service.key.name),
        ("version", &*version.alias),
        ("revision", &*version.hash),
    ]
}

/// Kind and name of the workload; its namespace is the service's.
fn workload_name(track: &TrackSummary) -> String {
    let workload = track.workload.as_ref();
    workload.map_or_else(
        || "backends".to_owned(),
        |key| format!("{}/{}", key.kind, key.name),
    )
}

impl Facts {
    pub(super) fn services(&self, page: &mut Page<'_>) -> fmt::Result {
        self.states(page)?;
        self.shares(page)?;
        self.reasons(page)?;
        self.ttls(page)?;
        self.rollouts(page)?;
        self.tracks(page)?;
        self.limits(page)
    }

    fn states(&self, page: &mut Page<'_>) -> fmt::Result {
        let mut states = page.gauges(
            "shiftdns_service_state",
            "1 for the state a service is in; it has no series for the others",
        )?;
        for service in &self.services {
            let labels = [
                ("namespace", &*service.key.namespace),
                ("service", &*service.key.name),
                ("state", service.state.as_str()),
            ];
            states.gauge(&labels, 1_u64)?;
        }
        Ok(())
    }

    fn shares(&self, page: &mut Page<'_>) -> fmt::Result {
        let versions = self.versions();
        let ratio = Unit::Other("ratio".to_owned());
        let help = "The part of a service's answers that a version has, 0 to 1";
        let mut shares = page.family(
            "shiftdns_version_share",
            help,
            Some(&ratio),
            MetricType::Gauge,
        )?;
        for (labels, (basis_points, _)) in &versions {
            shares.gauge(labels, f64::from(*basis_points) / 10_000.0)?;
        }
        let mut ready = page.gauges(
            "shiftdns_version_endpoints",
            "Ready targets of a version; a dual-stack pod counts once",
        )?;
        for (labels, (_, targets)) in &versions {
            ready.gauge(labels, *targets)?;
        }
        Ok(())
    }

    /// How many versions have their share for which reason: all of them, also those of services at rest.
    fn reasons(&self, page: &mut Page<'_>) -> fmt::Result {
        let help = "Versions by the reason of their share";
        let mut reasons = page.gauges("shiftdns_weight_reason", help)?;
        let versions = self.services.iter().flat_map(|service| &service.versions);
        let mut counts = Reason::ALL.map(|reason| (reason, 0_u64));
        for version in versions {
            let known = counts
                .iter_mut()
                .find(|(known, _)| *known == version.reason);
            if let Some((_, count)) = known {
                *count += 1;
            }
        }
        for (reason, count) in counts {
            reasons.gauge(&[("reason", reason.as_str())], count)?;
        }
        Ok(())
    }

    fn ttls(&self, page: &mut Page<'_>) -> fmt::Result {
        let seconds = Unit::Seconds;
        let help = "The time to live of a service's endpoint records; only of services with a weighted policy or a \
                    track that is not Healthy";
        let mut ttls = page.family("shiftdns_ttl", help, Some(&seconds), MetricType::Gauge)?;
        for service in self.busy() {
            let labels = [
                ("namespace", &*service.key.namespace),
                ("service", &*service.key.name),
            ];
            ttls.gauge(&labels, service.ttl)?;
        }
        Ok(())
    }

    /// How roll-outs ended, and how long they took.
    fn rollouts(&self, page: &mut Page<'_>) -> fmt::Result {
        let help = "Roll-outs that have ended since this process began";
        let mut counts = page.counters("shiftdns_rollouts", help)?;
        for service in &self.services {
            for ended in &service.results {
                let labels = [
                    ("namespace", &*service.key.namespace),
                    ("service", &*service.key.name),
                    ("kind", ended.kind.as_str()),
                    ("result", ended.result.as_str()),
                ];
                counts.counter(&labels, ended.count)?;
            }
        }
        let help = "How often traffic was shifted back from a revision that failed or was given up, by what it failed by";
        let mut flips = page.counters("shiftdns_flips", help)?;
        for cause in Cause::ALL {
            let count = self.totals.flips.of(cause);
            flips.counter(&[("reason", cause.as_word())], count)?;
        }
        let help = "How long roll-outs took that have ended since this process began, all services together";
        let seconds = Unit::Seconds;
        let mut durations = page.family(
            "shiftdns_rollout_duration",
            help,
            Some(&seconds),
            MetricType::Histogram,
        )?;
        for (kind, result, duration) in self.totals.durations.iter() {
            let labels = [("kind", kind.as_str()), ("result", result.as_str())];
            let bounds = DURATION_BOUNDS.into_iter().map(f64::from);
            // Exact up to 2^53 seconds of roll-outs.
            let total = duration.total_secs as f64;
            durations.histogram(&labels, bounds, &duration.buckets, total)?;
        }
        Ok(())
    }

    /// Those of which more is told: a track of theirs is not Healthy, or shares choose among their versions.
    fn busy(&self) -> impl Iterator<Item = &Summary> {
        let services = self.services.iter().map(|service| &**service);
        services.filter(|service| {
            let mut tracks = service.tracks.iter();
            service.weighted || tracks.any(|track| track.state != State::Healthy)
        })
    }

    fn tracks(&self, page: &mut Page<'_>) -> fmt::Result {
        let mut states = page.gauges(
            "shiftdns_track_state",
            "1 for the state a track is in, 0 for the others; only of services with a weighted policy or a track that \
             is not Healthy",
        )?;
        for service in self.busy() {
            for track in &service.tracks {
                let workload = workload_name(track);
                for state in State::ALL {
                    let labels = [
                        ("namespace", &*service.key.namespace),
                        ("service", &*service.key.name),
                        ("workload", &workload),
                        ("state", state.as_str()),
                    ];
                    states.gauge(&labels, u64::from(track.state == state))?;
                }
            }
        }
        let mut digests = page.gauges(
            "shiftdns_state_digest",
            "48 bits of a digest of a track's target, stable revision and shares, equal where replicas agree; only of \
             services with a weighted policy or a track that is not Healthy",
        )?;
        for service in self.busy() {
            for track in &service.tracks {
                let labels = [
                    ("namespace", &*service.key.namespace),
                    ("service", &*service.key.name),
                    ("workload", &workload_name(track)),
                ];
                digests.gauge(&labels, track.digest & DIGEST_MASK)?;
            }
        }
        Ok(())
    }

    fn limits(&self, page: &mut Page<'_>) -> fmt::Result {
        let ratio = Unit::Other("ratio".to_owned());
        for (name, help, of) in [
            (
                "shiftdns_version_policy",
                "The part that the policy gives a version, 0 to 1; only of services with a weighted policy or a track \
                 that is not Healthy",
                (|version| version.policy) as fn(&VersionSummary) -> Option<Share>,
            ),
            (
                "shiftdns_version_capacity",
                "The part that the ready targets of a version may carry, 0 to 1; only of services with a weighted \
                 policy or a track that is not Healthy",
                |version| version.capacity,
            ),
        ] {
            let mut all: BTreeMap<[(&'static str, &str); 4], u32> = BTreeMap::new();
            for service in self.busy() {
                for version in &service.versions {
                    if let Some(share) = of(version) {
                        *all.entry(labels_of(service, version)).or_default() +=
                            u32::from(share.basis_points());
                    }
                }
            }
            let mut ratios = page.family(name, help, Some(&ratio), MetricType::Gauge)?;
            for (labels, basis_points) in all {
                ratios.gauge(&labels, f64::from(basis_points) / 10_000.0)?;
            }
        }
        Ok(())
    }

    /// Basis points and ready targets by labels. Two workloads may have a revision of the same hash and alias; a series
    /// that stood twice would cost the whole scrape, so they are added up.
    fn versions(&self) -> BTreeMap<[(&'static str, &str); 5], (u32, u32)> {
        let mut all = BTreeMap::new();
        for service in &self.services {
            for version in &service.versions {
                let labels = [
                    ("namespace", &*service.key.namespace),
                    ("service", &*service.key.name),
                    ("version", &*version.alias),
                    ("revision", &*version.hash),
                    ("role", version.role.map_or("", |role| role.as_str())),
                ];
                let (share, ready): &mut (u32, u32) = all.entry(labels).or_default();
                *share += u32::from(version.share.basis_points());
                *ready = ready.saturating_add(version.ready);
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;
    use prometheus_client::collector::Collector;
    use prometheus_client::encoding::{DescriptorEncoder, text};
    use prometheus_client::registry::Registry;

    use super::*;
    use crate::engine::{Durations, Flips, Programming, ResultCount, Totals};
    use crate::model::{ServiceKey, WorkloadKey, WorkloadKind};
    use crate::rollout::{ChangeKind, RolloutResult};

    /// The service `ns/s`, at rest.
    fn service() -> Summary {
        Summary {
            key: ServiceKey::new("ns", "s"),
            kind: "Headless",
            state: State::Healthy,
            since: Timestamp::UNIX_EPOCH,
            strategy: "follow",
            weighted: false,
            ttl: 5,
            ready: (0, 0),
            versions: Vec::new(),
            tracks: Vec::new(),
            results: Vec::new(),
            generation: 1,
        }
    }

    fn version((alias, hash, share, ready): (&str, &str, u64, u32)) -> VersionSummary {
        VersionSummary {
            alias: alias.into(),
            hash: hash.into(),
            share: Share::from_basis_points(share),
            policy: None,
            capacity: None,
            ready,
            reason: Reason::Policy,
            role: None,
        }
    }

    /// The lines of a service that begin with one of the names.
    fn check(service: Summary, names: &[&str], expected: &[&str]) {
        #[derive(Debug)]
        struct Only(Facts);
        impl Collector for Only {
            fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
                self.0.services(&mut Page(encoder))
            }
        }
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Only(Facts {
            services: vec![Arc::new(service)],
            totals: Totals {
                objects: crate::objects::Kind::ALL.map(|kind| (kind, 0)),
                problems: 0,
                durations: Durations::default(),
                flips: Flips::default(),
                programming: Programming::default(),
            },
        })));
        let mut text = String::new();
        text::encode(&mut text, &registry).unwrap();
        let asked = |line: &&str| names.iter().any(|name| line.starts_with(name));
        assert_eq!(text.lines().filter(asked).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_series_stands_once_also_when_two_workloads_share_a_hash() {
        let versions = [("v1", "abc", 2500, 1), ("v1", "abc", 7500, 3)];
        check(
            Summary {
                versions: versions.map(version).into(),
                ..service()
            },
            &["shiftdns_version"],
            &[
                r#"shiftdns_version_share_ratio{namespace="ns",service="s",version="v1",revision="abc",role=""} 1.0"#,
                r#"shiftdns_version_endpoints{namespace="ns",service="s",version="v1",revision="abc",role=""} 4"#,
            ],
        );
    }

    #[test]
    fn what_is_written_into_a_label_stays_in_it() {
        check(
            Summary {
                versions: vec![version(("v1", "a\"} 1\nx{y=\"\\", 10_000, 1))],
                ..service()
            },
            &["shiftdns_version"],
            &[
                r#"shiftdns_version_share_ratio{namespace="ns",service="s",version="v1",revision="a\"} 1\nx{y=\"\\",role=""} 1.0"#,
                r#"shiftdns_version_endpoints{namespace="ns",service="s",version="v1",revision="a\"} 1\nx{y=\"\\",role=""} 1"#,
            ],
        );
    }

    fn track(state: State) -> TrackSummary {
        TrackSummary {
            workload: Some(WorkloadKey {
                kind: WorkloadKind::Deployment,
                namespace: "ns".into(),
                name: "w".into(),
            }),
            state,
            target: None,
            digest: 0xffff_0000_0000_0007,
        }
    }

    #[test]
    fn a_track_that_rolls_has_its_states_and_what_limits_its_versions() {
        let limited = VersionSummary {
            policy: Some(Share::from_basis_points(500)),
            capacity: Some(Share::WHOLE),
            ..version(("v2", "b", 500, 1))
        };
        let of = |state: &str, value: u8| {
            format!(
                r#"shiftdns_track_state{{namespace="ns",service="s",workload="Deployment/w",state="{state}"}} {value}"#
            )
        };
        let states = State::ALL.map(|state| of(state.as_str(), u8::from(state == State::Paused)));
        let ttl = r#"shiftdns_ttl_seconds{namespace="ns",service="s"} 5"#;
        let mut expected = vec![ttl];
        expected.extend(states.iter().map(String::as_str));
        expected.extend([
            r#"shiftdns_state_digest{namespace="ns",service="s",workload="Deployment/w"} 7"#,
            r#"shiftdns_version_policy_ratio{namespace="ns",service="s",version="v2",revision="b"} 0.05"#,
            r#"shiftdns_version_capacity_ratio{namespace="ns",service="s",version="v2",revision="b"} 1.0"#,
        ]);
        let names = [
            "shiftdns_track",
            "shiftdns_ttl",
            "shiftdns_state_digest",
            "shiftdns_version_policy",
            "shiftdns_version_capacity",
        ];
        let rolling = Summary {
            tracks: vec![track(State::Paused)],
            versions: vec![limited],
            ..service()
        };
        check(rolling.clone(), &names, &expected);
        // Backends have no workload.
        let flips = Summary {
            tracks: vec![TrackSummary {
                workload: None,
                ..track(State::Paused)
            }],
            versions: Vec::new(),
            ..rolling.clone()
        };
        let digest = r#"shiftdns_state_digest{namespace="ns",service="s",workload="backends"} 7"#;
        check(flips, &["shiftdns_state_digest"], &[digest]);
        // At rest it has none of them, unless its policy is weighted.
        let calm = Summary {
            tracks: vec![track(State::Healthy)],
            ..rolling
        };
        check(calm.clone(), &names, &[]);
        let digest =
            r#"shiftdns_state_digest{namespace="ns",service="s",workload="Deployment/w"} 7"#;
        let weighted = Summary {
            weighted: true,
            ..calm
        };
        check(weighted, &["shiftdns_state_digest"], &[digest]);
    }

    #[test]
    fn roll_outs_that_ended_are_counted_by_kind_and_result() {
        let ended = ResultCount {
            kind: ChangeKind::Rollback,
            result: RolloutResult::RolledBack,
            count: 3,
        };
        check(
            Summary {
                results: vec![ended],
                ..service()
            },
            &["shiftdns_rollouts"],
            &[
                r#"shiftdns_rollouts_total{namespace="ns",service="s",kind="rollback",result="RolledBack"} 3"#,
            ],
        );
    }
}
