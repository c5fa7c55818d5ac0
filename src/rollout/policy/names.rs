//! Names: which annotations there are, and what a person may have meant by another one.

/// Every annotation, without the prefix.
pub const NAMES: [&str; 22] = [
    "abort",
    "answer",
    "auto-promotion",
    "backends",
    "clamp",
    "endpoints",
    "headroom",
    "on-failure",
    "pause",
    "promote",
    "ramp",
    "records",
    "retry",
    "rollback",
    "slow-start",
    "soak",
    "steps",
    "sticky",
    "strategy",
    "ttl",
    "version-label",
    "weights",
];

/// The problem of a key that is not ours, with the name that was probably meant.
pub(super) fn unknown(key: &str) -> String {
    // A text that is so much longer is meant for nothing here, and comparing it would cost its length.
    let near = NAMES
        .iter()
        .filter(|known| key.len().abs_diff(known.len()) <= 2)
        .map(|known| (edits(key, known), known))
        .min()
        .filter(|(edits, known)| *edits <= 2 && *edits < known.len());
    let text = format!("`shiftdns.io/{key}` is not an annotation of ShiftDNS");
    match near {
        Some((_, known)) => format!("{text}; did you mean `{known}`?"),
        None => text,
    }
}

/// The number of octets to insert, delete or replace to get from one text to the other.
fn edits(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (above, a) in from.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (left, b) in to.bytes().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[left + 1];
            row[left + 1] = replaced.min(diagonal + 1).min(row[left] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_count_what_is_inserted_deleted_and_replaced() {
        assert_eq!(edits("wieghts", "weights"), 2);
        assert_eq!(edits("", "ttl"), 3);
        assert_eq!(edits("ttl", "ttl"), 0);
    }
}
