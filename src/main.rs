//! ShiftDNS: an authoritative DNS server for Kubernetes service discovery. See the library's front page.

use std::process::ExitCode;

fn main() -> ExitCode {
    shiftdns::cli::main()
}
