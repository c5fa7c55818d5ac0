//! Files: manifests from disk.
//!
//! Given a directory of Kubernetes YAML or JSON, as `kubectl get -o yaml` prints it, [`Manifests::load`] gives the
//! objects in it as changes for the index, and [`watch()`] gives what differs whenever the directory changes. A file
//! that does not parse, or is emptied, keeps its last good objects and is told as a Problem with file and line.
//! Nothing is ever written, and kinds of object that nobody here reads are passed over unparsed.

mod given;
mod json;
mod listing;
mod manifests;
mod parse;
mod split;
mod watch;

#[cfg(test)]
mod tests;

pub use listing::paths;
pub use manifests::{LoadError, Loaded, Manifests};
pub use parse::parse;
pub use watch::{Watch, WatchError, watch};
