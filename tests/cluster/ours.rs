//! Ours: our own server on the plane, as a process with a ServiceAccount that may do what `deploy/` lets it do.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::plane::{Plane, eventually};
use crate::programs::{Program, port};
use crate::rig;

/// A server of ours, until it is dropped; before the plane.
pub struct Ours {
    /// Where DNS is answered.
    pub dns: SocketAddr,
    /// Probes and metrics.
    pub http: SocketAddr,
    /// The API.
    pub api: SocketAddr,
    /// The process.
    pub program: Program,
}

impl Ours {
    /// Starts one and waits until it is ready.
    pub fn start(plane: &Plane, name: &str, kubeconfig: &Path, more: &[&str]) -> Self {
        let ours = Self::begin(plane, name, kubeconfig, more);
        ours.wait_ready();
        ours
    }

    /// Starts one; it need not become ready.
    pub fn begin(plane: &Plane, name: &str, kubeconfig: &Path, more: &[&str]) -> Self {
        let address = || SocketAddr::from(([127, 0, 0, 1], port()));
        let (dns, http, api) = (address(), address(), address());
        let mut args: Vec<String> = ["serve", "--kubeconfig"].map(str::to_owned).into();
        args.push(kubeconfig.display().to_string());
        for (flag, address) in [("--listen", dns), ("--http", http), ("--api", api)] {
            args.extend([flag.to_owned(), address.to_string()]);
        }
        args.extend(more.iter().map(|arg| (*arg).to_owned()));
        let program = plane.run(name, &binary(), args);
        Self {
            dns,
            http,
            api,
            program,
        }
    }

    /// Waits until `/readyz` says yes.
    pub fn wait_ready(&self) {
        eventually("our server is ready", || {
            if let Some(ended) = self.program.ended() {
                let log = std::fs::read_to_string(self.program.log());
                panic!("{ended}\n{}", log.unwrap_or_default());
            }
            self.is_ready().then_some(())
        });
    }

    /// What `/readyz` says.
    pub fn is_ready(&self) -> bool {
        get(self.http, "/readyz").is_some_and(|(status, _)| status == 200)
    }

    /// One service as the API tells it; `None` if there is none.
    pub fn service(&self, namespace: &str, name: &str) -> Option<Value> {
        service_of(self.api, namespace, name)
    }

    /// The value of a series of `/metrics`, given with all its labels.
    pub fn metric(&self, series: &str) -> Option<f64> {
        metric(self.http, series)
    }

    /// Asks over UDP: `web.shop.svc.cluster.local A`.
    pub fn ask(&self, question: &str) -> String {
        let answer = rig::udp(self.dns, &rig::query(question));
        answer.map_or_else(|| "no answer".to_owned(), |answer| rig::shown(&answer))
    }
}

/// One service as a server's API tells it; `None` if there is none.
pub fn service_of(api: SocketAddr, namespace: &str, name: &str) -> Option<Value> {
    let (status, body) = get(api, &format!("/api/v1/services/{namespace}/{name}"))?;
    (status == 200).then(|| serde_json::from_str(&body).expect("the API writes JSON"))
}

/// The value of a series of a server's `/metrics`, given with all its labels.
pub fn metric(http: SocketAddr, series: &str) -> Option<f64> {
    let (_, text) = get(http, "/metrics")?;
    let mut lines = text.lines();
    let line = lines.find(|line| {
        line.strip_prefix(series)
            .is_some_and(|rest| rest.starts_with(' '))
    })?;
    line.rsplit(' ').next()?.parse().ok()
}

/// Our program: `SHIFTDNS_BINARY`, as a release build that is measured, or else what was built with these tests.
fn binary() -> PathBuf {
    let built = || env!("CARGO_BIN_EXE_shiftdns").into();
    std::env::var_os("SHIFTDNS_BINARY").map_or_else(built, PathBuf::from)
}

/// Status and body of a GET; `None` where nobody answers.
pub fn get(server: SocketAddr, path: &str) -> Option<(u16, String)> {
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(std::time::Duration::from_secs(10)))
        .build()
        .new_agent();
    let mut response = agent.get(format!("http://{server}{path}")).call().ok()?;
    let body = response.body_mut().read_to_string().ok()?;
    Some((response.status().as_u16(), body))
}
