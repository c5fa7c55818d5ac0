//! Where the running server is: the flags that say so, and what is done where none does.
//!
//! 1. `--server URL` is asked, and nothing else is tried: who names a server means that one.
//! 2. `--kubeconfig` or `--context` name a cluster: a server in one of its pods is asked, through a port-forward.
//! 3. Without any of them the server on this machine is asked (`http://127.0.0.1:9154`), if something answers there: it is what
//!    `serve`, `demo` and a port-forward of one's own leave there, and costs nothing to try. Otherwise, where there is a
//!    kubeconfig (or a pod's service account), its cluster is asked, and standard error says which pod that was, since nobody named it.

use std::env;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;

use crate::kubernetes::Access;
use crate::kubernetes::forward::{Destination, Forward, ForwardError};

/// Where `serve` and `demo` have their API.
const API_PORT: u16 = 9154;

/// On loopback a connection is there at once, or refused.
const KNOCK: Duration = Duration::from_millis(500);

/// Where the running server is.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Which server")]
pub(super) struct Server {
    /// The API of the server.
    ///
    /// Without it, a server in the cluster that --kubeconfig or --context name is asked; without these the one at
    /// http://127.0.0.1:9154, if something answers there; else one in the cluster of the kubeconfig that kubectl would use.
    #[arg(long = "server", value_name = "URL")]
    pub(super) url: Option<String>,
    /// A file that holds the API's token.
    #[arg(long, value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
    /// The kubeconfig of the cluster.
    ///
    /// A server in one of its pods is asked, through a port-forward (with --server, that one is asked instead); and what is asked of
    /// roll-outs is written into it, with the rights that the kubeconfig gives.
    #[arg(long, value_name = "FILE")]
    pub(super) kubeconfig: Option<PathBuf>,
    /// The context in the kubeconfig; without it, the current one.
    #[arg(long, value_name = "NAME")]
    pub(super) context: Option<String>,
    /// The namespace of the server's pods.
    ///
    /// They are labelled app.kubernetes.io/name=shiftdns. It is one namespace, since few may list pods in all of them.
    #[arg(long, value_name = "NAMESPACE", default_value = "shiftdns")]
    pub(super) server_namespace: String,
    /// The port of the API in the server's pods.
    #[arg(long, value_name = "PORT", default_value_t = API_PORT)]
    pub(super) server_port: u16,
}

/// What the flags, and what is there, lead to.
#[derive(Debug, PartialEq, Eq)]
enum Choice<'s> {
    /// A server that was named.
    Url(&'s str),
    /// The one on this machine.
    Here,
    /// One in a cluster that was named.
    Cluster,
    /// One in the cluster of the kubeconfig that is there.
    DefaultCluster,
}

/// A way to a running server; with a forward it lasts as long as this does.
#[derive(Debug)]
pub(super) struct Reached {
    /// Without a slash at its end.
    pub(super) url: String,
    /// The cluster into which this person writes what is asked of roll-outs: the one that was named, or that was asked.
    pub(super) cluster: Option<Access>,
    forward: Option<Forward>,
}

impl Server {
    fn choice(
        &self,
        is_here: impl FnOnce() -> bool,
        has_cluster: impl FnOnce() -> bool,
    ) -> Choice<'_> {
        match &self.url {
            Some(url) => Choice::Url(url),
            None if self.names_cluster() => Choice::Cluster,
            None if is_here() || !has_cluster() => Choice::Here,
            None => Choice::DefaultCluster,
        }
    }

    fn names_cluster(&self) -> bool {
        self.kubeconfig.is_some() || self.context.is_some()
    }

    fn access(&self) -> Access {
        Access {
            kubeconfig: self.kubeconfig.clone(),
            context: self.context.clone(),
        }
    }

    /// Finds the way, and opens it where it has to be opened.
    ///
    /// # Errors
    /// Where a cluster is to be asked and no pod of it can be.
    pub(super) fn reach(&self) -> anyhow::Result<Reached> {
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, API_PORT));
        let is_here = || TcpStream::connect_timeout(&here, KNOCK).is_ok();
        let direct = |url: String| Reached {
            url: url.trim_end_matches('/').to_owned(),
            // A cluster that nobody named is not written to on the word of a server that may follow another one.
            cluster: self.names_cluster().then(|| self.access()),
            forward: None,
        };
        let choice = self.choice(is_here, has_cluster);
        match choice {
            Choice::Url(url) => Ok(direct(url.to_owned())),
            Choice::Here => Ok(direct(format!("http://{here}"))),
            Choice::Cluster | Choice::DefaultCluster => {
                let to = Destination {
                    namespace: self.server_namespace.clone(),
                    port: self.server_port,
                };
                let opened = Forward::open(self.access(), to);
                let forward = match choice {
                    Choice::Cluster => opened.context("cannot reach a server in the cluster")?,
                    _ => opened.with_context(|| {
                        format!("nothing answers at http://{here}, and a server in the cluster cannot be reached")
                    })?,
                };
                if choice == Choice::DefaultCluster {
                    // Standard error may be closed; there is no other place to say so.
                    let _ = writeln!(
                        io::stderr(),
                        "asking pod {}, since nothing answers at http://{here}",
                        forward.pod()
                    );
                }
                Ok(Reached {
                    url: format!("http://{}", forward.address()),
                    cluster: Some(self.access()),
                    forward: Some(forward),
                })
            }
        }
    }
}

impl Reached {
    /// Why the last question did not get through, where this knows.
    pub(super) fn trouble(&self) -> Option<ForwardError> {
        self.forward.as_ref()?.take_trouble()
    }
}

/// Whether kubectl would find a cluster: `$KUBECONFIG`, `~/.kube/config`, or the service account of a pod.
fn has_cluster() -> bool {
    let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    let file = env::home_dir().map(|home| home.join(".kube/config"));
    is_set("KUBECONFIG")
        || is_set("KUBERNETES_SERVICE_HOST")
        || file.is_some_and(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        server: Server,
    }

    fn check(line: &str, is_here: bool, has_cluster: bool, expected: Choice<'_>) {
        let words = std::iter::once("x").chain(line.split_whitespace());
        let Line { server } = Line::parse_from(words);
        assert_eq!(
            server.choice(|| is_here, || has_cluster),
            expected,
            "{line}"
        );
    }

    #[test]
    fn what_is_named_is_asked_then_this_machine_then_the_cluster_at_hand() {
        for (is_here, has_cluster) in [(true, true), (true, false), (false, true), (false, false)] {
            check(
                "--server http://a",
                is_here,
                has_cluster,
                Choice::Url("http://a"),
            );
            check(
                "--server http://a --context b",
                is_here,
                has_cluster,
                Choice::Url("http://a"),
            );
            check("--kubeconfig file", is_here, has_cluster, Choice::Cluster);
            check("--context b", is_here, has_cluster, Choice::Cluster);
        }
        check("", true, true, Choice::Here);
        check("", true, false, Choice::Here);
        check("", false, true, Choice::DefaultCluster);
        // Its error says what to do.
        check("", false, false, Choice::Here);
    }

    #[test]
    fn a_cluster_is_written_to_only_where_it_was_named_or_asked() {
        let reach = |line: &str| {
            let words = std::iter::once("x").chain(line.split_whitespace());
            Line::parse_from(words).server.reach().unwrap()
        };
        let named = reach("--server http://a/ --context b");
        assert_eq!(named.url, "http://a");
        assert_eq!(
            named.cluster.and_then(|access| access.context).as_deref(),
            Some("b")
        );
        assert_eq!(reach("--server http://a").cluster, None);
    }
}
