//! The plane: a real Kubernetes control plane on loopback, without containers.
//!
//! ```text
//!   kubectl, our server ──> kube-apiserver (RBAC, own authority) ──> etcd
//!                               ^      ^      ^
//!     kube-controller-manager ──┘      │      └── kwok: plays the kubelets of three nodes (stages/*.yaml)
//!                            kube-scheduler
//! ```
//!
//! [`Plane::start`] gives it empty but for the three nodes of `nodes.yaml`. Everything that happens to objects is done by the real
//! controllers; only the pods' containers are played. How a pod starts, crashes, becomes unready and stops is chosen by its image
//! and its annotations, see `stages/pod.yaml`.
//!
//! Methods panic with the cause, since callers are tests. A plane that is dropped by a panic leaves its directory and names it:
//! one log a program. It never touches anything outside its directory and the ports that it chose.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::certificates::{Authority, Pair, token_keys};
use crate::programs::{self, Program, Reaper};

/// Far above what anything takes on a busy machine; a test that waits this long fails.
const PATIENCE: Duration = Duration::from_secs(120);
/// How `timeout` says that it ended the command.
const TIMED_OUT: i32 = 124;
/// Between two looks at what is waited for.
const GLANCE: Duration = Duration::from_millis(50);

/// A running control plane.
pub struct Plane {
    api_server: Program,
    controller_manager: Program,
    scheduler: Program,
    kwok: Program,
    etcd: Program,
    etcd_client: SocketAddr,
    url: String,
    authority: PathBuf,
    admin: PathBuf,
    reaper: Arc<Reaper>,
    // Last, so that it is dropped when nobody writes to it.
    home: Home,
}

impl Plane {
    /// Starts it and waits until the nodes are ready; builds the programs if they are missing.
    pub fn start() -> Self {
        let home = Home::new();
        let reaper = Reaper::start();
        let authority = Authority::new(&home.path);
        let (etcd, etcd_client) = start_etcd(&home, &reaper);

        let port = programs::port();
        let url = format!("https://127.0.0.1:{port}");
        let api_server = start_api_server(&home, &reaper, &authority, etcd_client, port);
        let admin = home.path.join("admin.kubeconfig");
        let Pair { certificate, key } = authority.client("admin", "admin", Some("system:masters"));
        let user = json!({"client-certificate": certificate, "client-key": key});
        write_kubeconfig(&admin, &url, &authority.certificate, &user);
        wait_for_api_server(&api_server, &admin);

        let by_admin = |name, mut args: Vec<String>| {
            args.push(format!("--kubeconfig={}", admin.display()));
            Program::start(name, args, Vec::new(), &home.path, &reaper)
        };
        let ca = authority.certificate.display();
        let controller_manager = by_admin(
            "kube-controller-manager",
            vec![
                "--leader-elect=false".into(),
                "--secure-port=0".into(),
                format!("--controllers={}", CONTROLLERS.join(",")),
                format!("--root-ca-file={ca}"),
                // Longer than any test keeps the API server down: nodes whose leases cannot be renewed must not be given up.
                "--node-monitor-grace-period=10m".into(),
                "--kube-api-qps=500".into(),
                "--kube-api-burst=1000".into(),
            ],
        );
        let scheduler = by_admin(
            "kube-scheduler",
            vec![
                "--leader-elect=false".into(),
                "--secure-port=0".into(),
                "--kube-api-qps=500".into(),
                "--kube-api-burst=1000".into(),
            ],
        );
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster");
        let kwok = by_admin(
            "kwok",
            vec![
                format!("--config={}", here.join("stages/node.yaml").display()),
                format!("--config={}", here.join("stages/pod.yaml").display()),
                "--manage-all-nodes=true".into(),
                "--cidr=10.245.0.0/16".into(),
                "--node-ip=10.0.0.1".into(),
                // Renewed four times in that time: how soon `Plane::resync_pods` acts.
                "--node-lease-duration-seconds=4".into(),
            ],
        );
        let plane = Self {
            api_server,
            controller_manager,
            scheduler,
            kwok,
            etcd,
            etcd_client,
            url,
            authority: authority.certificate,
            admin,
            reaper,
            home,
        };
        plane.apply(&fs::read_to_string(here.join("nodes.yaml")).expect("a file"));
        eventually("three nodes ready and without taints", || {
            let nodes = plane.json(&["get", "nodes"]);
            let usable = |node: &&Value| {
                let conditions = node["status"]["conditions"].as_array();
                let ready = |c: &Value| c["type"] == "Ready" && c["status"] == "True";
                node["spec"]["taints"].is_null()
                    && conditions.is_some_and(|all| all.iter().any(ready))
            };
            (items(&nodes).iter().filter(usable).count() == 3).then_some(())
        });
        plane.wait_for_default_account("default");
        plane
    }

