//! The judge: asks a server every tenth of a second and holds each answer against what was ready at that moment.
//!
//! What was ready, the judge sees for itself, by a watch of EndpointSlices of its own. Both watches are as late as the API
//! server makes them, so an address may still be answered for [`ALLOWANCE`] after it stopped being ready; how late it
//! really was is told.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use futures_util::TryStreamExt as _;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RData;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, Config};
use serde_json::Value;

use crate::ours::get;
use crate::rig;

/// How often it asks.
const EVERY: Duration = Duration::from_millis(100);
/// How long after it stopped being ready an address may be answered: two watches on a machine with two busy cores.
const ALLOWANCE: Duration = Duration::from_secs(1);

/// Whether each address was ready, from each moment on.
type Ready = BTreeMap<IpAddr, Vec<(Instant, bool)>>;

/// What is ready behind the services of a namespace, as time goes by.
pub struct Truth {
    seen: Arc<Mutex<BTreeMap<String, Ready>>>,
    end: Arc<AtomicBool>,
    watch: Option<JoinHandle<()>>,
}

impl Truth {
    /// Begins to watch.
    pub fn of(kubeconfig: &Path, namespace: &str) -> Self {
        let seen = Arc::new(Mutex::new(BTreeMap::new()));
        let end = Arc::new(AtomicBool::new(false));
        let watch = thread::spawn({
            let (seen, end) = (Arc::clone(&seen), Arc::clone(&end));
            let (kubeconfig, namespace) = (kubeconfig.to_owned(), namespace.to_owned());
            move || watch(&kubeconfig, &namespace, &seen, &end)
        });
        Self {
            seen,
            end,
            watch: Some(watch),
        }
    }

    /// How long before `at` the address was last ready behind one of the services; `None`: it never was.
    fn late(&self, services: &[String], address: IpAddr, at: Instant) -> Option<Duration> {
        let seen = self.seen.lock().expect("no holder panics");
        let mut known = services
            .iter()
            .filter_map(|service| seen.get(service)?.get(&address));
        let history = known.next()?;
        let mut until = None;
        for (index, (since, ready)) in history.iter().enumerate() {
            // Our server may have heard of it a little before the judge did.
            if *since > at + ALLOWANCE {
                break;
            }
            if *ready {
                let end = history.get(index + 1).map(|(end, _)| *end);
                until = Some(end.unwrap_or(at).min(at));
            }
        }
        Some(at.duration_since(until?))
    }
}

impl Drop for Truth {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(watch) = self.watch.take() {
            let _ = watch.join();
        }
    }
}

fn watch(
    kubeconfig: &Path,
    namespace: &str,
    seen: &Mutex<BTreeMap<String, Ready>>,
    end: &AtomicBool,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("a kubeconfig");
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
        let client = Client::try_from(config.expect("a configuration")).expect("a client");
        let api: Api<EndpointSlice> = Api::namespaced(client, namespace);
        let mut slices: BTreeMap<String, EndpointSlice> = BTreeMap::new();
        let mut stream = Box::pin(watcher::watcher(api, watcher::Config::default()));
        while !end.load(Ordering::Relaxed) {
            let Ok(next) = tokio::time::timeout(EVERY, stream.try_next()).await else {
                continue;
            };
            match next {
                Ok(Some(Event::Apply(slice) | Event::InitApply(slice))) => {
                    slices.insert(slice.metadata.name.clone().unwrap_or_default(), slice);
                }
                Ok(Some(Event::Delete(slice))) => {
                    slices.remove(&slice.metadata.name.unwrap_or_default());
                }
                // The API server is away; what was ready stands.
                Ok(_) | Err(_) => {
                    tokio::time::sleep(EVERY).await;
                    continue;
                }
            }
            note(&slices, &mut seen.lock().expect("no holder panics"));
        }
    });
}

/// Notes what is ready from now on.
fn note(slices: &BTreeMap<String, EndpointSlice>, seen: &mut BTreeMap<String, Ready>) {
    let now = Instant::now();
    let mut ready: BTreeSet<(String, IpAddr)> = BTreeSet::new();
    for slice in slices.values() {
        let labels = slice.metadata.labels.as_ref();
        let service = labels.and_then(|labels| labels.get("kubernetes.io/service-name"));
        let Some(service) = service else { continue };
        for endpoint in &slice.endpoints {
            let conditions = endpoint.conditions.as_ref();
            if conditions.is_none_or(|c| c.ready != Some(false)) {
                let addresses = endpoint.addresses.iter().filter_map(|a| a.parse().ok());
                ready.extend(addresses.map(|address| (service.clone(), address)));
            }
        }
    }
    for (service, addresses) in seen.iter_mut() {
        for (address, history) in addresses {
            let is_ready = ready.remove(&(service.clone(), *address));
            if history.last().map(|(_, was)| *was) != Some(is_ready) {
                history.push((now, is_ready));
            }
        }
    }
    for (service, address) in ready {
        let addresses = seen.entry(service).or_default();
        addresses.insert(address, vec![(now, true)]);
    }
}

