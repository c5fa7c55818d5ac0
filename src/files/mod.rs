//! Files: manifests and zone files from disk, the state file, and the snapshot of a cluster.
//!
//! Given a directory of Kubernetes YAML or JSON, as `kubectl get -o yaml` prints it, [`Manifests::load`] gives the
//! objects in it as changes for the index, and [`watch()`] gives what differs whenever the directory changes. A file
//! that does not parse, or is emptied, keeps its last good objects and is told as a Problem with file and line.
//! [`ZoneFiles`] does the same for a directory of zone files, of which [`crate::zone`] knows what stands in them.
//! [`watch_named`] tells when single files are others.
//! Kinds of object that nobody here reads are passed over unparsed, and no manifest is ever written: the only files that
//! are, are those in which [`state`] keeps what is remembered, and [`snapshot`] the objects of a cluster.

mod draft;
mod given;
mod json;
mod listing;
mod manifests;
mod named;
mod parse;
pub mod snapshot;
mod split;
pub mod state;
mod watch;
mod zone_weights;
mod zones;

#[cfg(test)]
mod tests;

pub use listing::paths;
pub use manifests::{LoadError, Loaded, Manifests};
pub use named::{NamedWatch, watch_named};
pub use parse::parse;
pub use watch::{Watch, WatchError, watch, watch_zones};
pub use zones::{LoadedZones, Said, ZoneCounters, ZoneFiles, is_warning};
