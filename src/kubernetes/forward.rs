//! A way into a pod: a port on loopback whose connections end at a port of a ready server of ours in the cluster.
//!
//! Given a way to the API server, [`Forward::open`] listens on a port that the system chooses. For each connection it opens a
//! port-forward of its own, as `kubectl port-forward` does, by the rights of whoever started it (`list` of pods and
//! `create` of `pods/portforward` in one namespace). A pod that is gone is replaced by another one at the next connection.
//! Until it is dropped, everyone on this machine may use the port, as with kubectl's.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, Client};
use thiserror::Error;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::LocalSet;
use tokio::time;

use super::access::{Access, AccessError};

/// What `deploy/base` and the chart call our pods.
const LABEL: &str = "app.kubernetes.io/name=shiftdns";

/// How long anything said to the API server may take; a person waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// Which pods, and which port of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The namespace of the pods.
    pub namespace: String,
    /// The port of the API in a pod.
    pub port: u16,
}

/// Why there is no way.
#[derive(Debug, Error)]
pub enum ForwardError {
    /// There is no way to the API server.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// It did not tell which pods there are.
    #[error("cannot list the pods of ShiftDNS in namespace `{namespace}`")]
    List {
        /// The namespace.
        namespace: String,
        /// Why not.
        #[source]
        source: Box<kube::Error>,
    },
    /// It did not answer in time.
    #[error("the API server of the cluster does not answer")]
    Silent,
    /// There is none to ask.
    #[error(
        "no pod with the label `{LABEL}` in namespace `{namespace}` is ready ({found} are there)"
    )]
    NoPod {
        /// The namespace.
        namespace: String,
        /// How many are there.
        found: usize,
    },
    /// The API server refused the port-forward.
    #[error("cannot open a port-forward to pod `{namespace}/{pod}`")]
    Refused {
        /// The namespace.
        namespace: String,
        /// The pod.
        pod: String,
        /// Why.
        #[source]
        source: Box<kube::Error>,
    },
    /// Nobody listens at the port in the pod.
    #[error("pod `{namespace}/{pod}` takes no connection: {text}")]
    Closed {
        /// The namespace.
        namespace: String,
        /// The pod.
        pod: String,
        /// What its node says.
        text: String,
    },
    /// The system gave no port or thread.
    #[error("cannot listen on loopback")]
    Here(#[source] std::io::Error),
}

/// The way; it closes when this is dropped.
#[derive(Debug)]
pub struct Forward {
    address: SocketAddr,
    pod: String,
    // A lock, since connections fail on the other thread; held for a move.
    trouble: Arc<Mutex<Option<ForwardError>>>,
    _stop: oneshot::Sender<()>,
}

impl Forward {
    /// Finds a ready pod and listens; blocks until that is done, for some ten seconds at the most.
    ///
    /// # Errors
    /// See [`ForwardError`].
    pub fn open(access: Access, to: Destination) -> Result<Self, ForwardError> {
        let trouble = Arc::new(Mutex::new(None));
        let of_thread = Arc::clone(&trouble);
        let (stop, stopped) = oneshot::channel();
        let (opened, is_open) = oneshot::channel();
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(ForwardError::Here)?;
        let run = async move {
            let way = match Way::open(access, to).await {
                Ok(way) => way,
                Err(error) => return drop(opened.send(Err(error))),
            };
            let pod = way.pod.clone();
            if opened.send(Ok((way.address, pod))).is_ok() {
                tokio::select! {
                    // Told by dropping the other end.
                    _ = stopped => {}
                    () = way.serve(of_thread) => {}
                }
            }
        };
        let run = move || LocalSet::new().block_on(&runtime, run);
        thread::Builder::new()
            .name("port-forward".to_owned())
            .spawn(run)
            .map_err(ForwardError::Here)?;
        let ended = || ForwardError::Here(std::io::Error::other("the thread has ended"));
        let (address, pod) = is_open.blocking_recv().map_err(|_| ended())??;
        Ok(Self {
            address,
            pod,
            trouble,
            _stop: stop,
        })
    }

    /// Where to connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The pod that was found first, as `namespace/name`.
    pub fn pod(&self) -> &str {
        &self.pod
    }

