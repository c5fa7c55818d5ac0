//! The command line of `serve`: texts and numbers as they were given; `check` reads them as it reads the file's.

use std::path::PathBuf;

use clap::Args;

/// Flags of `serve`; each wins over the file's key, lists as a whole.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// Configuration file (YAML); flags win over it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Serve the manifests of this directory, reloaded on change; no cluster is needed
    #[arg(long, value_name = "DIR")]
    pub manifests: Option<PathBuf>,
    /// File for what must outlive a restart: failed revisions, the progress of roll-outs, what people asked of them
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Kubeconfig of the cluster to follow; without it and without manifests: the pod's service account, else kubectl's
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context inside the kubeconfig
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// Zone to be the authority for; may be repeated, the first is the zone of PTR targets
    #[arg(long, value_name = "ZONE")]
    pub zone: Vec<String>,
    /// Network whose reverse names are ours; may be repeated
    #[arg(long, value_name = "CIDR")]
    pub reverse: Vec<String>,
    /// Directory of zone files (NAME.zone, RFC 1035), served beside the cluster's names and reloaded on change
    #[arg(long, value_name = "DIR")]
    pub zones: Option<PathBuf>,
    /// Address for DNS, UDP and TCP; may be repeated
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Vec<String>,
    /// Address for probes and metrics
    #[arg(long, value_name = "ADDR:PORT")]
    pub http: Option<String>,
    /// Address for the API
    #[arg(long, value_name = "ADDR:PORT")]
    pub api: Option<String>,
    /// UDP workers; 0 is one a core
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
    /// Take over the sockets of the server that runs at these addresses, without losing a query, and let it end
    #[arg(long)]
    pub replace: bool,
}
