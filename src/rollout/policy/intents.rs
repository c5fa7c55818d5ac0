//! Intents as text: what people ask of a roll-out, each with the hash of the revision it is meant for.
//!
//! Given the value of an annotation, a list of what is asked, or why it is none. Whether such a revision exists is not
//! asked: an intent may well be written before its revision is there, and stands until someone takes it away.

use std::sync::Arc;

use crate::model::{Intents, Promotion, Steps};

/// More workloads than one service can have in its answers; a service has one revision of each to speak of.
const ENTRIES_MAX: usize = 32;

/// The longest hash: the name of a ControllerRevision is an object's name.
const HASH_MAX: usize = 253;

/// Reads the annotation of an intent; others are none.
pub(super) fn read(intents: &mut Intents, key: &str, value: &str) -> Result<(), String> {
    match key {
        "abort" => intents.abort = hashes(value)?,
        "pause" => intents.pause = hashes(value)?,
        "promote" => intents.promote = promotions(value)?,
        "retry" => intents.retry = retries(value)?,
        _ => {}
    }
    Ok(())
}

/// What is asked beside a policy that cannot be read; an intent that cannot either stands as it did before.
pub(super) fn standing(annotations: &[(Arc<str>, Arc<str>)], before: Intents) -> Intents {
    let is_written = |key: &str| annotations.iter().any(|(known, _)| **known == *key);
    let Intents {
        mut promote,
        mut pause,
        mut abort,
        mut retry,
    } = before;
    promote.retain(|_| is_written("promote"));
    pause.retain(|_| is_written("pause"));
    abort.retain(|_| is_written("abort"));
    retry.retain(|_| is_written("retry"));
    let mut standing = Intents {
        promote,
        pause,
        abort,
        retry,
    };
    for (key, value) in annotations {
        // It leaves alone what it cannot read, and that has been told.
        let _ = read(&mut standing, key, value.trim());
    }
    standing
}

/// Reads `7c9d8b6f54,5b7f9c8d66`.
fn hashes(text: &str) -> Result<Vec<Arc<str>>, String> {
    let entries = entries(text, |entry| match is_hash(entry) {
        true => Ok((entry, ())),
        false => Err(format!("`{entry}` is not the hash of a revision")),
    })?;
    Ok(entries.into_iter().map(|(hash, ())| hash).collect())
}

/// Reads `7c9d8b6f54@2,5b7f9c8d66@full`.
fn promotions(text: &str) -> Result<Vec<(Arc<str>, Promotion)>, String> {
    entries(text, |entry| {
        let wrong = || {
            let most = Steps::MAX;
            format!("`{entry}` is not `hash@full` or `hash@step` with a step from 1 to {most}")
        };
        let (hash, to) = with_hash(entry).ok_or_else(wrong)?;
        if to == "full" {
            return Ok((hash, Promotion::Full));
        }
        let step = to.parse::<u8>().ok();
        let step = step.filter(|step| (1..=Steps::MAX).contains(&usize::from(*step)));
        Ok((hash, Promotion::Step(step.ok_or_else(wrong)?)))
    })
}

/// Reads `7c9d8b6f54@1`.
fn retries(text: &str) -> Result<Vec<(Arc<str>, u32)>, String> {
    entries(text, |entry| {
        let wrong = || {
            let most = u32::MAX;
            format!("`{entry}` is not `hash@number` with a number from 1 to {most}")
        };
        let (hash, number) = with_hash(entry).ok_or_else(wrong)?;
        let number = number.parse().ok().filter(|number| *number > 0);
        Ok((hash, number.ok_or_else(wrong)?))
    })
}

/// What both ask. Of one revision, the farther promotion and the later retry.
pub(super) fn joined(mut written: Intents, given: &Intents) -> Intents {
    join(&mut written.promote, &given.promote);
    join(&mut written.retry, &given.retry);
    for (list, more) in [
        (&mut written.pause, &given.pause),
        (&mut written.abort, &given.abort),
    ] {
        let new = more.iter().filter(|hash| !list.contains(hash));
        let new: Vec<Arc<str>> = new.cloned().collect();
        list.extend(new);
    }
    written
}

fn join<T: Copy + Ord>(list: &mut Vec<(Arc<str>, T)>, more: &[(Arc<str>, T)]) {
    for (hash, asked) in more {
        match list.iter_mut().find(|(known, _)| known == hash) {
            Some((_, known)) => *known = (*known).max(*asked),
            None => list.push((Arc::clone(hash), *asked)),
        }
    }
}

/// The entries of a list, as `read` gives their hashes and what is asked of them.
fn entries<'t, T>(
    text: &'t str,
    read: impl Fn(&'t str) -> Result<(&'t str, T), String>,
) -> Result<Vec<(Arc<str>, T)>, String> {
    let count = text.split(',').count();
    if count > ENTRIES_MAX {
        return Err(format!("{count} entries are more than {ENTRIES_MAX}"));
    }
    let mut list: Vec<(Arc<str>, T)> = Vec::new();
    for entry in text.split(',') {
        let (hash, asked) = read(entry.trim())?;
        if list.iter().any(|(known, _)| **known == *hash) {
            return Err(format!("`{hash}` stands twice"));
        }
        list.push((hash.into(), asked));
    }
    Ok(list)
}

/// A hash and what stands behind its `@`.
fn with_hash(entry: &str) -> Option<(&str, &str)> {
    let (hash, rest) = entry.split_once('@')?;
    let (hash, rest) = (hash.trim(), rest.trim());
    is_hash(hash).then_some((hash, rest))
}

/// What the value of a label or the name of an object can be.
fn is_hash(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    (1..=HASH_MAX).contains(&text.len()) && text.bytes().all(fits)
}
