//! ShiftDNS: an authoritative DNS server that knows which version of a workload each endpoint runs.
//!
//! It is given Kubernetes objects (from manifests on disk, or from a live cluster) and gives
//! answers: A, AAAA and SRV record sets whose composition follows the shares of the versions behind a
//! service. It never resolves or forwards a query and never edits the objects it reads.
//!
//! # Words
//!
//! | word | meaning |
//! |---|---|
//! | *service* | a Kubernetes Service: the thing a name stands for |
//! | *endpoint* | one address of one target behind a service |
//! | *workload* | a Deployment, StatefulSet or DaemonSet |
//! | *revision* | one pod template of a workload, identified by its hash |
//! | *version* | the name people use for a revision: a label, and its DNS alias |
//! | *track* | a service and the workload that rolls behind it |
//! | *target*, *stable* | the revision a track rolls to, and the one it comes from |
//! | *capacity* | how much of the whole load a version's ready endpoints may carry |
//! | *weight* | a relative integer that someone wrote |
//! | *share* | what a weight became, in basis points, 0 to 10000 |
//! | *split* | all shares of a service; they sum to the whole |
//! | *policy* | what the operator asked |
//! | *reason* | why a share is what it is |
//! | *zone*, *name*, *record set* | as in RFC 9499 |
//! | *variant* | one ready answer of a weighted record set |
//! | *draw* | the number that picks a variant |
//! | *generation* | our own count of publications; *serial* is the SOA's |
//!
//! # Floors
//!
//! Imports point down; neighbours on a floor do not know each other. `tests/floors.rs` holds the walls.
//!
//! ```text
//! 12 main          parse arguments, run, exit code
//! 11 cli           subcommands
//! 10 app           composition root, used by main and by integration tests
//!  9 config        the file format -> each module's own settings
//!  8 admin         HTTP: people, probes, discovery  telemetry     logs
//!  7 engine        the control loop, the only writer of the store
//!    server        DNS on sockets                    files         manifests from disk
//!    upstream      addresses of names outside our zones, kept fresh in the background
//!    kubernetes    watches of a live cluster, and reports to it
//!  6 answer        respond: one path from a query's bytes to an answer's
//!  5 store         the published names
//!  4 zone          record sets -> encoded bodies, variants, Nodes
//!  3 records       (service view, split) -> record sets
//!  2 rollout       (service view, policy, memory, time) -> split with reasons
//!    objects       slim Kubernetes objects and the index that joins them
//!  1 model         domain values                     wire          DNS messages in and out of bytes
//! ```
//!
//! # The two walks
//!
//! *A change:* file or watch -> [`objects`] -> channel -> [`engine`] -> index (dirty services) -> [`rollout`] -> [`records`]
//! -> [`zone`] -> [`store`], only for the services that changed.
//!
//! *A query:* datagram -> [`wire`] (borrowed, nothing allocated) -> [`store`] look-up by lower-case wire name ->
//! variant by draw -> encoded body copied behind the question as it was received -> OPT -> socket.
//!
//! # Invariants
//!
//! - *Time and chance are arguments.* Floors 1 to 6 read no clock, roll no dice, do not log and are not async.
//! - *Only the engine publishes.* The store has one writer.
//! - *Replay:* for the same memory, folding changes one by one gives the same names and answers as compiling
//!   them from scratch.
//! - *An answer comes from one Node*, read under one guard: wholly old or wholly new.
//! - *Bad input is a value plus Problems*, never an outage.
//! - *Ready means synced:* until every kind of object has been read, cluster names answer SERVFAIL.

// Floor 1: values and bytes, without I/O.
pub mod model;
pub mod wire;

// Floor 2: what the cluster is, and what follows from it.
pub mod objects;
pub mod rollout;

// Floors 3 to 5: from shares to names.
pub mod records;
pub mod store;
pub mod zone;

// Floor 6: from a query to an answer.
pub mod answer;

// Floor 7: the edges.
pub mod engine;
pub mod files;
pub mod kubernetes;
pub mod server;
pub mod upstream;

// Floors 8 and up: people.
pub mod admin;
pub mod app;
pub mod cli;
pub mod config;
pub mod telemetry;
