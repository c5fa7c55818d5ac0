//! Checks: what of a master file's records is a zone.
//!
//! What is an error and what a warning is as `named-checkzone` of BIND has it, which `tests/statics.rs` asks where it is
//! installed: an error is a zone that is not served, a warning is told and served.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::targets::{Existing, Fate};
use crate::model::Origin;
use crate::wire::{Name, rtype};
use crate::zone::master::{self, Entry, Read, type_name};

/// So many findings are told of one zone.
const FINDINGS_MAX: usize = 100;
/// A set that is longer fits no message, whatever the transport; header, question and OPT take the rest.
const SET_LEN_MAX: usize = 65_000;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The zone is not served as it is.
    Error,
    /// It is served.
    Warning,
}

/// Something that is wrong with a zone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Where; `None`: with the file as a whole.
    pub origin: Option<Origin>,
    /// How bad.
    pub severity: Severity,
    /// What: lower case, no full stop.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.severity == Severity::Warning {
            f.write_str("warning: ")?;
        }
        f.write_str(&self.text)
    }
}

/// The records of one name and type, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RecordSet {
    /// Seconds: the smallest of those that were written.
    pub(super) ttl: u32,
    pub(super) records: Vec<Box<[u8]>>,
    origin: Origin,
}

/// Record sets by type.
pub(super) type SetsOfName = BTreeMap<u16, RecordSet>;
/// By name.
pub(super) type Names = BTreeMap<Name, SetsOfName>;

/// The records of a zone at `apex`, and what is wrong with them.
pub(super) fn check(read: &Read, apex: &Name) -> (Names, Vec<Finding>) {
    let mut check = Check {
        apex,
        names: Names::new(),
        findings: Vec::new(),
    };
    let finding = |severity| {
        move |fault: &master::Fault| Finding {
            origin: Some(fault.origin.clone()),
            severity,
            text: fault.text.clone(),
        }
    };
    check
        .findings
        .extend(read.faults.iter().map(finding(Severity::Error)));
    check
        .findings
        .extend(read.warnings.iter().map(finding(Severity::Warning)));
    // What is wrong with half a zone is mostly that it is half.
    let is_whole = read.faults.is_empty();
    check.gather(read);
    if is_whole {
        check.apex();
        check.each_name();
    }
    let Check {
        names,
        mut findings,
        ..
    } = check;
    findings.sort();
    findings.dedup();
    let more = findings.len().saturating_sub(FINDINGS_MAX);
    if more > 0 {
        // Errors come first within a line only: none may be cut off.
        findings.sort_by_key(|finding| finding.severity);
        let severity = findings
            .get(FINDINGS_MAX)
            .map_or(Severity::Warning, |f| f.severity);
        findings.truncate(FINDINGS_MAX);
        findings.push(Finding {
            origin: None,
            severity,
            text: format!("{more} more findings"),
        });
    }
    (names, findings)
}

struct Check<'z> {
    apex: &'z Name,
    names: Names,
    findings: Vec<Finding>,
}

