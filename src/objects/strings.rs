//! Texts, label sets and other things that occur many times, each kept once.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use super::labels::Labels;
use super::meta::Common;
use super::network::Place;
use crate::model::EndpointPort;

/// What objects have in common: the names of nodes and zones, the labels of a revision, a pod's metadata but for its
/// name. What stands in one object only has no business here: to be known costs half as much as to be kept twice.
#[derive(Debug, Default)]
pub(super) struct Strings {
    texts: Pool<Arc<str>>,
    labels: Pool<Labels>,
    commons: Pool<Arc<Common>>,
    places: Pool<Arc<Place>>,
    ports: Pool<Arc<[EndpointPort]>>,
}

impl Strings {
    /// The text, as everybody else has it who reads with these.
    pub(super) fn text(&mut self, text: &str) -> Arc<str> {
        match self.texts.known.get(text) {
            Some(known) => Arc::clone(known),
            None => self.texts.keep(text.into()),
        }
    }

    pub(super) fn labels(&mut self, labels: Labels) -> Labels {
        match self.labels.known.get(&labels) {
            Some(known) => known.clone(),
            None => self.labels.keep(labels),
        }
    }

    pub(super) fn common(&mut self, common: Common) -> Arc<Common> {
        match self.commons.known.get(&common) {
            Some(known) => Arc::clone(known),
            None => self.commons.keep(Arc::new(common)),
        }
    }

    pub(super) fn ports(&mut self, ports: Vec<EndpointPort>) -> Arc<[EndpointPort]> {
        match self.ports.known.get(&*ports) {
            Some(known) => Arc::clone(known),
            None => self.ports.keep(ports.into()),
        }
    }

    pub(super) fn place(&mut self, place: Place) -> Arc<Place> {
        match self.places.known.get(&place) {
            Some(known) => Arc::clone(known),
            None => self.places.keep(Arc::new(place)),
        }
    }
}

/// Values that others hold, each once. Hashed with a seed: what is in it is chosen by strangers.
#[derive(Debug)]
struct Pool<T> {
    known: HashSet<T, foldhash::fast::RandomState>,
    sweep_at: usize,
}

/// Something that tells whether others hold it too.
trait Held: Clone + Eq + Hash {
    fn is_held(&self) -> bool;
}

impl<T: ?Sized + Eq + Hash> Held for Arc<T> {
    fn is_held(&self) -> bool {
        Arc::strong_count(self) > 1
    }
}

impl Held for Labels {
    fn is_held(&self) -> bool {
        self.is_shared()
    }
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self {
            known: HashSet::default(),
            sweep_at: 0,
        }
    }
}

impl<T: Held> Pool<T> {
    fn keep(&mut self, new: T) -> T {
        self.sweep();
        self.known.insert(new.clone());
        new
    }

    /// Forgets what nobody else holds, each time the number has doubled.
    fn sweep(&mut self) {
        if self.known.len() >= self.sweep_at {
            self.known.retain(Held::is_held);
            self.sweep_at = self.known.len() * 2 + 1024;
        }
    }
}
