//! ShiftDNS: an authoritative DNS server for Kubernetes service discovery. See the library's front page.

use std::process::ExitCode;

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    shiftdns::cli::main()
}