impl Check<'_> {
    fn find(&mut self, origin: &Origin, severity: Severity, text: String) {
        self.findings.push(Finding {
            origin: Some(origin.clone()),
            severity,
            text,
        });
    }

    fn gather(&mut self, read: &Read) {
        // By name and type: what was seen, by which two records are one.
        let mut seen: BTreeSet<(Name, u16, Vec<u8>)> = BTreeSet::new();
        for entry in &read.entries {
            let origin = read.origin(entry);
            if !entry.owner.is_within(self.apex) {
                let text = format!("`{}` is not in the zone, and left out", entry.owner);
                self.find(&origin, Severity::Warning, text);
                continue;
            }
            if entry.rtype == rtype::SOA && entry.owner != *self.apex {
                let text = format!(
                    "the SOA record of `{}` is not at the top of the zone",
                    entry.owner
                );
                self.find(&origin, Severity::Error, text);
                continue;
            }
            self.owner_of(entry, &origin);
            let canonical = master::canonical(entry.rtype, &entry.data);
            let is_new = seen.insert((entry.owner.clone(), entry.rtype, canonical));
            let sets = self.names.entry(entry.owner.clone()).or_default();
            let set = sets.entry(entry.rtype).or_insert_with(|| RecordSet {
                ttl: entry.ttl,
                records: Vec::new(),
                origin: origin.clone(),
            });
            // "the TTLs of all RRs in an RRSet must be the same" (RFC 2181, section 5.2); signatures are of several sets.
            let other = (set.ttl != entry.ttl && entry.rtype != rtype::RRSIG).then_some(set.ttl);
            set.ttl = set.ttl.min(entry.ttl);
            // "A server ... must ... suppress duplicates" (RFC 2181, section 5).
            if is_new {
                set.records.push(entry.data.clone());
            }
            if let Some(other) = other {
                let text = format!(
                    "the TTL {} is not that of the other {} records of `{}`, {other}; the smallest is taken",
                    entry.ttl,
                    type_name(entry.rtype),
                    entry.owner
                );
                self.find(&origin, Severity::Warning, text);
            }
        }
    }

    fn owner_of(&mut self, entry: &Entry, origin: &Origin) {
        let Entry { owner, rtype, .. } = entry;
        let mut labels = owner.labels();
        let is_wildcard = labels.next() == Some(b"*");
        if is_wildcard && *rtype == rtype::NS {
            let text = format!("`{owner}`: a wildcard cannot be delegated (RFC 4592, section 4.2)");
            self.find(origin, Severity::Error, text);
        }
        if labels.any(|label| label == b"*") {
            let text = format!("`{owner}`: a `*` that is not the first label stands for itself");
            self.find(origin, Severity::Warning, text);
        }
        if matches!(*rtype, rtype::A | rtype::AAAA | rtype::MX) && !is_host(owner) {
            let text = format!(
                "`{owner}` is no name of a host, and has {}",
                type_name(*rtype)
            );
            self.find(origin, Severity::Warning, text);
        }
    }

    fn apex(&mut self) {
        let sets = self.names.get(self.apex);
        let count = |of: u16| {
            sets.and_then(|sets| sets.get(&of))
                .map_or(0, |set| set.records.len())
        };
        let (soas, servers) = (count(rtype::SOA), count(rtype::NS));
        let mut find = |text: String| {
            self.findings.push(Finding {
                origin: None,
                severity: Severity::Error,
                text,
            });
        };
        if soas == 0 {
            find(format!("there is no SOA record at `{}`", self.apex));
        }
        if servers == 0 {
            find(format!("there is no NS record at `{}`", self.apex));
        }
    }

    fn each_name(&mut self) {
        let names = std::mem::take(&mut self.names);
        let existing = Existing::of(&names, self.apex);
        for (name, sets) in &names {
            self.together(name, sets);
            for (of, set) in sets {
                self.set(&existing, name, *of, set);
            }
            if name != self.apex {
                self.covered(&names, name, sets);
            }
        }
        self.names = names;
    }

    /// "If a CNAME RR is present at a node, no other data should be present" (RFC 1034, section 3.6.2).
    fn together(&mut self, name: &Name, sets: &SetsOfName) {
        if let Some(alias) = sets.get(&rtype::CNAME) {
            let beside = |of: &u16| !matches!(*of, rtype::CNAME | rtype::RRSIG | rtype::NSEC);
            if let Some(other) = sets.keys().find(|of| beside(of)) {
                let origin = sets
                    .get(other)
                    .map_or(&alias.origin, |set| (&set.origin).max(&alias.origin));
                let text = format!(
                    "`{name}` has a CNAME record, and {} beside it",
                    type_name(*other)
                );
                self.find(origin, Severity::Error, text);
            }
        }
        for of in [rtype::SOA, rtype::CNAME, rtype::DNAME] {
            if let Some(set) = sets.get(&of)
                && set.records.len() > 1
            {
                let text = format!(
                    "`{name}` has {} {} records, and may have one",
                    set.records.len(),
                    type_name(of)
                );
                self.find(&set.origin, Severity::Error, text);
            }
        }
    }

    fn set(&mut self, existing: &Existing<'_>, name: &Name, of: u16, set: &RecordSet) {
        let len: usize = set.records.iter().map(|record| record.len() + 12).sum();
        if len > SET_LEN_MAX {
            let text = format!(
                "the {} records of `{name}` take {len} octets, more than a message has; they are cut",
                type_name(of)
            );
            self.find(&set.origin, Severity::Warning, text);
        }
        if !matches!(of, rtype::NS | rtype::MX | rtype::SRV) {
            return;
        }
        let severity = match of == rtype::NS && name == self.apex {
            true => Severity::Error,
            false => Severity::Warning,
        };
        for record in &set.records {
            let Some((target, _)) = master::target(of, record) else {
                continue;
            };
            if of != rtype::NS && target == Name::root() {
                // "." says that there is no such service (RFC 2782, RFC 7505).
                continue;
            }
            let who = format!("{} `{target}` of `{name}`", type_name(of));
            if of != rtype::SRV && !is_host(&target) {
                self.find(
                    &set.origin,
                    Severity::Warning,
                    format!("{who} is no name of a host"),
                );
            }
            if !target.is_within(self.apex) {
                continue;
            }
            match existing.fate(&target) {
                Fate::Address => {}
                Fate::Alias => {
                    // "the domain name ... must not be an alias" (RFC 2181, section 10.3).
                    self.find(&set.origin, severity, format!("{who} is a CNAME"));
                }
                Fate::Redirected(at) => {
                    self.find(
                        &set.origin,
                        severity,
                        format!("{who} is below the DNAME of `{at}`"),
                    );
                }
                Fate::Elsewhere(cut) if of == rtype::NS => {
                    let kind = match cut == *name {
                        true => "the glue it cannot be reached without",
                        false => "glue",
                    };
                    self.find(
                        &set.origin,
                        Severity::Warning,
                        format!("{who} has no A or AAAA record, {kind}"),
                    );
                }
                Fate::Elsewhere(_) => {}
                Fate::Nothing => {
                    self.find(
                        &set.origin,
                        severity,
                        format!("{who} has no A or AAAA record"),
                    );
                }
            }
        }
    }

    /// What stands below a delegation is somebody else's but for addresses; what stands below a DNAME is nobody's.
    fn covered(&mut self, names: &Names, name: &Name, sets: &SetsOfName) {
        let mut above = name.parent();
        while let Some(over) = above.filter(|over| over.is_within(self.apex)) {
            let has = |of: u16| names.get(&over).is_some_and(|sets| sets.contains_key(&of));
            let is_cut = over != *self.apex && has(rtype::NS);
            let glue_only = sets.keys().all(|of| matches!(*of, rtype::A | rtype::AAAA));
            let why = match () {
                () if is_cut && !glue_only => "is delegated",
                () if has(rtype::DNAME) => "has a DNAME record",
                () => {
                    above = over.parent();
                    continue;
                }
            };
            if let Some(set) = sets.values().next() {
                let text = format!("`{name}` is never answered: `{over}` {why}");
                self.find(&set.origin, Severity::Warning, text);
            }
            return;
        }
    }
}

/// Letters, digits and hyphens that stand inside (RFC 1123, section 2.1); a wildcard stands for any.
fn is_host(name: &Name) -> bool {
    let mut labels = name.labels().peekable();
    labels.next_if(|label| *label == b"*");
    labels.all(|label| {
        let inside = |octet: &u8| octet.is_ascii_alphanumeric() || *octet == b'-';
        label.iter().all(inside) && !label.starts_with(b"-") && !label.ends_with(b"-")
    })
}
