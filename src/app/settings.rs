//! The one conversion from the configuration to each module's own settings.

use std::net::{IpAddr, SocketAddr};
use std::thread;

use super::StartError;
use crate::config::{self, Config, CpuAffinity, EmptyService, Pods};
use crate::model::{Policy, TtlPolicy};
use crate::records;
use crate::wire::{Name, NameError};
use crate::zone::{Authority, Zone, ZoneKind, Zones, reverse_zones};
use crate::{admin, answer, engine, kubernetes, objects, server, upstream};

pub(super) fn server(config: &Config) -> server::Settings {
    let cores = || thread::available_parallelism().map_or(1, usize::from);
    server::Settings {
        listen: config.listen.clone(),
        workers: config.workers.map_or_else(cores, usize::from),
        udp: server::UdpSettings {
            processors: match &config.cpu_affinity {
                CpuAffinity::Off => server::Processors::Any,
                CpuAffinity::On => server::Processors::Each,
                CpuAffinity::Cpus(numbers) => server::Processors::These(numbers.clone()),
            },
            ..server::UdpSettings::default()
        },
        tcp: tcp(config),
    }
}

pub(super) fn tcp(config: &Config) -> server::TcpSettings {
    let connections = config.limits.tcp_connections;
    server::TcpSettings {
        connections,
        // One network may take half: the rest of the cluster still gets in.
        connections_per_prefix: connections.div_ceil(2),
        idle: config.limits.tcp_idle,
        message: config.limits.tcp_message,
        ..server::TcpSettings::default()
    }
}

pub(super) fn admin(config: &Config) -> Result<admin::Settings, StartError> {
    Ok(admin::Settings {
        http: config.http,
        api: config.api.listen,
        rules: rules(config)?,
    })
}

pub(super) fn rules(config: &Config) -> Result<admin::Rules, StartError> {
    let token = token(config)?;
    let Config {
        api, unready_after, ..
    } = config;
    Ok(admin::Rules::new(
        token.as_deref(),
        api.actions,
        *unready_after,
    ))
}

fn token(config: &Config) -> Result<Option<String>, StartError> {
    let Some(path) = &config.api.token_file else {
        return Ok(None);
    };
    let failed = |source| StartError::Token {
        path: path.clone(),
        source,
    };
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let token = text.trim().to_owned();
    if token.is_empty() {
        let source = std::io::Error::new(std::io::ErrorKind::InvalidData, "the file is empty");
        return Err(failed(source));
    }
    Ok(Some(token))
}

pub(super) fn kubernetes(config: &Config) -> kubernetes::Settings {
    let config::Kubernetes {
        kubeconfig,
        context,
    } = config.kubernetes.clone();
    kubernetes::Settings {
        access: kubernetes::Access {
            kubeconfig,
            context,
        },
        instance: instance(config),
        ..kubernetes::Settings::default()
    }
}

/// What this server is called: by its id, else, in a pod, by the pod's name.
fn instance(config: &Config) -> String {
    let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = config.identity.id.clone().or_else(host);
    let name = name.unwrap_or_default().trim().to_owned();
    match name.is_empty() {
        true => "shiftdns".to_owned(),
        false => name,
    }
}

pub(super) fn terms(config: &Config) -> Result<answer::Terms, NameError> {
    Ok(answer::Terms {
        zones: zones(config)?,
        identity: identity(config),
        limits: limits(config),
    })
}

/// `None`: nothing is copied.
pub(super) fn tap(config: &Config) -> Option<server::TapSettings> {
    let socket = config.dnstap.socket.clone()?;
    let named = config.dnstap.identity.clone();
    Some(server::TapSettings {
        socket,
        identity: named.unwrap_or_else(|| instance(config)),
        version: concat!("shiftdns ", env!("CARGO_PKG_VERSION")).to_owned(),
    })
}