/// What was asked, answered and seen of one service.
#[derive(Debug, Default)]
pub struct Verdict {
    /// The states it went through, with the share of the target when it came there.
    pub states: Vec<String>,
    /// Answers, each by the address of its first record.
    pub answers: usize,
    /// Answers with an address that had not been ready for longer than [`ALLOWANCE`].
    pub wrong: Vec<String>,
    /// Answers with SERVFAIL, and questions without an answer.
    pub failed: usize,
    /// Answers without an address.
    pub empty: usize,
    /// The longest time for which an address was answered after it had stopped being ready.
    pub latest: Duration,
}

impl Verdict {
    /// Nothing was answered that must not be.
    pub fn acquit(&self) {
        assert_eq!(self.wrong, [""; 0], "{self}");
        assert_eq!((self.failed, self.empty), (0, 0), "{self}");
        assert!(self.answers > 0, "{self}");
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} answers, {} wrong, {} failed, {} empty, at most {} ms late; {}",
            self.answers,
            self.wrong.len(),
            self.failed,
            self.empty,
            self.latest.as_millis(),
            self.states.join(" -> ")
        )
    }
}

/// Asks one server about one service until it is asked for its verdict.
pub struct Judge {
    /// Whose endpoints may be answered.
    services: Vec<String>,
    end: Arc<AtomicBool>,
    asks: JoinHandle<Vec<Asked>>,
    looks: JoinHandle<Vec<String>>,
}

struct Asked {
    at: Instant,
    answer: Option<(ResponseCode, Vec<IpAddr>)>,
}

impl Judge {
    /// Begins to ask `SERVICE.NAMESPACE.svc.cluster.local A`.
    pub fn of(dns: SocketAddr, api: SocketAddr, namespace: &str, service: &str) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let query = rig::query(&format!("{service}.{namespace}.svc.cluster.local A"));
        let asks = thread::spawn({
            let end = Arc::clone(&end);
            move || asks(dns, &query, &end)
        });
        let path = format!("/api/v1/services/{namespace}/{service}");
        let looks = thread::spawn({
            let end = Arc::clone(&end);
            move || looks(api, &path, &end)
        });
        Self {
            services: vec![service.to_owned()],
            end,
            asks,
            looks,
        }
    }

    /// The endpoints are those of other services.
    pub fn behind(mut self, services: &[&str]) -> Self {
        self.services = services
            .iter()
            .map(|service| (*service).to_owned())
            .collect();
        self
    }

    /// Ends it, and judges.
    pub fn verdict(self, truth: &Truth) -> Verdict {
        // What was answered last may be of a change that the judge has not heard of.
        thread::sleep(EVERY);
        self.end.store(true, Ordering::Relaxed);
        let asked = self.asks.join().expect("it asks to the end");
        let states = self.looks.join().expect("it looks to the end");
        let mut verdict = Verdict {
            states,
            answers: asked.len(),
            ..Verdict::default()
        };
        for Asked { at, answer } in asked {
            let Some((ResponseCode::NoError | ResponseCode::NXDomain, addresses)) = answer else {
                verdict.failed += 1;
                continue;
            };
            if addresses.is_empty() {
                verdict.empty += 1;
            }
            for address in addresses {
                match truth.late(&self.services, address, at) {
                    Some(late) if late <= ALLOWANCE => verdict.latest = verdict.latest.max(late),
                    Some(late) => verdict
                        .wrong
                        .push(format!("{address} {} ms too late", late.as_millis())),
                    None => verdict.wrong.push(format!("{address} was never ready")),
                }
            }
        }
        verdict
    }
}

fn asks(dns: SocketAddr, query: &[u8], end: &AtomicBool) -> Vec<Asked> {
    let mut asked = Vec::new();
    while !end.load(Ordering::Relaxed) {
        let at = Instant::now();
        let answer = rig::udp(dns, query).map(|answer| {
            let message = rig::decode(&answer);
            let addresses = message
                .answers
                .iter()
                .filter_map(|record| match &record.data {
                    RData::A(address) => Some(IpAddr::V4(address.0)),
                    RData::AAAA(address) => Some(IpAddr::V6(address.0)),
                    _ => None,
                });
            (message.metadata.response_code, addresses.collect())
        });
        asked.push(Asked { at, answer });
        thread::sleep(EVERY.saturating_sub(at.elapsed()));
    }
    asked
}

/// The states that the service goes through.
fn looks(api: SocketAddr, path: &str, end: &AtomicBool) -> Vec<String> {
    let mut states: Vec<String> = Vec::new();
    while !end.load(Ordering::Relaxed) {
        let at = Instant::now();
        if let Some((200, body)) = get(api, path) {
            let service: Value = serde_json::from_str(&body).expect("the API writes JSON");
            let state = service["state"].as_str().unwrap_or("-").to_owned();
            if states.last() != Some(&state) {
                states.push(state);
            }
        }
        thread::sleep((EVERY / 2).saturating_sub(at.elapsed()));
    }
    states
}