    /// Runs kubectl as the administrator and gives its standard output.
    pub fn kubectl(&self, args: &[&str]) -> String {
        self.try_kubectl(args)
            .unwrap_or_else(|error| panic!("kubectl {}: {error}", args.join(" ")))
    }

    /// The same where failure is possible: gives standard output, or else standard error.
    pub fn try_kubectl(&self, args: &[&str]) -> Result<String, String> {
        kubectl(&self.admin, args, None)
    }

    /// What `kubectl ARGS -o json` says.
    pub fn json(&self, args: &[&str]) -> Value {
        let text = self.kubectl(&[args, &["-o", "json"]].concat());
        serde_json::from_str(&text).expect("kubectl writes JSON")
    }

    /// `kubectl apply` of manifests, YAML or JSON.
    pub fn apply(&self, manifests: &str) {
        kubectl(&self.admin, &["apply", "-f", "-"], Some(manifests))
            .unwrap_or_else(|error| panic!("kubectl apply: {error}\n{manifests}"));
    }

    /// Makes a namespace and waits until pods may be made in it.
    pub fn namespace(&self, name: &str) {
        self.kubectl(&["create", "namespace", name]);
        self.wait_for_default_account(name);
    }

    /// Pods are refused until their ServiceAccount exists.
    fn wait_for_default_account(&self, namespace: &str) {
        eventually("the default ServiceAccount", || {
            self.try_kubectl(&["-n", namespace, "get", "serviceaccount", "default"])
                .ok()
        });
    }

    /// The endpoints of all EndpointSlices of a service.
    pub fn endpoints(&self, namespace: &str, service: &str) -> Vec<Value> {
        let label = format!("kubernetes.io/service-name={service}");
        let slices = self.json(&["-n", namespace, "get", "endpointslices", "-l", &label]);
        let of = |slice: &Value| slice["endpoints"].as_array().cloned().unwrap_or_default();
        items(&slices).iter().flat_map(of).collect()
    }

    /// How many of them are ready.
    pub fn ready_endpoints(&self, namespace: &str, service: &str) -> usize {
        let endpoints = self.endpoints(namespace, service);
        let ready = |endpoint: &&Value| endpoint["conditions"]["ready"] == true;
        endpoints.iter().filter(ready).count()
    }

    /// A kubeconfig of the administrator.
    pub fn kubeconfig_admin(&self) -> &Path {
        &self.admin
    }

    /// A new kubeconfig with a token of a ServiceAccount, which must exist. The token is good for an hour.
    pub fn kubeconfig_for_service_account(&self, namespace: &str, name: &str) -> PathBuf {
        let path = self
            .home
            .path
            .join(format!("{namespace}.{name}.kubeconfig"));
        let user = json!({"token": self.token(namespace, name)});
        write_kubeconfig(&path, &self.url, &self.authority, &user);
        path
    }

    /// A new token of a ServiceAccount, good for an hour.
    pub fn token(&self, namespace: &str, name: &str) -> String {
        let token = self.kubectl(&["-n", namespace, "create", "token", name, "--duration=1h"]);
        token.trim_end().to_owned()
    }

    /// `https://127.0.0.1:PORT`, the same over restarts.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The PEM file of the authority that signed the API server's certificate.
    pub fn authority(&self) -> &Path {
        &self.authority
    }

    /// The plane's directory, for more files of a test; gone with the plane unless the test fails.
    pub fn home(&self) -> &Path {
        &self.home.path
    }

