//! What the system tells of a process: its memory and its time.

use std::fs;

/// Resident octets, and the most there ever were since [`forget_peak`].
pub(crate) fn resident(process: &str) -> (f64, f64) {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("Linux");
    let megabytes = |key: &str| {
        let mut lines = status.lines();
        let line = lines.find_map(|line| line.strip_prefix(key)).expect(key);
        let kilobytes = line.trim().trim_end_matches(" kB");
        kilobytes.parse::<f64>().expect("a number") * 1024.0 / 1e6
    };
    (megabytes("VmRSS:"), megabytes("VmHWM:"))
}

/// The peak begins anew with what is resident.
pub(crate) fn forget_peak() {
    fs::write("/proc/self/clear_refs", "5").expect("one's own peak can be forgotten");
}
