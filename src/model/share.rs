//! Shares, and the reasons why they are what they are.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A part of [`Share::WHOLE`], in basis points, so that splits add up without rounding.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Share(u16);

impl Share {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// Everything: 10000 basis points.
    pub const WHOLE: Self = Self(10_000);

    /// A share of `basis_points`; what is above the whole becomes the whole.
    pub fn from_basis_points(basis_points: u64) -> Self {
        Self(u16::try_from(basis_points.min(10_000)).unwrap_or(10_000))
    }

    /// The share as basis points, 0 to 10000.
    pub fn basis_points(self) -> u16 {
        self.0
    }
}

/// `10.00%`.
impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}%", self.0 / 100, self.0 % 100)
    }
}

/// Why a version has the share it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// No strategy: every ready endpoint counts the same.
    Follow,
    /// The policy's wish, in full.
    Policy,
    /// The policy wants more than the ready endpoints may carry.
    CapacityCapped,
    /// Carries what others cannot, within its own capacity.
    FillsIn,
    /// A failed revision that carries what nobody else has the capacity for.
    QuarantineOverflow,
    /// Everybody is beyond capacity: equal load on every ready endpoint.
    OverloadShared,
    /// A failed revision, kept out.
    Quarantined,
    /// Left out by the policy (weight zero, or not listed).
    Excluded,
    /// Nothing is ready.
    NoEndpoints,
}

impl Reason {
    /// Every reason, for tables.
    pub const ALL: [Self; 9] = [
        Self::Follow,
        Self::Policy,
        Self::CapacityCapped,
        Self::FillsIn,
        Self::QuarantineOverflow,
        Self::OverloadShared,
        Self::Quarantined,
        Self::Excluded,
        Self::NoEndpoints,
    ];

    /// The reason's word in output and in metrics, such as `capacity-capped`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Follow => "follow",
            Self::Policy => "policy",
            Self::CapacityCapped => "capacity-capped",
            Self::FillsIn => "fills-in",
            Self::QuarantineOverflow => "quarantine-overflow",
            Self::OverloadShared => "overload-shared",
            Self::Quarantined => "quarantined",
            Self::Excluded => "excluded",
            Self::NoEndpoints => "no-endpoints",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
