//! The way to the API server: a client for watches, made anew when its credentials may have been rotated.
//!
//! What is named explicitly is used: a kubeconfig and a context in it. Otherwise a pod uses its service account, and
//! anybody else the kubeconfig of `$KUBECONFIG` or `~/.kube/config`. A service account's token and CA are read again by
//! the client every minute; what a kubeconfig names (certificates, the address itself) is read again when a request
//! fails, which is where rotation shows.

use std::cell::RefCell;
use std::env;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use kube::config::{
    Config, InClusterError, InferConfigError, KubeConfigOptions, Kubeconfig, KubeconfigError,
};
use kube::{Client, client::ClientBuilder};
use thiserror::Error;

/// Which cluster, and as whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// The kubeconfig; `None`: the service account of the pod, else the kubeconfig that kubectl would use.
    pub kubeconfig: Option<PathBuf>,
    /// The context in the kubeconfig; `None`: its current one.
    pub context: Option<String>,
}

/// Why there is no way to the API server.
#[derive(Debug, Error)]
pub enum AccessError {
    /// The kubeconfig cannot be used.
    #[error("cannot use the kubeconfig `{}`", path.display())]
    Kubeconfig {
        /// The file as the operator named it.
        path: PathBuf,
        /// Why not.
        #[source]
        source: KubeconfigError,
    },
    /// The context cannot be used.
    #[error("cannot use the context `{context}` of the kubeconfig")]
    Context {
        /// As the operator named it.
        context: String,
        /// Why not.
        #[source]
        source: KubeconfigError,
    },
    /// This runs in a pod whose service account cannot be used.
    #[error("cannot use the service account of this pod")]
    InCluster(#[source] InClusterError),
    /// Nothing says which cluster.
    #[error(
        "there is no cluster: name a kubeconfig with --kubeconfig FILE, or manifests with --manifests DIR"
    )]
    Nowhere(#[source] Box<InferConfigError>),
    /// Certificates or credentials cannot be used.
    #[error("cannot make a client of the credentials")]
    Client(#[source] Box<kube::Error>),
}

/// A client is made anew at most this often, whoever asks: eleven watches fail together.
const RENEW_EVERY: Duration = Duration::from_secs(5);

impl Access {
    async fn config(&self) -> Result<Config, AccessError> {
        let options = KubeConfigOptions {
            context: self.context.clone(),
            ..KubeConfigOptions::default()
        };
        match (&self.kubeconfig, &self.context) {
            (Some(path), _) => {
                let failed = |source| AccessError::Kubeconfig {
                    path: path.clone(),
                    source,
                };
                let kubeconfig = Kubeconfig::read_from(path).map_err(failed)?;
                Config::from_custom_kubeconfig(kubeconfig, &options)
                    .await
                    .map_err(failed)
            }
            (None, Some(context)) => {
                Config::from_kubeconfig(&options)
                    .await
                    .map_err(|source| AccessError::Context {
                        context: context.clone(),
                        source,
                    })
            }
            (None, None) if env::var_os("KUBERNETES_SERVICE_HOST").is_some() => {
                Config::incluster().map_err(AccessError::InCluster)
            }
            (None, None) => Config::infer()
                .await
                .map_err(|error| AccessError::Nowhere(Box::new(error))),
        }
    }

    /// A client that hides nothing: it neither retries nor waits for ever.
    ///
    /// # Errors
    /// See [`AccessError`]. Whether anybody answers at the address is not looked at.
    pub(super) async fn client(&self, read_timeout: Duration) -> Result<Client, AccessError> {
        // Two providers in one program, and rustls would choose none.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut config = self.config().await?;
        tracing::debug!(url = %config.cluster_url, "a client for the API server");
        // Its own retries would hide failures for minutes, and there would be two back-offs.
        config.default_retry = false;
        config.connect_timeout = Some(Duration::from_secs(10));
        config.read_timeout = Some(read_timeout);
        config.reset_reader_on_write = true;
        let built = ClientBuilder::try_from(config);
        let failed = |error| AccessError::Client(Box::new(error));
        Ok(built.map_err(failed)?.build())
    }
}

/// What the cluster is known by while nobody answers: the address of its API server and whom that is signed by. Inside a
/// pod all clusters have one address, and each its own authority.
///
/// # Errors
/// See [`AccessError`].
pub async fn cluster(access: &Access) -> Result<Vec<u8>, AccessError> {
    let config = access.config().await?;
    let mut text = config.cluster_url.to_string().into_bytes();
    for certificate in config.root_cert.iter().flatten() {
        text.push(0);
        text.extend_from_slice(certificate);
    }
    Ok(text)
}

/// The client in use.
pub(super) struct Clients {
    access: Access,
    read_timeout: Duration,
    current: RefCell<Current>,
}

struct Current {
    client: Client,
    /// Counts up with each client.
    number: u64,
    made: Instant,
}

impl Clients {
    pub(super) fn new(access: Access, read_timeout: Duration, client: Client) -> Self {
        let current = RefCell::new(Current {
            client,
            number: 0,
            made: Instant::now(),
        });
        Self {
            access,
            read_timeout,
            current,
        }
    }

    /// The client, and its number.
    pub(super) fn get(&self) -> (Client, u64) {
        let current = self.current.borrow();
        (current.client.clone(), current.number)
    }

    /// The client of this number may be out of date: another is made, unless that has just been done. Where it cannot be
    /// made the old one stays, which is no worse.
    pub(super) async fn renew(&self, number: u64) {
        let is_due = {
            let current = self.current.borrow();
            current.number == number && current.made.elapsed() >= RENEW_EVERY
        };
        if !is_due {
            return;
        }
        self.current.borrow_mut().made = Instant::now();
        match self.access.client(self.read_timeout).await {
            Ok(client) => {
                let mut current = self.current.borrow_mut();
                current.client = client;
                current.number += 1;
            }
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "no new client");
            }
        }
    }
}
