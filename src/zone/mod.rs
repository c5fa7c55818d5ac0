//! Zones: record sets become Nodes, encoded once, copied for every answer.
//!
//! Given [`crate::records::Records`] and the name of a zone, [`encode()`] returns a [`Node`]: everything that stands
//! at and below a service's name, in bytes that fit behind any question. [`Zones`] knows which names are ours, and
//! what a negative answer carries. [`sample`] and [`draw`](mod@draw) turn weights and chance into the choice of an
//! answer; nothing here makes chance itself.

pub mod draw;
mod encode;
mod node;
pub mod sample;
mod zones;

pub use encode::{Encoded, Slots, encode, service_name, stamped};
pub use node::{Drawn, Found, Node, Set, Sets};
pub use zones::{
    Authority, Place, Reverse, Soa, Zone, ZoneKind, Zones, address_node, pointer_node,
    reverse_name, reverse_zones,
};
