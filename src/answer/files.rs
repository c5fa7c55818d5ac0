//! Names of zones that stand in files: wildcards, delegations, DNAMEs, and the cluster's names among them.

use std::sync::Arc;

use super::{QUESTION_AT, RDATA_AT, Responder, Step, Tally};
use crate::wire::{Owner, QueryName, Rcode, Reply, rtype};
use crate::zone::{Place, Sets, Stands, StaticZone, Zone, ZoneKind};

impl Responder<'_> {
    /// Whether a file says what is asked of a name, in a zone that is a cluster's as well: that does not wait for the cluster.
    #[cold]
    pub(super) fn stands_in_file(&self, name: &QueryName, zone: &Zone) -> bool {
        let statics = zone.statics().filter(|_| zone.kind == ZoneKind::Cluster);
        let node = statics.and_then(|statics| statics.find_known(name));
        node.is_some_and(|node| self.has_answer(&node.sets)) && !zone.is_of_cluster(name)
    }

    fn has_answer(&self, sets: &Sets) -> bool {
        sets.get(self.query.qtype).is_some() || sets.get(rtype::CNAME).is_some()
    }

    /// Looks a name up in the cluster, where the zone is one's, then in the file: what the cluster has wins, set by set.
    #[inline(never)]
    pub(super) fn look_up_in_file(
        &self,
        statics: &StaticZone,
        (name, place): (&QueryName, &Place<'_>),
        owner: Owner,
        tally: &mut Tally,
        reply: &mut Reply<'_>,
    ) -> Step {
        let in_store = |name: &[u8]| self.view.store.find(name, |_| ()).is_some();
        if place.zone.kind != ZoneKind::Static {
            let step = self.look_up_in_cluster(name, place, owner, tally, reply);
            match step {
                Step::Done | Step::Follow(..) => return step,
                _ if place.zone.is_of_cluster(name) => return step,
                Step::NoData => {
                    let node = statics.find_known(name);
                    // A CNAME cannot stand beside what the cluster has there.
                    let sets = node.map(|node| &node.sets);
                    let sets = sets.filter(|sets| sets.get(rtype::CNAME).is_none());
                    return sets
                        .map_or(Step::NoData, |sets| self.add_set(sets, owner, tally, reply));
                }
                Step::Missing => {}
            }
        }
        let exists = |name: &[u8]| place.zone.kind != ZoneKind::Static && in_store(name);
        let at = match owner {
            Owner::Question => QUESTION_AT,
            Owner::At(at) => at,
        };
        // Where the name of so many labels stands, which ends as this one does.
        let above = |labels: usize| at + name.as_wire().len() - name.suffix(labels).len();
        match statics.find(name, self.query.qtype, exists) {
            Stands::Node(node) => self.add_set(&node.sets, owner, tally, reply),
            Stands::Missing => Step::Missing,
            Stands::Delegated(labels, delegation) => {
                let owner = Owner::At(above(labels));
                reply.refer(&delegation.records, delegation.required, owner);
                Step::Done
            }
            Stands::Renamed(labels, renaming) => {
                reply.answer_once(&renaming.body, Owner::At(above(labels)));
                let Some(alias) = renaming.renamed(name, labels) else {
                    reply.set_rcode(Rcode::YxDomain);
                    return Step::Done;
                };
                let at = reply.offset() + RDATA_AT;
                reply.answer(&alias.body, 0, 1, owner);
                match self.query.qtype {
                    rtype::CNAME | rtype::ANY => Step::Done,
                    _ => Step::Follow(Arc::new(alias), at),
                }
            }
        }
    }
}
