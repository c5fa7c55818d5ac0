//! Names as keys of the map.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};

/// The longest name that stands in the entry itself: names of services are 21 octets longer than the service's and the
/// namespace's together. With its tag and length a key is 56 octets.
const SHORT: usize = 54;

/// A wire name. A short one stands where the map looks: to follow a pointer to it would be one more wait for memory at
/// every answer.
#[derive(Clone, Debug)]
pub(super) enum Key {
    /// So many of the octets.
    Short(u8, [u8; SHORT]),
    Long(Box<[u8]>),
}

impl Key {
    pub(super) fn as_wire(&self) -> &[u8] {
        match self {
            Self::Short(len, octets) => octets.get(..usize::from(*len)).unwrap_or_default(),
            Self::Long(octets) => octets,
        }
    }
}

impl From<&[u8]> for Key {
    fn from(wire: &[u8]) -> Self {
        let mut short = [0; SHORT];
        match (u8::try_from(wire.len()), short.get_mut(..wire.len())) {
            (Ok(len), Some(octets)) => {
                octets.copy_from_slice(wire);
                Self::Short(len, short)
            }
            _ => Self::Long(wire.into()),
        }
    }
}

/// As the octets are, so that a name can be looked up by them.
impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_wire().hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.as_wire() == other.as_wire()
    }
}

impl Eq for Key {}

impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        self.as_wire()
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, RandomState};

    use super::*;

    #[test]
    fn a_key_is_its_octets_at_every_length() {
        assert_eq!(size_of::<Key>(), 56);
        let state = RandomState::new();
        for length in 0..=255 {
            let octets: Vec<u8> = (0..length).map(|n| n ^ 0x5A).collect();
            let key = Key::from(octets.as_slice());
            assert_eq!(key.as_wire(), octets);
            assert_eq!(matches!(key, Key::Short(..)), octets.len() <= SHORT);
            assert_eq!(state.hash_one(&key), state.hash_one(octets.as_slice()));
            assert_eq!(key, Key::from(octets.as_slice()));
            let mut longer = octets.clone();
            longer.push(0);
            assert_ne!(key, Key::from(longer.as_slice()));
        }
    }
}
