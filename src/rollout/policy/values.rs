//! Values: what one annotation may say, whatever the others do.
//!
//! Each function reads one value, or tells in words for a person what it should have been.

use crate::model::{
    DURATION_WORDS, Steps, Sticky, Strategy, StrategyKind, TtlPolicy, Weights, parse_duration,
};

/// The strategy of services that ask none, by its word in the configuration's `defaults`.
///
/// # Errors
/// It is no strategy, or one that cannot be asked of all services alike: the error names the annotation to use.
pub fn default_strategy(value: &str) -> Result<Strategy, String> {
    let needs = match strategy(value)? {
        StrategyKind::Follow => return Ok(Strategy::Follow),
        StrategyKind::BlueGreen => {
            return Ok(Strategy::BlueGreen {
                auto_promotion_secs: None,
                backends: None,
            });
        }
        StrategyKind::Linear | StrategyKind::Exponential => {
            "a ramp, which only a service can have: write `shiftdns.io/strategy` and `shiftdns.io/ramp` there"
        }
        StrategyKind::Steps => {
            "steps, which only a service can have: write `shiftdns.io/steps` there"
        }
        StrategyKind::Manual => {
            "weights, which only a service can have: write `shiftdns.io/weights` there"
        }
        StrategyKind::External => {
            "an object that gives a service's weights: write `shiftdns.io/strategy` at that service"
        }
    };
    Err(format!("`{value}` needs {needs}"))
}

pub(super) fn strategy(value: &str) -> Result<StrategyKind, String> {
    word(value, &StrategyKind::ALL, StrategyKind::as_str)
}

/// One of a few words.
pub(super) fn word<T: Copy>(
    value: &str,
    all: &[T],
    as_str: impl Fn(T) -> &'static str,
) -> Result<T, String> {
    let found = all.iter().find(|each| as_str(**each) == value);
    found.copied().ok_or_else(|| {
        let words: Vec<String> = all
            .iter()
            .map(|each| format!("`{}`", as_str(*each)))
            .collect();
        format!("`{value}` is none of {}", words.join(", "))
    })
}

pub(super) fn weights(value: &str) -> Result<Weights, String> {
    Weights::parse(value).map_err(|error| error.to_string())
}

pub(super) fn steps(value: &str) -> Result<Steps, String> {
    Steps::parse(value).map_err(|error| error.to_string())
}

pub(super) fn duration(value: &str) -> Result<u32, String> {
    parse_duration(value).ok_or_else(|| format!("`{value}` is not {DURATION_WORDS}"))
}

/// A duration that a ramp can take. Nothing is no ramp: shares that move at once are those of `follow`.
pub(super) fn ramp(value: &str) -> Result<u32, String> {
    match duration(value)? {
        0 => Err(format!("`{value}` is below `1s`")),
        secs => Ok(secs),
    }
}

pub(super) fn number(value: &str, least: u32, most: u32) -> Result<u32, String> {
    let read = value.parse().ok();
    read.filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("`{value}` is not a number from {least} to {most}"))
}

pub(super) fn either(value: &str, yes: &str, no: &str) -> Result<bool, String> {
    match value {
        _ if value == yes => Ok(true),
        _ if value == no => Ok(false),
        _ => Err(format!("`{value}` is neither `{yes}` nor `{no}`")),
    }
}

pub(super) fn sticky(value: &str) -> Result<Sticky, String> {
    let bits = match value {
        "off" => return Ok(Sticky::Off),
        "ecs" => return Ok(Sticky::Ecs),
        "source" => Some(32),
        _ => value
            .strip_prefix("source/")
            .and_then(|bits| bits.parse().ok())
            .filter(|bits| (1..=32).contains(bits)),
    };
    bits.map(|bits| Sticky::Source { bits }).ok_or_else(|| {
        format!("`{value}` is none of `off`, `source`, `source/1` to `source/32`, `ecs`")
    })
}

/// The range that the cluster's usual DNS server allows for the same names. Above an hour, a share that moves
/// would be forgotten by caches later than most roll-outs take.
const TTL_SECS_MAX: u32 = 3600;

/// Reads `endpoints=30,rollout=5`; either may be left out, and is then the server's.
pub(super) fn ttl(value: &str, servers: TtlPolicy) -> Result<TtlPolicy, String> {
    let mut ttl = servers;
    let mut seen: Vec<&str> = Vec::new();
    for entry in value.split(',') {
        let (name, secs) = entry.split_once('=').unwrap_or((entry, ""));
        let slot = match name.trim() {
            "endpoints" => &mut ttl.endpoints,
            "rollout" => &mut ttl.rollout,
            _ => {
                let entry = entry.trim();
                return Err(format!(
                    "`{entry}` is neither `endpoints=seconds` nor `rollout=seconds`"
                ));
            }
        };
        if seen.contains(&name.trim()) {
            return Err(format!("`{}` stands twice", name.trim()));
        }
        seen.push(name.trim());
        *slot = number(secs.trim(), 0, TTL_SECS_MAX)?;
    }
    Ok(ttl)
}