    /// Why the last connection led nowhere, if it did not; told once.
    pub fn take_trouble(&self) -> Option<ForwardError> {
        let trouble = self.trouble.lock();
        trouble.unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// What the thread has.
struct Way {
    client: Client,
    to: Destination,
    listener: TcpListener,
    address: SocketAddr,
    pod: String,
}

impl Way {
    async fn open(access: Access, to: Destination) -> Result<Self, ForwardError> {
        let client = access.client(PATIENCE * 6).await?;
        let pod = ready_pod(&client, &to).await?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.map_err(ForwardError::Here)?;
        Ok(Self {
            address: listener.local_addr().map_err(ForwardError::Here)?,
            pod: format!("{}/{pod}", to.namespace),
            client,
            to,
            listener,
        })
    }

    async fn serve(self, trouble: Arc<Mutex<Option<ForwardError>>>) {
        loop {
            let Ok((stream, _)) = self.listener.accept().await else {
                // No file descriptors, for the moment.
                time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let (client, to) = (self.client.clone(), self.to.clone());
            let trouble = Arc::clone(&trouble);
            tokio::task::spawn_local(async move {
                let mut stream = stream;
                let led = lead(&mut stream, client, &to).await;
                // Before the connection is closed: whoever asked looks here when it is.
                *trouble.lock().unwrap_or_else(PoisonError::into_inner) = led.err();
            });
        }
    }
}

/// One connection, from beginning to end. The pod is looked up each time: a server that rolls takes its pods away.
async fn lead(
    stream: &mut TcpStream,
    client: Client,
    to: &Destination,
) -> Result<(), ForwardError> {
    let pod = ready_pod(&client, to).await?;
    let pods: Api<Pod> = Api::namespaced(client, &to.namespace);
    let ports = [to.port];
    let opening = time::timeout(PATIENCE, pods.portforward(&pod, &ports));
    let opened = opening.await.map_err(|_| ForwardError::Silent)?;
    let mut forwarder = opened.map_err(|source| ForwardError::Refused {
        namespace: to.namespace.clone(),
        pod: pod.clone(),
        source: Box::new(source),
    })?;
    let told = forwarder.take_error(to.port);
    let mut inside = forwarder.take_stream(to.port).ok_or(ForwardError::Silent)?;
    // What the kubelet says when nobody listens in the pod.
    let told = async {
        match told {
            Some(told) => told.await,
            None => None,
        }
    };
    let refused = tokio::select! {
        biased;
        Some(text) = told => Some(text),
        // Either side may break off; whoever asked sees that its answer is not whole.
        _ = copy_bidirectional(stream, &mut inside) => None,
    };
    forwarder.abort();
    if let Some(text) = refused {
        return Err(ForwardError::Closed {
            namespace: to.namespace.clone(),
            pod,
            text: text.trim().to_owned(),
        });
    }
    Ok(())
}

/// The first pod by name that is ready and stays.
async fn ready_pod(client: &Client, to: &Destination) -> Result<String, ForwardError> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), &to.namespace);
    let params = ListParams::default().labels(LABEL);
    let listing = time::timeout(PATIENCE, pods.list(&params)).await;
    let listed = listing.map_err(|_| ForwardError::Silent)?;
    let listed = listed.map_err(|source| ForwardError::List {
        namespace: to.namespace.clone(),
        source: Box::new(source),
    })?;
    let names = listed.items.iter().filter(|pod| is_ready(pod));
    let first = names.filter_map(|pod| pod.metadata.name.clone()).min();
    first.ok_or_else(|| ForwardError::NoPod {
        namespace: to.namespace.clone(),
        found: listed.items.len(),
    })
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|s| s.conditions.as_ref());
    let mut conditions = conditions.into_iter().flatten();
    pod.metadata.deletion_timestamp.is_none()
        && conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_that_is_ready_and_stays_is_asked() {
        let pod = |status: &str, going: Option<&str>| -> Pod {
            serde_json::from_value(json!({
                "metadata": {"name": "shiftdns-1", "deletionTimestamp": going},
                "status": {"conditions": [{"type": "Initialized", "status": "True"}, {"type": "Ready", "status": status}]},
            }))
            .unwrap()
        };
        assert!(is_ready(&pod("True", None)));
        assert!(!is_ready(&pod("False", None)));
        assert!(!is_ready(&pod("True", Some("2026-03-01T10:00:00Z"))));
        assert!(!is_ready(&Pod::default()));
    }
}
