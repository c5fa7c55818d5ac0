//! The machine: what it is, and what its processes have used, from `/proc`.
//!
//! Processor time of a group of processes is exact to the nanosecond in sum (`schedstat`); user and system are told apart by the
//! kernel's ticks (`stat`), and so only as shares of it. It measures nothing by itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Processor time since the start of something.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    pub(crate) user: Duration,
    pub(crate) system: Duration,
}

impl Used {
    pub(crate) fn total(self) -> Duration {
        self.user + self.system
    }
}

/// The clocks of a group of processes at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clocks {
    nanos: u64,
    user_ticks: u64,
    system_ticks: u64,
}

impl Clocks {
    /// Those of all processes of `group`.
    pub(crate) fn of_group(group: u32) -> Self {
        let mut sum = Self::default();
        for process in processes(group) {
            sum.add(&process);
        }
        sum
    }

    fn add(&mut self, process: &Path) {
        let stat = fields(process);
        let field = |number: usize| stat.get(number).and_then(|f| f.parse().ok()).unwrap_or(0);
        // Counted from the state, which is the third field: `utime` is the 14th, `stime` the 15th (proc(5)).
        self.user_ticks += field(11);
        self.system_ticks += field(12);
        self.nanos += nanos(process);
    }

    /// What was used since `before`.
    pub(crate) fn since(self, before: Self) -> Used {
        let total = self.nanos.saturating_sub(before.nanos);
        let user = self.user_ticks.saturating_sub(before.user_ticks);
        let system = self.system_ticks.saturating_sub(before.system_ticks);
        let share = user as f64 / ((user + system) as f64).max(1.0);
        let user = Duration::from_nanos((total as f64 * share) as u64);
        Used {
            user,
            system: Duration::from_nanos(total).saturating_sub(user),
        }
    }
}

/// The processes of a group, as directories of `/proc`.
fn processes(group: u32) -> Vec<PathBuf> {
    let group = group.to_string();
    let all = directory(Path::new("/proc")).into_iter();
    // The group is the fifth field, the third from the state.
    all.filter(|process| fields(process).get(2) == Some(&group))
        .collect()
}

fn directory(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let numbered = entries.filter(|e| e.file_name().to_string_lossy().parse::<u32>().is_ok());
    numbered.map(|entry| entry.path()).collect()
}

/// `stat` from the state on: behind the name, which may hold spaces and parentheses.
fn fields(process: &Path) -> Vec<String> {
    let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    rest.split_whitespace().map(str::to_owned).collect()
}

/// Resident memory of a group in MB: of one process all of it, of several their proportional parts of what they share.
pub(crate) fn resident_megabytes(group: u32) -> f64 {
    let processes = processes(group);
    let (file, key) = match processes.len() {
        1 => ("status", "VmRSS:"),
        _ => ("smaps_rollup", "Pss:"),
    };
    let kilobytes = |process: &PathBuf| -> f64 {
        let text = fs::read_to_string(process.join(file)).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix(key));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.unwrap_or(0.0)
    };
    processes.iter().map(kilobytes).sum::<f64>() * 1024.0 / 1e6
}

/// What everything else has used: processes by their ids, and time that the host took from us.
pub(crate) struct Others {
    nanos: BTreeMap<PathBuf, u64>,
    stolen: Duration,
}

impl Others {
    /// All but our own group of processes and this one. It takes some milliseconds.
    pub(crate) fn than(group: u32) -> Self {
        let own = fields(Path::new("/proc/self")).swap_remove(2);
        let group = group.to_string();
        let others = directory(Path::new("/proc")).into_iter().filter(|process| {
            let theirs = fields(process);
            theirs.get(2) != Some(&own) && theirs.get(2) != Some(&group)
        });
        Self {
            nanos: others.map(|p| (p.clone(), nanos(&p))).collect(),
            stolen: stolen(),
        }
    }

    /// Used since `before`, also by what began since. What began and ended in between is not seen.
    pub(crate) fn since(&self, before: &Self) -> Duration {
        let used = self.nanos.iter().map(|(process, nanos)| {
            nanos.saturating_sub(before.nanos.get(process).copied().unwrap_or(0))
        });
        Duration::from_nanos(used.sum()) + (self.stolen - before.stolen)
    }
}

/// The time of all threads of a process.
fn nanos(process: &Path) -> u64 {
    let tasks = directory(&process.join("task")).into_iter();
    tasks
        .map(|task| {
            let told = fs::read_to_string(task.join("schedstat")).unwrap_or_default();
            let first = told.split_whitespace().next();
            first.and_then(|n| n.parse::<u64>().ok()).unwrap_or(0)
        })
        .sum()
}

/// Time in which a core was ready and the host ran something else.
fn stolen() -> Duration {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let first = stat.lines().next().unwrap_or_default();
    // cpu user nice system idle iowait irq softirq steal; ticks of 10 ms whatever the kernel's own (USER_HZ).
    let ticks = first.split_whitespace().nth(8);
    Duration::from_millis(10 * ticks.and_then(|t| t.parse().ok()).unwrap_or(0))
}

/// The processor's model, as it calls itself.
pub(crate) fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let value = |key: &str| {
        let line = text.lines().find(|line| line.starts_with(key))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let name = value("model name").unwrap_or_else(|| "unknown processor".to_owned());
    let family = value("cpu family").unwrap_or_default();
    let model = value("model\t").unwrap_or_default();
    format!("{name} (family {family}, model {model}), {} cores", cores())
}

pub(crate) fn cores() -> usize {
    // Not what this process may use: it has been pinned.
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    text.lines().filter(|l| l.starts_with("processor")).count()
}

pub(crate) fn kernel() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("Linux {}", release.trim())
}

/// The largest receive buffer that a socket gets.
pub(crate) fn largest_buffer() -> String {
    let octets = fs::read_to_string("/proc/sys/net/core/rmem_max").unwrap_or_default();
    format!("net.core.rmem_max {}", octets.trim())
}
