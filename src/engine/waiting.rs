//! Who waits until something moves.
//!
//! Each subject has the list of those who wait for it, so a move costs as much as there are who waited for it, and nothing
//! where nobody does. Who went away is forgotten when there are twice as many as there were.

use std::collections::BTreeMap;

use tokio::sync::oneshot;

use super::moves::Subject;

/// Fewer than these are not looked through for who went away.
const LOOKED_THROUGH_MIN: usize = 64;

/// Those who wait, each to be told the turn that moved what they look at.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    by_subject: BTreeMap<Subject, Vec<oneshot::Sender<u64>>>,
    count: usize,
    /// How many there may be before they are looked through.
    limit: usize,
}

impl Waiting {
    pub(super) fn add(&mut self, subject: Subject, waiter: oneshot::Sender<u64>) {
        if self.count >= self.limit.max(LOOKED_THROUGH_MIN) {
            self.forget_gone();
            self.limit = self.count * 2;
        }
        self.by_subject.entry(subject).or_default().push(waiter);
        self.count += 1;
    }

    pub(super) fn tell(&mut self, subject: &Subject, turn: u64) {
        for waiter in self.by_subject.remove(subject).unwrap_or_default() {
            self.count -= 1;
            // Who is gone is not told.
            let _gone = waiter.send(turn);
        }
    }

    fn forget_gone(&mut self) {
        self.by_subject.retain(|_, waiters| {
            waiters.retain(|waiter| !waiter.is_closed());
            !waiters.is_empty()
        });
        self.count = self.by_subject.values().map(Vec::len).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ServiceKey;

    fn subject(n: usize) -> Subject {
        Subject::Service(ServiceKey::new("shop", &format!("web-{n}")))
    }

    #[test]
    fn who_waits_for_what_moved_is_told_and_nobody_else() {
        let mut waiting = Waiting::default();
        let mut tell = |subject: Subject| {
            let (waiter, told) = oneshot::channel();
            waiting.add(subject, waiter);
            told
        };
        let (mut one, mut other) = (tell(subject(1)), tell(subject(2)));
        let mut list = tell(Subject::Catalogue);
        waiting.tell(&subject(1), 7);
        assert_eq!(one.try_recv(), Ok(7));
        for still in [&mut other, &mut list] {
            assert_eq!(still.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        }
        assert_eq!(waiting.count, 2);
    }

    #[test]
    fn those_who_went_away_are_not_kept_for_ever() {
        let mut waiting = Waiting::default();
        let stays = oneshot::channel();
        waiting.add(subject(0), stays.0);
        for n in 1..10_000 {
            waiting.add(subject(n), oneshot::channel().0);
            assert!(waiting.count <= LOOKED_THROUGH_MIN, "{n}");
            assert_eq!(waiting.by_subject.values().flatten().count(), waiting.count);
        }
        let mut told = stays.1;
        waiting.tell(&subject(0), 1);
        assert_eq!(told.try_recv(), Ok(1));
    }
}
