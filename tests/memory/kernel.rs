//! The server's own file, and nothing beside it.
#![allow(dead_code, reason = "the server uses it; here its tests do")]

#[path = "../../src/server/udp/kernel.rs"]
mod kernel;
