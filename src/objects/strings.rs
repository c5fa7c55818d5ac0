//! Texts, label sets and controllers that occur many times, each kept once.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use super::labels::Labels;
use super::meta::Controller;

/// What objects have in common: the names of nodes, zones and pods, the labels and the controller of all pods of a
/// revision.
#[derive(Debug, Default)]
pub(super) struct Strings {
    texts: Pool<Arc<str>>,
    labels: Pool<Labels>,
    controllers: Pool<Arc<Controller>>,
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
        self.labels.share(labels)
    }

    pub(super) fn controller(&mut self, controller: Controller) -> Arc<Controller> {
        match self.controllers.known.get(&controller) {
            Some(known) => Arc::clone(known),
            None => self.controllers.keep(Arc::new(controller)),
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
    fn share(&mut self, value: T) -> T {
        match self.known.get(value.borrow()) {
            Some(known) => known.clone(),
            None => self.keep(value),
        }
    }

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
