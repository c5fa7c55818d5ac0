//! What differs between two configurations, and when it takes effect.
//!
//! [`KEYS`] is the one list of keys: each is applied while the server runs, or takes effect after a restart. A key of the
//! template that is not in it fails a test.

use super::Config;

/// When a key that is another takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// As soon as the file is read anew.
    AtOnce,
    /// After a restart: it decides over sockets, threads, or where everything comes from.
    AfterRestart,
}

/// A key of the file.
struct Key {
    /// As people write it: `limits.tcpIdle`.
    name: &'static str,
    effect: Effect,
    differs: fn(&Config, &Config) -> bool,
}

/// What differs, by key, in the order of the template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// What takes effect at once.
    pub at_once: Vec<&'static str>,
    /// What takes effect after a restart.
    pub after_restart: Vec<&'static str>,
}

macro_rules! key {
    ($effect:ident $name:literal $($field:tt).+) => {
        Key {
            name: $name,
            effect: Effect::$effect,
            differs: |one, other| one.$($field).+ != other.$($field).+,
        }
    };
}

/// All keys, in the order of the template.
const KEYS: &[Key] = &[
    key!(AfterRestart "zones" zones),
    key!(AfterRestart "reverse" reverse),
    key!(AfterRestart "listen" listen),
    key!(AfterRestart "http" http),
    key!(AfterRestart "api.listen" api.listen),
    key!(AtOnce "api.tokenFile" api.token_file),
    key!(AtOnce "api.actions" api.actions),
    key!(AfterRestart "workers" workers),
    key!(AfterRestart "cpuAffinity" cpu_affinity),
    Key {
        name: "source",
        effect: Effect::AfterRestart,
        differs: |one, other| {
            one.manifests != other.manifests || one.kubernetes != other.kubernetes
        },
    },
    key!(AfterRestart "state" state),
    key!(AfterRestart "snapshotMaxAge" snapshot_max_age),
    key!(AfterRestart "lameDuck" lame_duck),
    key!(AtOnce "staleAfter" stale_after),
    key!(AtOnce "unreadyAfter" unready_after),
    key!(AfterRestart "staticZones" static_zones),
    key!(AfterRestart "upstream" upstream),
    key!(AtOnce "namespaces" namespaces),
    key!(AtOnce "namespaceSelector" namespace_selector),
    key!(AtOnce "pods" pods),
    key!(AtOnce "endpointPodNames" endpoint_pod_names),
    key!(AtOnce "emptyService" empty_service),
    key!(AtOnce "recursionAvailable" recursion_available),
    key!(AtOnce "soa.mname" soa.mname),
    key!(AtOnce "soa.rname" soa.rname),
    key!(AtOnce "nameServers" name_servers),
    key!(AtOnce "ttl.clusterIp" ttl.cluster_ip),
    key!(AtOnce "ttl.endpoints" ttl.endpoints),
    key!(AtOnce "ttl.rollout" ttl.rollout),
    key!(AtOnce "ttl.negative" ttl.negative),
    key!(AtOnce "ttl.cacheFloor" ttl.cache_floor),
    key!(AtOnce "defaults.strategy" defaults.strategy),
    key!(AtOnce "defaults.soak" defaults.soak_secs),
    key!(AtOnce "defaults.answer" defaults.answer),
    key!(AtOnce "defaults.records" defaults.records),
    key!(AtOnce "defaults.onFailure" defaults.on_failure),
    key!(AtOnce "defaults.rollback" defaults.rollback),
    key!(AtOnce "defaults.headroom" defaults.headroom_percent),
    key!(AtOnce "limits.endpointsPerService" limits.endpoints_per_service),
    key!(AtOnce "limits.endpointsPerNamespace" limits.endpoints_per_namespace),
    key!(AtOnce "limits.tcpConnections" limits.tcp_connections),
    key!(AtOnce "limits.tcpIdle" limits.tcp_idle),
    key!(AtOnce "limits.tcpMessage" limits.tcp_message),
    key!(AtOnce "reservedNamespaces" reserved_namespaces),
    key!(AtOnce "addressDeny" address_deny),
    key!(AtOnce "identity.id" identity.id),
    key!(AtOnce "identity.version" identity.version),
    key!(AfterRestart "dnstap.socket" dnstap.socket),
    key!(AfterRestart "dnstap.identity" dnstap.identity),
];

/// Every key with its effect, in the order of the template.
pub fn keys() -> impl Iterator<Item = (&'static str, Effect)> {
    KEYS.iter().map(|key| (key.name, key.effect))
}

/// What is to be done so that `wanted` is in force where `running` was asked for at the start and changed since.
pub fn changes(running: &Config, wanted: &Config) -> Changes {
    let mut changes = Changes::default();
    for key in KEYS.iter().filter(|key| (key.differs)(running, wanted)) {
        match key.effect {
            Effect::AtOnce => changes.at_once.push(key.name),
            Effect::AfterRestart => changes.after_restart.push(key.name),
        }
    }
    // Where the API listens decides whether it wants a token: who took both back keeps both until the restart.
    let is_exposed = !running.api.listen.ip().to_canonical().is_loopback();
    if is_exposed && wanted.api.token_file.is_none() && running.api.token_file.is_some() {
        changes.at_once.retain(|name| *name != "api.tokenFile");
        changes.after_restart.push("api.tokenFile");
    }
    changes
}

/// `wanted` as far as it takes effect while `running` runs; the rest is `running`'s.
pub fn without_restart(running: &Config, wanted: &Config) -> Config {
    let mut config = Config {
        zones: running.zones.clone(),
        reverse: running.reverse.clone(),
        listen: running.listen.clone(),
        http: running.http,
        workers: running.workers,
        cpu_affinity: running.cpu_affinity.clone(),
        manifests: running.manifests.clone(),
        kubernetes: running.kubernetes.clone(),
        state: running.state.clone(),
        static_zones: running.static_zones.clone(),
        snapshot_max_age: running.snapshot_max_age,
        lame_duck: running.lame_duck,
        upstream: running.upstream.clone(),
        dnstap: running.dnstap.clone(),
        ..wanted.clone()
    };
    config.api.listen = running.api.listen;
    if changes(running, wanted)
        .after_restart
        .contains(&"api.tokenFile")
    {
        config.api.token_file.clone_from(&running.api.token_file);
    }
    config
}
