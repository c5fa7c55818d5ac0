//! Servers: how each is set up over the same cluster, started, and known to be ready.
//!
//! Given the [`Ground`] they stand on (a directory, the cluster written down in each form), [`start`] gives a running [`Server`] on a
//! loopback port of its own, once it answered a question right, or says why there is none. Each has one worker on one core, no log,
//! a receive buffer as large as the system gives, and answers a query of 1232 octets with glue.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::api::Api;
use crate::children::{Child, Reaper};
use crate::objects;
use crate::peers;
use crate::questions::{Asked, Questions};
use crate::shape::Shape;

/// The core of every server.
pub(crate) const SERVER_CORE: usize = 0;
/// The core of this process.
pub(crate) const HOME_CORE: usize = 1;
/// A server that takes longer is not going to be ready.
const START: Duration = Duration::from_secs(30);

/// A server that can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Which {
    /// What the kernel costs.
    Reflector,
    /// The same on all addresses.
    ReflectorPktinfo,
    Ours,
    /// On all addresses, so that it must say from which one it answers.
    OursWildcard,
    /// From the API server, as in a cluster: for what changes.
    #[value(skip)]
    OursWatching,
    Knot,
    Nsd,
    Bind,
    Powerdns,
    /// Its `kubernetes` plugin alone.
    Coredns,
    /// And its cache.
    CorednsCache,
}

impl Which {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Reflector => "reflector",
            Self::ReflectorPktinfo => "reflector, PKTINFO",
            Self::Ours => "ShiftDNS",
            Self::OursWildcard => "ShiftDNS, PKTINFO",
            Self::OursWatching => "ShiftDNS, from an API server",
            Self::Knot => "Knot",
            Self::Nsd => "NSD",
            Self::Bind => "BIND",
            Self::Powerdns => "PowerDNS",
            Self::Coredns => "CoreDNS",
            Self::CorednsCache => "CoreDNS, cache",
        }
    }

    /// Which reflector does as much as it must.
    pub(crate) fn reflector(self) -> Self {
        match self {
            Self::ReflectorPktinfo | Self::OursWildcard => Self::ReflectorPktinfo,
            _ => Self::Reflector,
        }
    }

    pub(crate) fn is_reflector(self) -> bool {
        matches!(self, Self::Reflector | Self::ReflectorPktinfo)
    }

    pub(crate) fn is_ours(self) -> bool {
        matches!(self, Self::Ours | Self::OursWildcard | Self::OursWatching)
    }
}

/// What all servers stand on.
pub(crate) struct Ground {
    pub(crate) directory: PathBuf,
    pub(crate) shape: Shape,
    pub(crate) reaper: Arc<Reaper>,
    /// The program `shiftdns`.
    pub(crate) program: PathBuf,
    /// Where CoreDNS learns of the cluster.
    pub(crate) api: Api,
}

/// A server that answers.
pub(crate) struct Server {
    pub(crate) which: Which,
    pub(crate) address: SocketAddr,
    pub(crate) version: String,
    pub(crate) child: Child,
    /// From its start to its first right answer.
    pub(crate) start: Duration,
}

impl Server {
    pub(crate) fn group(&self) -> u32 {
        self.child.id()
    }
}

/// Starts a server and waits until it answers right. `Err`: why there is none.
pub(crate) fn start(which: Which, ground: &Ground) -> Result<Server, String> {
    start_with(which, ground, ground.shape)
}

/// The same with a cluster of another size, which the API server does not have.
pub(crate) fn start_with(which: Which, ground: &Ground, shape: Shape) -> Result<Server, String> {
    let address = free_address().map_err(|error| format!("no port: {error}"))?;
    let home = ground
        .directory
        .join(format!("{which:?}-{}", shape.cluster_ips));
    fs::create_dir_all(&home).map_err(|error| format!("`{}`: {error}", home.display()))?;
    let prepared = prepare(which, ground, shape, &home, address)?;
    run(which, ground, shape, prepared, &home, address)
}

/// Our own with so many workers, its instructions counted by callgrind from when it is told to. One core does, as valgrind lets one thread run at
/// a time anyhow.
pub(crate) fn start_counted(
    workers: usize,
    ground: &Ground,
    shape: Shape,
) -> Result<Server, String> {
    let address = free_address().map_err(|error| format!("no port: {error}"))?;
    let home = ground.directory.join(format!("counted-{workers}"));
    fs::create_dir_all(&home).map_err(|error| format!("`{}`: {error}", home.display()))?;
    let own = ours(Which::Ours, ground, shape, &home, address, workers)?;
    let mut command = Command::new(peers::installed("valgrind", "valgrind")?);
    command
        .args(["--tool=callgrind", "--instr-atstart=no", "-q"])
        .arg(format!("--callgrind-out-file={}/counted", home.display()))
        .arg(&ground.program)
        .args(own.command.get_args());
    let prepared = Prepared {
        command,
        version: own.version,
    };
    run(Which::Ours, ground, shape, prepared, &home, address)
}

