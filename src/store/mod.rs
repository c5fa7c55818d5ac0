//! The published names: one writer, many readers.
//!
//! A map from lower-case wire names to [`Node`]s. Readers look one name up and copy what they need while the
//! entry is held ([`Store::find`]); the one [`Publisher`] replaces entries one by one. So every answer comes from
//! one Node, wholly old or wholly new, and a change costs what it changes. The truth is the engine's data; the
//! map is its shadow.
//!
//! An ancestor of a name exists without having records (RFC 8020): the publisher counts children and keeps such
//! empty names in the map while they have any.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod key;

use std::sync::Arc;

use dashmap::DashMap;
use foldhash::quality::RandomState;

use crate::wire::Name;
use crate::zone::Node;
use key::Key;

/// More shards than cores by far, so that a writer seldom meets a reader; each costs 128 octets.
const SHARDS: usize = 256;

/// An entry: a published node, an empty ancestor of others, or both.
#[derive(Debug, Default)]
struct Entry {
    node: Node,
    /// Published for its own sake.
    own: bool,
    /// Names directly below it that exist.
    children: u32,
}

type Map = DashMap<Key, Entry, RandomState>;

/// The reading side; clones see the same names.
#[derive(Clone, Debug)]
pub struct Store(Arc<Map>);

/// The writing side; there is one.
#[derive(Debug)]
pub struct Publisher(Arc<Map>);

/// What a publication changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Names that appeared.
    pub added: usize,
    /// Names whose node is another than before.
    pub replaced: usize,
    /// Names that went.
    pub removed: usize,
}

impl Changed {
    /// Adds what another publication changed.
    pub fn add(&mut self, other: Self) {
        self.added += other.added;
        self.replaced += other.replaced;
        self.removed += other.removed;
    }

    /// Whether anything did.
    pub fn any(self) -> bool {
        self != Self::default()
    }
}

/// An empty store and its publisher.
pub fn new() -> (Store, Publisher) {
    let map = DashMap::with_hasher_and_shard_amount(RandomState::default(), SHARDS);
    let map = Arc::new(map);
    (Store(Arc::clone(&map)), Publisher(map))
}

impl Store {
    /// Looks a lower-case wire name up and hands its node to `read` under the entry's guard; `None` if the name
    /// is not in the map. `read` must not look up another name: the guard is not reentrant.
    pub fn find<T>(&self, wire_name: &[u8], read: impl FnOnce(&Node) -> T) -> Option<T> {
        self.0.get(wire_name).map(|entry| read(&entry.node))
    }

    /// The number of names, empty ancestors included.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no names.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All names with their nodes, sorted: for tests and tools, not for the query path.
    pub fn dump(&self) -> Vec<(Vec<u8>, Node)> {
        let entries = self.0.iter();
        let mut all: Vec<_> = entries
            .map(|e| (e.key().as_wire().to_vec(), e.node.clone()))
            .collect();
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        all
    }
}

impl Publisher {
    /// Publishes `node` at `name`, below `apex`, or takes the name back (`None`). Ancestors up to the apex come
    /// into being, and go, with their first and last descendant.
    pub fn publish(&mut self, name: &Name, apex: &Name, node: Option<Node>) -> Changed {
        match node {
            Some(node) => self.put(name, apex, node),
            None => self.take(name, apex),
        }
    }

    /// Shows what is published at `name` to `look`; it is held for reading meanwhile, as by a query.
    pub fn read<T>(&self, name: &Name, look: impl FnOnce(Option<&Node>) -> T) -> T {
        let entry = self.0.get(name.as_wire());
        let own = entry.as_ref().filter(|entry| entry.own);
        look(own.map(|entry| &entry.node))
    }

    /// Whether publishing `node` at `name`, or taking the name back, would change nothing.
    pub fn holds(&self, name: &Name, node: Option<&Node>) -> bool {
        let entry = self.0.get(name.as_wire());
        let own = entry.as_ref().filter(|entry| entry.own);
        own.map(|entry| &entry.node) == node
    }

    /// What was there is compared before the entry is held for writing, and dropped after: a query that meets the
    /// writer waits for a move and no more. Nobody else writes, so nothing changes in between.
    fn put(&mut self, name: &Name, apex: &Name, node: Node) -> Changed {
        if self.holds(name, Some(&node)) {
            return Changed::default();
        }
        let mut changed = Changed::default();
        if let Some(mut entry) = self.0.get_mut(name.as_wire()) {
            if entry.own {
                changed.replaced = 1;
            } else {
                changed.added = 1;
            }
            entry.own = true;
            let before = std::mem::replace(&mut entry.node, node);
            drop(entry);
            drop(before);
            return changed;
        }
        // Ancestors first: at no moment does a name exist below one that does not.
        self.add_child_of_parent(name, apex);
        let entry = Entry {
            node,
            own: true,
            children: 0,
        };
        self.0.insert(name.as_wire().into(), entry);
        changed.added = 1;
        changed
    }

    fn add_child_of_parent(&mut self, name: &Name, apex: &Name) {
        let Some(parent) = name.parent().filter(|_| name != apex) else {
            return;
        };
        if let Some(mut entry) = self.0.get_mut(parent.as_wire()) {
            entry.children += 1;
            return;
        }
        // A name has 127 labels at most, and so many ancestors.
        self.add_child_of_parent(&parent, apex);
        let entry = Entry {
            children: 1,
            ..Entry::default()
        };
        self.0.insert(parent.as_wire().into(), entry);
    }

