//! Zones: record sets become Nodes, encoded once, copied for every answer.
//!
//! Given [`crate::records::Records`] and the name of a zone, [`encode()`] returns a [`Node`]: everything that stands
//! at and below a service's name, in bytes that fit behind any question. [`Zones`] knows which names are ours, and
//! what a negative answer carries. [`weights`], [`sample`] and [`draw`](mod@draw) turn weights and chance into the choice of an
//! answer, and [`Kept`] a client into one that stays; nothing here makes chance itself.

// What a record weighs, and which records are in an answer.
pub mod draw;
mod kept;
pub mod sample;
pub mod weights;

// What is published, and how it is encoded.
mod addresses;
mod encode;
mod hosts;
mod node;
mod ports;
mod reverse;
mod zones;

// Zones of files: the reader, and what becomes of what it read.
pub mod master;
mod statics;

pub use encode::{Encoded, Slots, encode, reshared, service_name, stamped};
pub use kept::{Keeps, Kept, Sticky};
pub use node::{Alias, Drawn, Found, Node, PortSet, Set, Sets};
pub use reverse::{Reverse, reverse_name, reverse_zones};
pub use statics::{Delegation, Finding, Renaming, Severity, Stands, StaticZone, Weighted, Weights};
pub use zones::{Authority, Place, Soa, Zone, ZoneKind, Zones, address_node, pointer_node};
