//! Bars: shares as a row of cells.

/// How many of `cells` each share gets, in basis points. A share that is not nothing is seen, while there is room; what is
/// over or missing by rounding is the largest one's.
pub(super) fn cells(shares: &[u16], cells: u16) -> Vec<u16> {
    let total: u32 = shares.iter().map(|share| u32::from(*share)).sum();
    if total == 0 {
        return vec![0; shares.len()];
    }
    let part = |share: &u16| {
        let part = (u32::from(*share) * u32::from(cells) + total / 2) / total;
        u16::try_from(part)
            .unwrap_or(cells)
            .max(u16::from(*share > 0))
    };
    let mut parts: Vec<u16> = shares.iter().map(part).collect();
    let largest = (0..parts.len()).max_by_key(|index| (parts[*index], std::cmp::Reverse(*index)));
    if let Some(largest) = largest {
        let rest: u16 = parts.iter().sum::<u16>() - parts[largest];
        parts[largest] = cells.saturating_sub(rest);
    }
    parts
}

/// What stands for the version at `index`: `#` for the target, something else for each other.
pub(super) fn glyph(index: usize, is_target: bool) -> char {
    const OTHERS: [char; 4] = ['=', '-', '+', '.'];
    match is_target {
        true => '#',
        false => OTHERS[index % OTHERS.len()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_whole_and_shows_every_share() {
        for (shares, expected) in [
            (vec![10_000], vec![10]),
            (vec![7500, 2500], vec![7, 3]),
            (vec![9990, 10], vec![9, 1]),
            (vec![0, 10_000], vec![0, 10]),
            (vec![3334, 3333, 3333], vec![4, 3, 3]),
            (vec![0, 0], vec![0, 0]),
            (vec![], vec![]),
        ] {
            assert_eq!(cells(&shares, 10), expected, "{shares:?}");
        }
    }
}