    /// kube-apiserver, to make it fail.
    pub fn api_server(&self) -> ApiServer<'_> {
        ApiServer { plane: self }
    }

    /// kube-controller-manager: without it nothing rolls.
    pub fn controller_manager(&self) -> &Program {
        &self.controller_manager
    }

    /// kube-scheduler: without it new pods stay Pending.
    pub fn scheduler(&self) -> &Program {
        &self.scheduler
    }

    /// kwok: without it pods stay as they are.
    pub fn kwok(&self) -> &Program {
        &self.kwok
    }

    /// etcd: without it the API server answers with errors.
    pub fn etcd(&self) -> &Program {
        &self.etcd
    }

    /// Forgets all revisions before the newest one.
    ///
    /// The API server answers watches and lists from a cache of its own, which this does not touch: a watch from an old resource
    /// version goes on, and only continued lists past the cache fail (410). A restart of the API server empties the cache and makes
    /// older versions of watches too old by itself; without a cache (`restart_with(&["--watch-cache=false"])`) it is the compaction
    /// that does.
    pub fn etcd_compact(&self) {
        let range = self.etcd_call("kv/range", &json!({"key": "Lw==", "count_only": true}));
        let revision = &range["header"]["revision"];
        assert!(revision.is_string(), "etcd names its revision: {range}");
        self.etcd_call(
            "kv/compaction",
            &json!({"revision": revision, "physical": true}),
        );
    }

    /// Has kwok look at all pods again, within a second or two.
    ///
    /// kwok gives up on a pod's next phase when the connection breaks under its write, until the pod changes; a kubelet would try
    /// again. It lists a node's pods when it takes the node's lease, so the leases go. [`ApiServer`] does this itself; who makes
    /// writes fail in another way, as by killing etcd, calls it afterwards.
    pub fn resync_pods(&self) {
        self.kubectl(&["-n", "kube-node-lease", "delete", "leases", "--all"]);
    }

    /// Calls etcd's JSON gateway; its keys are in base64 (`Lw==` is `/`), its 64-bit numbers strings.
    fn etcd_call(&self, method: &str, body: &Value) -> Value {
        let url = format!("http://{}/v3/{method}", self.etcd_client);
        // Whatever proxy the machine's environment names, loopback needs none.
        let client = ureq::Agent::config_builder().proxy(None).build();
        let mut response = ureq::Agent::new_with_config(client)
            .post(&url)
            .header("content-type", "application/json")
            .send(body.to_string())
            .unwrap_or_else(|error| panic!("etcd {method}: {error}"));
        let text = response.body_mut().read_to_string().expect("a body");
        serde_json::from_str(&text).expect("etcd writes JSON")
    }

    /// Installs what `deploy/` says, and gives a kubeconfig of our server's ServiceAccount.
    pub fn install_ours(&self) -> PathBuf {
        let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/base");
        self.kubectl(&["apply", "-k", &base.display().to_string()]);
        self.kubeconfig_for_service_account("shiftdns", "shiftdns")
    }

    /// Runs a program that is not of the control plane; it logs to `NAME.log`.
    pub fn run(&self, name: &str, path: &Path, args: Vec<String>) -> Program {
        let path = path.to_owned();
        Program::start_at(name, path, args, Vec::new(), &self.home.path, &self.reaper)
    }

    /// Starts CoreDNS with a Corefile and waits until it listens.
    ///
    /// The Corefile says where with `{$PORT}`, and finds the API server with `{$KUBECONFIG}`:
    ///
    /// ```text
    /// .:{$PORT} {
    ///     bind 127.0.0.1
    ///     kubernetes cluster.local {
    ///         kubeconfig {$KUBECONFIG}
    ///     }
    /// }
    /// ```
    pub fn coredns(&self, corefile: &str) -> CoreDns {
        let coredns = self.begin_coredns(corefile);
        eventually("CoreDNS listens", || {
            still_runs(&coredns.program);
            std::net::TcpStream::connect(coredns.address).ok()
        });
        coredns
    }

    /// The same without waiting.
    pub fn begin_coredns(&self, corefile: &str) -> CoreDns {
        let port = programs::port();
        let file = self.home.path.join(format!("Corefile.{port}"));
        fs::write(&file, corefile).expect("a file");
        let program = Program::start(
            "coredns",
            vec![format!("-conf={}", file.display())],
            vec![
                ("PORT".into(), port.to_string()),
                ("KUBECONFIG".into(), self.admin.display().to_string()),
            ],
            &self.home.path,
            &self.reaper,
        );
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        CoreDns { address, program }
    }
}

/// CoreDNS, until it is dropped; before the plane.
pub struct CoreDns {
    /// Where it answers, UDP and TCP.
    pub address: SocketAddr,
    /// The process.
    pub program: Program,
}

/// kube-apiserver and the ways in which it fails.
pub struct ApiServer<'a> {
    plane: &'a Plane,
}

impl ApiServer<'_> {
    /// Kills it: connections break, new ones are refused.
    pub fn kill(&self) {
        self.plane.api_server.kill();
    }

    /// Kills it if it runs, starts it at the same address and waits until it is ready.
    pub fn restart(&self) {
        self.restart_with(&[]);
    }

    /// The same with flags for this run, which win over its usual ones.
    pub fn restart_with(&self, flags: &[&str]) {
        self.plane.api_server.restart_with(flags);
        wait_for_api_server(&self.plane.api_server, &self.plane.admin);
        self.plane.resync_pods();
    }

    /// Freezes it: connections stay open, new ones are accepted by the kernel, and nothing is answered.
    pub fn pause(&self) {
        self.plane.api_server.pause();
    }

    /// Lets it run on.
    pub fn resume(&self) {
        self.plane.api_server.resume();
        self.plane.resync_pods();
    }
}

/// Looks until there is something to see, and fails after two minutes.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        thread::sleep(GLANCE);
    }
}

/// The items of a Kubernetes list.
pub fn items(list: &Value) -> &[Value] {
    list["items"].as_array().expect("a list")
}

