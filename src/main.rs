//! ShiftDNS.
fn main() {}
