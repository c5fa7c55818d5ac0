//! Steps and durations, as people write them.

use thiserror::Error;

use super::Share;

/// The steps of a roll-out: at least one, rising; after the last hold the target has the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steps(Vec<Step>);

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// What the target has.
    pub share: Share,
    /// How long, counted from the moment caches have forgotten the step before; `None`: until it is promoted.
    pub hold_secs: Option<u32>,
}

/// Why a text is not a list of steps.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StepsError {
    /// Not `percent@hold` or `percent`.
    #[error(
        "`{entry}` is not `percent@hold` or `percent`, such as `5@30s`, with a percentage from 0 to 100"
    )]
    Entry {
        /// The entry as written.
        entry: String,
    },
    /// A step is not above the one before.
    #[error("`{entry}` is not above the step before it")]
    Falls {
        /// The entry as written.
        entry: String,
    },
    /// More steps than [`Steps::MAX`].
    #[error("{count} steps are more than {max}", max = Steps::MAX)]
    TooMany {
        /// How many there are.
        count: usize,
    },
}

impl Steps {
    /// The largest number of steps: one a percent would be a ramp.
    pub const MAX: usize = 32;

    /// Reads `5@30s,25@60s,50,100`: a step without a hold waits to be promoted, and the whole needs none.
    ///
    /// # Errors
    /// See [`StepsError`].
    pub fn parse(text: &str) -> Result<Self, StepsError> {
        let mut steps: Vec<Step> = Vec::new();
        for entry in text.split(',') {
            let entry = entry.trim();
            let wrong = || StepsError::Entry {
                entry: entry.to_owned(),
            };
            let (percent, hold) = match entry.split_once('@') {
                Some((percent, hold)) => (percent, Some(parse_duration(hold).ok_or_else(wrong)?)),
                None => (entry, None),
            };
            let percent: u8 = percent.trim().parse().map_err(|_| wrong())?;
            if percent > 100 {
                return Err(wrong());
            }
            let step = Step {
                share: Share::from_basis_points(u64::from(percent) * 100),
                hold_secs: hold,
            };
            if steps.last().is_some_and(|last| last.share >= step.share) {
                return Err(StepsError::Falls {
                    entry: entry.to_owned(),
                });
            }
            steps.push(step);
        }
        match steps.len() {
            count if count > Self::MAX => Err(StepsError::TooMany { count }),
            _ => Ok(Self(steps)),
        }
    }

    /// The steps, the first one first.
    pub fn as_slice(&self) -> &[Step] {
        &self.0
    }
}

/// The longest duration a policy may ask for, a week: a longer ramp is a mistyped one.
pub const DURATION_SECS_MAX: u32 = 7 * 24 * 3600;

/// What [`parse_duration`] reads, in words for a person who wrote something else.
pub const DURATION_WORDS: &str = "a duration such as `90s`, `10m` or `1h`, of at most 168h";

/// Reads whole seconds, minutes or hours such as `90s`, `10m`, `1h30m`, at most [`DURATION_SECS_MAX`].
pub fn parse_duration(text: &str) -> Option<u32> {
    let mut rest = text.trim();
    let mut total: u32 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let unit = match tail.chars().next()? {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            _ => return None,
        };
        let secs = number.parse::<u32>().ok()?.checked_mul(unit)?;
        total = total.checked_add(secs)?;
        rest = &tail[1..];
    }
    (total <= DURATION_SECS_MAX).then_some(total)
}
