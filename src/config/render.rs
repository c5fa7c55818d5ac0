//! The configuration in force, written as a file.

use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

use super::text::{quoted, written};
use super::{Config, CpuAffinity, EmptyService, Pods};

/// `config` as a file with every key, which loads again to an equal configuration.
///
/// Keys whose feature is not built stand at their defaults, as they do in the commented template: the two have the
/// same lines, so that a difference between them is a setting.
pub fn render(config: &Config) -> String {
    let Config {
        api,
        soa,
        ttl,
        defaults,
        limits,
        identity,
        dnstap,
        ..
    } = config;
    let source = match &config.manifests {
        Some(folder) => format!("{{manifests: {}}}", quoted(&shown(folder))),
        None => {
            let cluster = &config.kubernetes;
            let kubeconfig = cluster.kubeconfig.as_deref().map(shown).unwrap_or_default();
            let context = cluster.context.as_deref().unwrap_or_default();
            format!(
                "{{kubernetes: {{kubeconfig: {}, context: {}}}}}",
                quoted(&kubeconfig),
                quoted(context)
            )
        }
    };
    let state = config.state.as_deref().map(shown).unwrap_or_default();
    let static_zones = config
        .static_zones
        .as_deref()
        .map(shown)
        .unwrap_or_default();
    let soak = Duration::from_secs(defaults.soak_secs.into());
    let token_file = api.token_file.as_deref().map(shown).unwrap_or_default();
    let version = identity
        .version
        .as_deref()
        .map_or("refused".to_owned(), quoted);
    let tap_socket = dnstap.socket.as_deref().map(shown).unwrap_or_default();
    let selector = config.namespace_selector.as_ref();
    let selector = selector.map(ToString::to_string).unwrap_or_default();
    let lines = [
        "apiVersion: shiftdns.io/v1alpha1".to_owned(),
        "kind: Config".to_owned(),
        format!("zones: {}", list(&config.zones)),
        format!("reverse: {}", list(&config.reverse)),
        format!("listen: {}", list(&config.listen)),
        format!("http: {}", quoted(&config.http.to_string())),
        "api:".to_owned(),
        format!("  listen: {}", quoted(&api.listen.to_string())),
        format!("  tokenFile: {}", quoted(&token_file)),
        format!("  actions: {}", api.actions),
        format!("workers: {}", config.workers.map_or(0, usize::from)),
        format!("cpuAffinity: {}", cpu_affinity(&config.cpu_affinity)),
        format!("source: {source}"),
        format!("state: {}", quoted(&state)),
        format!("snapshotMaxAge: {}", written(config.snapshot_max_age)),
        format!("lameDuck: {}", written(config.lame_duck)),
        format!("staleAfter: {}", written(config.stale_after)),
        format!("unreadyAfter: {}", written(config.unready_after)),
        format!("staticZones: {}", quoted(&static_zones)),
        format!("upstream: {}", list(&config.upstream)),
        format!("namespaces: {}", list(&config.namespaces)),
        format!("namespaceSelector: {}", quoted(&selector)),
        format!("pods: {}", pods(config.pods)),
        format!("endpointPodNames: {}", config.endpoint_pod_names),
        format!("emptyService: {}", empty_service(config.empty_service)),
        format!("recursionAvailable: {}", config.recursion_available),
        "soa:".to_owned(),
        format!(
            "  mname: {}",
            quoted(soa.mname.as_deref().unwrap_or_default())
        ),
        format!(
            "  rname: {}",
            quoted(soa.rname.as_deref().unwrap_or_default())
        ),
        format!("nameServers: {}", list(&config.name_servers)),
        "ttl:".to_owned(),
        format!("  clusterIp: {}", ttl.cluster_ip),
        format!("  endpoints: {}", ttl.endpoints),
        format!("  rollout: {}", ttl.rollout),
        format!("  negative: {}", ttl.negative),
        format!("  cacheFloor: {}", ttl.cache_floor),
        "defaults:".to_owned(),
        format!("  strategy: {}", defaults.strategy.as_str()),
        format!("  soak: {}", written(soak)),
        format!("  answer: {}", defaults.answer.as_str()),
        format!("  records: {}", defaults.records),
        format!("  onFailure: {}", defaults.on_failure.as_str()),
        format!("  rollback: {}", defaults.rollback.as_str()),
        format!("  headroom: {}", defaults.headroom_percent),
        "limits:".to_owned(),
        format!("  endpointsPerService: {}", limits.endpoints_per_service),
        format!(
            "  endpointsPerNamespace: {}",
            limits.endpoints_per_namespace
        ),
        format!("  tcpConnections: {}", limits.tcp_connections),
        format!("  tcpIdle: {}", written(limits.tcp_idle)),
        format!("  tcpMessage: {}", written(limits.tcp_message)),
        format!("reservedNamespaces: {}", list(&config.reserved_namespaces)),
        format!("addressDeny: {}", list(&config.address_deny)),
        "identity:".to_owned(),
        format!(
            "  id: {}",
            quoted(identity.id.as_deref().unwrap_or_default())
        ),
        format!("  version: {version}"),
        "dnstap:".to_owned(),
        format!("  socket: {}", quoted(&tap_socket)),
        format!(
            "  identity: {}",
            quoted(dnstap.identity.as_deref().unwrap_or_default())
        ),
    ];
    lines.join("\n") + "\n"
}

/// `["a", "b"]`
fn list<T: Display>(values: &[T]) -> String {
    let values: Vec<String> = values
        .iter()
        .map(|value| quoted(&value.to_string()))
        .collect();
    format!("[{}]", values.join(", "))
}

/// Paths that are not UTF-8 come from a flag only, and are shown as well as they can be.
fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn cpu_affinity(affinity: &CpuAffinity) -> String {
    match affinity {
        CpuAffinity::Off => "false".to_owned(),
        CpuAffinity::On => "true".to_owned(),
        CpuAffinity::Cpus(numbers) => format!("{numbers:?}"),
    }
}

fn pods(pods: Pods) -> &'static str {
    match pods {
        Pods::Disabled => "disabled",
        Pods::Insecure => "insecure",
        Pods::Verified => "verified",
    }
}

fn empty_service(empty: EmptyService) -> &'static str {
    match empty {
        EmptyService::Nxdomain => "nxdomain",
        EmptyService::Nodata => "nodata",
    }
}