pub(super) fn identity(config: &Config) -> answer::Identity {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    answer::Identity::new(&text(&config.identity.id), &text(&config.identity.version))
}

pub(super) fn limits(config: &Config) -> answer::Limits {
    answer::Limits {
        recursion_available: config.recursion_available,
        pods_unverified: config.pods == Pods::Insecure,
        stale_after_secs: config.stale_after.as_secs(),
        ..answer::Limits::default()
    }
}

/// Cluster zones in their order, each with a name server of its own; then reverse zones, with that of the first.
pub(super) fn zones(config: &Config) -> Result<Zones, NameError> {
    let ttl = config.ttl.cluster_ip;
    let negative = config.ttl.negative;
    let mut zones = Vec::new();
    for text in &config.zones {
        let name = Name::parse(text)?;
        let authority = authority(config, &name)?;
        zones.push(Zone::new(
            name,
            ZoneKind::Cluster,
            &authority,
            ttl,
            negative,
        ));
    }
    let first = Name::parse(config.zones.first().map_or(".", |zone| zone))?;
    let authority = authority(config, &first)?;
    for reverse in reverse_zones(&config.reverse) {
        let kind = ZoneKind::Reverse(reverse.ranges);
        zones.push(Zone::new(reverse.name, kind, &authority, ttl, negative));
    }
    Ok(Zones::new(zones))
}

fn authority(config: &Config, zone: &Name) -> Result<Authority, NameError> {
    let name = |text: &Option<String>| text.as_ref().map(|text| Name::parse(text)).transpose();
    let server = zone.below([b"ns".as_slice(), b"dns"])?;
    let rname = match name(&config.soa.rname)? {
        Some(rname) => rname,
        None => zone.below([b"hostmaster".as_slice()])?,
    };
    Ok(Authority {
        mname: name(&config.soa.mname)?.unwrap_or_else(|| server.clone()),
        server,
        rname,
    })
}

/// `None`: names outside our zones are not looked up.
pub(super) fn upstream(config: &Config) -> Option<upstream::Settings> {
    let servers = config.upstream.clone();
    (!servers.is_empty()).then(|| upstream::Settings {
        servers,
        deny: config.address_deny.clone(),
        limits: upstream::Limits::default(),
    })
}

/// `dns` are the addresses that are served: those of the name server where none are configured.
pub(super) fn engine(config: &Config, dns: &[SocketAddr]) -> Result<engine::Settings, NameError> {
    let mut addresses: Vec<IpAddr> = config.name_servers.clone();
    if addresses.is_empty() {
        let listen = dns.iter().map(SocketAddr::ip);
        addresses = listen.filter(|address| !address.is_unspecified()).collect();
        addresses.dedup();
    }
    Ok(engine::Settings {
        objects: objects::Settings {
            namespaces: config.namespaces.clone(),
            namespace_selector: config.namespace_selector.clone(),
            reserved_namespaces: config.reserved_namespaces.clone(),
            pod_addresses: config.pods == Pods::Verified,
            address_deny: config.address_deny.clone(),
            endpoints_per_service: config.limits.endpoints_per_service,
            endpoints_per_namespace: config.limits.endpoints_per_namespace,
        },
        defaults: Policy {
            ttl: TtlPolicy {
                endpoints: config.ttl.endpoints,
                rollout: config.ttl.rollout,
            },
            ..config.defaults.clone()
        },
        records: records::Settings {
            ttl_cluster_ip: config.ttl.cluster_ip,
            endpoint_pod_names: config.endpoint_pod_names,
            keep_empty: config.empty_service == EmptyService::Nodata,
        },
        pods: match config.pods {
            Pods::Disabled => engine::Pods::Disabled,
            Pods::Insecure => engine::Pods::Unverified,
            Pods::Verified => engine::Pods::Verified,
        },
        name_server: addresses,
        cache_floor: config.ttl.cache_floor,
        in_cluster: false,
        upstream: !config.upstream.is_empty(),
    })
}
