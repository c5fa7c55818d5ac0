//! What of a cluster is served, and how much.

use ipnet::IpNet;

use super::labels::LabelSelector;

/// Which namespaces and addresses count, and the limits of what one tenant can multiply.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The namespaces that are served; empty: all.
    pub namespaces: Vec<String>,
    /// Serves only namespaces whose Namespace object has matching labels.
    pub namespace_selector: Option<LabelSelector>,
    /// Namespaces that get no names, because those would collide with names of the schema.
    pub reserved_namespaces: Vec<String>,
    /// Whether anyone asks which pod addresses exist; keeping them costs 50 octets a pod.
    pub pod_addresses: bool,
    /// Addresses that are never answered as endpoints.
    pub address_deny: Vec<IpNet>,
    /// The most endpoints of one service: 1000, what a controller puts into one slice at most.
    pub endpoints_per_service: usize,
    /// The most endpoints of all services of a namespace.
    pub endpoints_per_namespace: usize,
}

impl Default for Settings {
    fn default() -> Self {
        let net = |text: &str| text.parse().expect("the default networks are well formed");
        Self {
            namespaces: Vec::new(),
            namespace_selector: None,
            reserved_namespaces: vec!["svc".into(), "pod".into()],
            pod_addresses: true,
            address_deny: ["127.0.0.0/8", "169.254.0.0/16", "::1/128"].map(net).into(),
            endpoints_per_service: 1000,
            endpoints_per_namespace: 20_000,
        }
    }
}