    /// A name with nothing below it goes in one step: there is no moment at which it exists and has no records, which would
    /// be told as NODATA.
    fn take(&mut self, name: &Name, apex: &Name) -> Changed {
        let goes = |_: &Key, entry: &Entry| entry.own && entry.children == 0;
        let gone = self.0.remove_if(name.as_wire(), goes);
        if gone.is_some() {
            self.take_child_of_parent(name, apex);
        } else {
            match self.0.get_mut(name.as_wire()) {
                Some(mut entry) if entry.own => {
                    entry.own = false;
                    let before = std::mem::take(&mut entry.node);
                    drop(entry);
                    drop(before);
                }
                _ => return Changed::default(),
            }
        }
        Changed {
            removed: 1,
            ..Changed::default()
        }
    }

    /// Counts a child less for the parent of a name that went; ancestors that were there for it alone go too.
    fn take_child_of_parent(&mut self, name: &Name, apex: &Name) {
        let mut child = name.clone();
        while let Some(parent) = child.parent().filter(|_| child != *apex) {
            if let Some(mut entry) = self.0.get_mut(parent.as_wire()) {
                entry.children = entry.children.saturating_sub(1);
            }
            let goes = |_: &Key, entry: &Entry| !entry.own && entry.children == 0;
            if self.0.remove_if(parent.as_wire(), goes).is_none() {
                return;
            }
            child = parent;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::wire::BodyBuilder;
    use crate::zone::Set;
    use proptest::prelude::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn names(store: &Store) -> Vec<String> {
        let exists = |wire: &str| store.find(name(wire).as_wire(), |_| ()).is_some();
        let all = [
            "z",
            "svc.z",
            "shop.svc.z",
            "web.shop.svc.z",
            "api.shop.svc.z",
        ];
        all.iter()
            .filter(|n| exists(n))
            .map(|n| (*n).to_owned())
            .collect()
    }

    /// "the existence of a name implies the existence of all its ancestors" (RFC 8020, section 2, turned round).
    #[test]
    fn ancestors_come_and_go_with_their_descendants() {
        let (store, mut publisher) = new();
        let apex = name("z");
        let mut set = |text: &str, there: bool| {
            let node = there.then(Node::default);
            publisher.publish(&name(text), &apex, node)
        };
        let added = Changed {
            added: 1,
            ..Changed::default()
        };
        assert_eq!(set("web.shop.svc.z", true), added);
        assert_eq!(
            names(&store),
            ["z", "svc.z", "shop.svc.z", "web.shop.svc.z"]
        );
        set("api.shop.svc.z", true);
        set("web.shop.svc.z", false);
        assert_eq!(
            names(&store),
            ["z", "svc.z", "shop.svc.z", "api.shop.svc.z"]
        );
        assert_eq!(set("shop.svc.z", true), added);
        set("api.shop.svc.z", false);
        assert_eq!(names(&store), ["z", "svc.z", "shop.svc.z"]);
        set("shop.svc.z", false);
        assert!(store.is_empty());
    }

    /// "NODATA ... is a pseudo RCODE which indicates that the name is valid, for the given class, but [there] are no records of
    /// the given type" (RFC 2308, section 1): a name that goes is never told to be valid.
    #[test]
    fn a_name_that_goes_is_never_seen_empty() {
        let (store, mut publisher) = new();
        let (apex, web) = (name("z"), name("web.shop.z"));
        let records = Arc::new(BodyBuilder::default().build());
        let there = Node::of(vec![(1, Set::Fixed(records))]);
        let is_running = AtomicBool::new(true);
        std::thread::scope(|scope| {
            let seen = scope.spawn(|| {
                let mut empty = 0;
                while is_running.load(Ordering::Relaxed) {
                    let found = store.find(web.as_wire(), |node| *node == there);
                    empty += usize::from(found == Some(false));
                }
                empty
            });
            for _ in 0..100_000 {
                publisher.publish(&web, &apex, Some(there.clone()));
                publisher.publish(&web, &apex, None);
            }
            is_running.store(false, Ordering::Relaxed);
            assert_eq!(seen.join().unwrap(), 0);
        });
    }

    proptest! {
        /// Publishing and taking back in any order leaves exactly the published names and their ancestors.
        #[test]
        fn the_map_is_the_closure_of_what_is_published(
            steps in proptest::collection::vec(
                (proptest::collection::vec(0_usize..3, 0..4), any::<bool>()), 0..60)
        ) {
            let (store, mut publisher) = new();
            let apex = name("z");
            let mut published = std::collections::BTreeSet::new();
            for (path, there) in steps {
                let labels: Vec<&[u8]> = path.iter().map(|i| [b"a", b"b", b"c"][*i].as_slice()).collect();
                let name = apex.below(labels).unwrap();
                publisher.publish(&name, &apex, there.then(Node::default));
                if there { published.insert(name); } else { published.remove(&name); }
            }
            let mut expected = std::collections::BTreeSet::new();
            for name in published {
                let mut name = Some(name);
                while let Some(next) = name.filter(|name| name.is_within(&apex)) {
                    expected.insert(next.as_wire().to_vec());
                    name = next.parent();
                }
            }
            let found: std::collections::BTreeSet<_> = store.dump().into_iter().map(|(n, _)| n).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
