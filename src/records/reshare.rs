//! Resharing: the records of a service of which nothing but the shares moved.
//!
//! A ramp moves shares every few seconds while endpoints, names and roles stay. Then the records need not be compiled
//! again: [`reshare()`] gives them the shares and strings of the new outcome, in place.

use super::text;
use super::views::equal_weights;
use super::{Choice, Content, Records};
use crate::model::{AnswerMode, ServiceView, Share};
use crate::rollout::{Basis, Outcome, Role};

/// What decides which records a service has, its objects and its shares apart.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    basis: Basis,
    ttl: u32,
    cut_over: Option<jiff::Timestamp>,
    weighted: bool,
    factors: Vec<u8>,
    /// By version: its role, and whether it carries anything.
    versions: Vec<(Option<Role>, bool)>,
}

impl Shape {
    /// The shape of what `compile` makes of an outcome.
    pub fn of(outcome: &Outcome) -> Self {
        let versions = outcome.versions.iter();
        Self {
            basis: outcome.basis,
            ttl: outcome.ttl,
            cut_over: outcome.cut_over,
            weighted: outcome.weighted,
            factors: outcome.factors.clone(),
            versions: versions
                .map(|version| (version.role, version.share > Share::ZERO))
                .collect(),
        }
    }
}

/// What [`reshare()`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// Shares and strings are what they were.
    Nothing,
    /// Shares or strings, and nothing else.
    Shares,
    /// More than that: compile anew.
    More,
}

/// Gives `records` the shares and strings of `outcome`. They were compiled of the same view and of an outcome of the same
/// shape; where it finds [`Moved::More`] they are not to be used any more.
pub fn reshare(records: &mut Records, view: &ServiceView, outcome: &Outcome) -> Moved {
    let Content::Names(names) = &mut records.content else {
        return Moved::More;
    };
    if names.sticky.is_some() || names.versions_text.is_empty() {
        return Moved::More;
    }
    let versions_text = text::versions(outcome, view);
    let rollout_text = text::rollout(outcome, view, names.ttl);
    if (&versions_text, &rollout_text) == (&names.versions_text, &names.rollout_text) {
        // The strings tell every share.
        return Moved::Nothing;
    }
    names.versions_text = versions_text;
    names.rollout_text = rollout_text;
    let share = |version: u16| {
        let version = outcome.versions.get(usize::from(version));
        version.map_or(0, |version| u32::from(version.share.basis_points()))
    };
    let Some(own) = names.views.first_mut() else {
        return Moved::More;
    };
    for set in [&mut own.a, &mut own.aaaa] {
        if set.members.is_empty() {
            continue;
        }
        let (Choice::Mixed { shares, .. } | Choice::Pure { shares, .. }) = &mut set.choice else {
            // Rotated by equal weights, which may differ from here on.
            return if outcome.weighted {
                Moved::More
            } else {
                Moved::Shares
            };
        };
        for (version, part) in shares.iter_mut() {
            *part = share(*version);
        }
        let shares = shares.clone();
        if outcome.policy.answer == AnswerMode::Auto && equal_weights(set, &shares) {
            return Moved::More;
        }
    }
    for record in own.srv.iter_mut().flatten().chain(&mut own.srv_bare) {
        record.share = record.version.map_or(0, share);
    }
    Moved::Shares
}
