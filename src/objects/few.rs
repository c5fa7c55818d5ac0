//! Lists that nearly always have one element.

use std::ops::Deref;
use std::slice;

/// A list that keeps a single element in place, and more of them without room for others: a hundred thousand lists of
/// one address cost no allocation each.
#[derive(Clone, Debug)]
pub enum Few<T> {
    /// One.
    One(T),
    /// None, or several.
    Other(Box<[T]>),
}

impl<T: Ord> Few<T> {
    /// Adds a value to a sorted list that does not have it yet.
    pub(super) fn add(&mut self, value: T) {
        if let Err(at) = self.binary_search(&value) {
            let mut list = self.take();
            list.reserve_exact(1);
            list.insert(at, value);
            *self = list.into();
        }
    }

    /// Removes a value of a sorted list.
    pub(super) fn remove(&mut self, value: &T) {
        if let Ok(at) = self.binary_search(value) {
            let mut list = self.take();
            list.remove(at);
            *self = list.into();
        }
    }

    fn take(&mut self) -> Vec<T> {
        match std::mem::take(self) {
            Self::One(one) => vec![one],
            Self::Other(list) => list.into(),
        }
    }
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self::Other(Box::default())
    }
}

impl<T> From<Vec<T>> for Few<T> {
    fn from(mut list: Vec<T>) -> Self {
        match (list.len(), list.pop()) {
            (1, Some(one)) => Self::One(one),
            (_, last) => {
                list.extend(last);
                Self::Other(list.into())
            }
        }
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::One(one) => slice::from_ref(one),
            Self::Other(list) => list,
        }
    }
}

impl<T: PartialEq> PartialEq for Few<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_sorted_and_stand_once() {
        let mut few: Few<u8> = Few::default();
        assert!(few.is_empty());
        for value in [2, 3, 1, 2] {
            few.add(value);
        }
        assert_eq!(*few, [1, 2, 3]);
        few.remove(&1);
        few.remove(&3);
        few.remove(&9);
        assert!(matches!(few, Few::One(2)));
        few.remove(&2);
        assert!(few.is_empty());
    }
}