/// Runs what was prepared until it answers right.
fn run(
    which: Which,
    ground: &Ground,
    shape: Shape,
    prepared: Prepared,
    home: &Path,
    address: SocketAddr,
) -> Result<Server, String> {
    let Prepared {
        mut command,
        version,
    } = prepared;
    let log = home.join("log");
    let begun = Instant::now();
    let child = ground
        .reaper
        .start_child(&mut command, &log, SERVER_CORE, HOME_CORE)
        .map_err(|error| format!("`{}`: {error}", command.get_program().display()))?;
    let mut server = Server {
        which,
        address,
        version,
        child,
        start: Duration::ZERO,
    };
    wait(&mut server, shape)?;
    server.start = begun.elapsed();
    Ok(server)
}

/// What is to be run.
pub(crate) struct Prepared {
    pub(crate) command: Command,
    pub(crate) version: String,
}

fn prepare(
    which: Which,
    ground: &Ground,
    shape: Shape,
    home: &Path,
    address: SocketAddr,
) -> Result<Prepared, String> {
    match which {
        Which::Reflector | Which::ReflectorPktinfo => reflector(which, address),
        Which::Ours | Which::OursWildcard => ours(which, ground, shape, home, address, 1),
        Which::OursWatching => watching(&ground.program, ground, home, address),
        _ => peers::prepare(which, ground, home, address),
    }
}

fn reflector(which: Which, address: SocketAddr) -> Result<Prepared, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(own);
    command.args(["reflect", &address.port().to_string()]);
    if which == Which::ReflectorPktinfo {
        command.arg("--pktinfo");
    }
    Ok(Prepared {
        command,
        version: String::new(),
    })
}

fn ours(
    which: Which,
    ground: &Ground,
    shape: Shape,
    home: &Path,
    address: SocketAddr,
    workers: usize,
) -> Result<Prepared, String> {
    let write = || -> io::Result<()> {
        let file = fs::File::create(home.join("cluster.json"))?;
        let list = objects::list(shape);
        serde_json::to_writer(io::BufWriter::new(file), &list).map_err(io::Error::other)
    };
    write().map_err(|error| format!("manifests: {error}"))?;
    let listen = match which {
        Which::OursWildcard => SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())),
        _ => address,
    };
    let mut command = served(&ground.program, &listen.to_string(), workers);
    command.arg("--manifests").arg(home);
    Ok(Prepared {
        command,
        version: first_line(Command::new(&ground.program).arg("--version")),
    })
}

fn watching(
    program: &Path,
    ground: &Ground,
    home: &Path,
    address: SocketAddr,
) -> Result<Prepared, String> {
    let path = home.join("kubeconfig");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: here\n\
         clusters: [{{name: here, cluster: {{server: 'http://{}'}}}}]\n\
         users: [{{name: me, user: {{}}}}]\n\
         contexts: [{{name: here, context: {{cluster: here, user: me}}}}]\n",
        ground.api.address
    );
    fs::write(&path, text).map_err(|error| format!("`{}`: {error}", path.display()))?;
    let mut command = served(program, &address.to_string(), 1);
    command.arg("--kubeconfig").arg(path);
    Ok(Prepared {
        command,
        version: String::new(),
    })
}

/// Our program as it is started whatever it reads.
fn served(program: &Path, listen: &str, workers: usize) -> Command {
    let mut command = Command::new(program);
    command
        .args(["serve", "--workers", &workers.to_string()])
        .args(["--listen", listen])
        .args(["--http", "127.0.0.1:0", "--api", "127.0.0.1:0"])
        .env("RUST_LOG", "warn");
    command
}

/// The first line that a command prints, on whichever output.
pub(crate) fn first_line(command: &mut Command) -> String {
    let Ok(output) = command.output() else {
        return String::new();
    };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    text.lines().next().unwrap_or_default().trim().to_owned()
}

/// A loopback address whose port is free for UDP and TCP.
fn free_address() -> io::Result<SocketAddr> {
    loop {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        if UdpSocket::bind(address).is_ok() {
            return Ok(address);
        }
    }
}

/// Asks until the answer is right.
fn wait(server: &mut Server, shape: Shape) -> Result<(), String> {
    let questions = Questions::of(Asked::Mix, shape, 1);
    let deadline = Instant::now() + START;
    let mut last = "no answer".to_owned();
    while Instant::now() < deadline {
        if let Some(ended) = server.child.ended() {
            return Err(format!("ended while starting: {ended}"));
        }
        match ask(server.address, questions.query(0)) {
            Ok(_) if server.which.is_reflector() => return Ok(()),
            Ok(answer) => match questions.get(0).fault_in(&answer) {
                None => return Ok(()),
                Some(fault) => last = fault,
            },
            Err(error) => last = error.to_string(),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err(format!("not ready after {START:?}: {last}"))
}

/// Asks one question and waits half a second for the answer.
pub(crate) fn ask(server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(Duration::from_millis(500)))?;
    socket.send(query)?;
    let mut answer = vec![0; 4096];
    let length = socket.recv(&mut answer)?;
    answer.truncate(length);
    Ok(answer)
}
