//! Other settings for the objects that are known: what is served of them changes, and nothing is read again.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::index::Index;
use super::settings::Settings;
use crate::model::ServiceKey;

impl Index {
    /// Puts other settings in force and marks everything that they may make look different: all of it, since nearly every
    /// setting is about all services. It costs what there is, once.
    pub fn set_settings(&mut self, settings: Settings) {
        let implied = self.services.keys().map(|key| Arc::clone(&key.namespace));
        let named = self.namespaces.ids().map(|(_, name)| Arc::clone(name));
        let namespaces: BTreeSet<Arc<str>> = implied.chain(named).collect();
        let keeps_addresses = self.settings.pod_addresses;
        self.mark_pods();
        self.settings = settings;
        match (keeps_addresses, self.settings.pod_addresses) {
            (true, false) => self.pods_at.clear(),
            (false, true) => self.count_pods(),
            _ => {}
        }
        self.mark_pods();
        // Counted anew before anything is marked by it, for the marks are all made below.
        self.loads.clear();
        let keys: Vec<ServiceKey> = self.services.keys().cloned().collect();
        keys.iter().for_each(|key| self.weigh(key));
        self.unlearnt.extend(keys.iter().cloned());
        self.dirty.services.extend(keys);
        self.dirty.namespaces.extend(namespaces);
        self.has_problem_news = true;
    }

    /// Marks every pod address that is counted.
    fn mark_pods(&mut self) {
        let all = self.pods_at.iter();
        let all = all.flat_map(|(of, addresses)| addresses.keys().map(|a| (Arc::clone(of), *a)));
        self.dirty.pods.extend(all);
    }

    /// Counts the addresses of all pods, of which none was counted.
    fn count_pods(&mut self) {
        let pods = self.pods.iter().filter(|(_, _, pod)| !pod.terminal);
        let addresses: Vec<_> = pods
            .flat_map(|(namespace, _, pod)| {
                pod.addresses
                    .iter()
                    .map(|address| (Arc::clone(namespace), *address))
            })
            .collect();
        for (namespace, address) in addresses {
            self.count_address(&namespace, address, true);
        }
    }
}