/// The controllers that roll-outs and endpoints need, and those without which objects cannot be made or removed.
const CONTROLLERS: [&str; 12] = [
    "deployment-controller",
    "replicaset-controller",
    "statefulset-controller",
    "daemonset-controller",
    "endpointslice-controller",
    "namespace-controller",
    "serviceaccount-controller",
    "root-ca-certificate-publisher-controller",
    "clusterrole-aggregation-controller",
    "garbage-collector-controller",
    "pod-garbage-collector-controller",
    "node-lifecycle-controller",
];

fn start_etcd(home: &Home, reaper: &Arc<Reaper>) -> (Program, SocketAddr) {
    let client = SocketAddr::from(([127, 0, 0, 1], programs::port()));
    let peer = format!("http://127.0.0.1:{}", programs::port());
    let args = vec![
        "--name=etcd".into(),
        format!("--data-dir={}", home.path.join("etcd").display()),
        format!("--listen-client-urls=http://{client}"),
        format!("--advertise-client-urls=http://{client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=etcd={peer}"),
        // The data need not survive the machine.
        "--unsafe-no-fsync".into(),
    ];
    let etcd = Program::start("etcd", args, Vec::new(), &home.path, reaper);
    (etcd, client)
}

fn start_api_server(
    home: &Home,
    reaper: &Arc<Reaper>,
    authority: &Authority,
    etcd: SocketAddr,
    port: u16,
) -> Program {
    let serving = authority.server("serving", &["127.0.0.1", "localhost"]);
    let (private, public) = token_keys(&home.path);
    let ca = authority.certificate.display();
    let args = vec![
        format!("--etcd-servers=http://{etcd}"),
        "--bind-address=127.0.0.1".into(),
        "--advertise-address=127.0.0.1".into(),
        format!("--secure-port={port}"),
        format!("--tls-cert-file={}", serving.certificate.display()),
        format!("--tls-private-key-file={}", serving.key.display()),
        format!("--client-ca-file={ca}"),
        "--authorization-mode=Node,RBAC".into(),
        format!("--service-account-key-file={}", public.display()),
        format!("--service-account-signing-key-file={}", private.display()),
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local".into(),
        "--service-cluster-ip-range=10.96.0.0/16".into(),
        // The `kubernetes` Service would want an address that is not loopback behind it.
        "--endpoint-reconciler-type=none".into(),
        "--allow-privileged=true".into(),
    ];
    Program::start("kube-apiserver", args, Vec::new(), &home.path, reaper)
}

fn wait_for_api_server(program: &Program, kubeconfig: &Path) {
    eventually("the API server is ready", || {
        still_runs(program);
        kubectl(kubeconfig, &["get", "--raw=/readyz"], None).ok()
    });
}

fn still_runs(program: &Program) {
    if let Some(ended) = program.ended() {
        let log = fs::read_to_string(program.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let tail = &lines[lines.len().saturating_sub(10)..];
        panic!("{ended}\n{}", tail.join("\n"));
    }
}

/// Runs kubectl with a kubeconfig, for two minutes at most.
pub fn kubectl(kubeconfig: &Path, args: &[&str], input: Option<&str>) -> Result<String, String> {
    let mut child = Command::new("timeout")
        .arg(PATIENCE.as_secs().to_string())
        .arg(programs::directory().join("kubectl"))
        .arg(format!("--kubeconfig={}", kubeconfig.display()))
        // Its cache of the API's kinds lies beside the kubeconfig, not in anybody's home.
        .arg(format!(
            "--cache-dir={}",
            kubeconfig.with_extension("cache").display()
        ))
        .args(args)
        .stdin(if input.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("`timeout` can be run");
    if let (Some(mut pipe), Some(input)) = (child.stdin.take(), input) {
        // A kubectl that fails at once closes the pipe; what it says is more telling.
        let _ = pipe.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().expect("a child's output");
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).expect("kubectl writes UTF-8"))
    } else if output.status.code() == Some(TIMED_OUT) {
        Err(format!("no end within {PATIENCE:?}"))
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// JSON is YAML.
fn write_kubeconfig(path: &Path, url: &str, authority: &Path, user: &Value) {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "plane", "cluster": {"server": url, "certificate-authority": authority}}],
        "users": [{"name": "user", "user": user}],
        "contexts": [{"name": "plane", "context": {"cluster": "plane", "user": "user"}}],
        "current-context": "plane",
    });
    fs::write(path, format!("{config:#}\n")).expect("a file");
}

/// The plane's directory.
struct Home {
    path: PathBuf,
}

impl Home {
    fn new() -> Self {
        let path = tempfile::Builder::new()
            .prefix("shiftdns-plane-")
            .tempdir()
            .expect("a directory")
            .keep();
        Self { path }
    }
}

impl Drop for Home {
    #[expect(clippy::print_stderr, reason = "a failed test says where its logs are")]
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("logs of the control plane: {}", self.path.display());
        } else {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
