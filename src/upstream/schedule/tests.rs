//! The schedule's manual: moments in seconds since it began, chance 0 unless said otherwise.

use proptest::prelude::*;

use super::*;

/// A schedule with a clock of its own.
struct Clock {
    began: Instant,
    schedule: Schedule,
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn known(addresses: &str, trouble: &str) -> Resolved {
    Resolved {
        addresses: addresses
            .split_whitespace()
            .map(|a| a.parse().unwrap())
            .collect(),
        trouble: Some(trouble.to_owned()).filter(|trouble| !trouble.is_empty()),
    }
}

fn has(addresses: &str, ttl: u64) -> Told {
    Told::Addresses(known(addresses, "").addresses, secs(ttl))
}

fn nothing(nothing: Nothing) -> Told {
    Told::Nothing(nothing, Some(secs(10)))
}

fn failed(why: &'static str) -> Told {
    Told::Failed(why.into())
}

impl Clock {
    /// Looks up `names` with the default limits, but for the count of names.
    fn with(names: &str, most: usize) -> Self {
        let limits = Limits {
            names: most,
            ..Limits::default()
        };
        let deny = ["127.0.0.0/8", "::1/128"].map(|net| net.parse().unwrap());
        let mut clock = Self {
            began: Instant::now(),
            schedule: Schedule::new(limits, deny.into()),
        };
        for text in names.split_whitespace() {
            assert_eq!(clock.schedule.want(name(text), clock.began), None);
        }
        clock
    }

    fn of(names: &str) -> Self {
        Self::with(names, 1000)
    }

    /// What is asked at a moment: `a.example A`.
    fn ask(&mut self, at: u64) -> Vec<String> {
        let due = self.schedule.take_due(self.began + secs(at), usize::MAX);
        due.iter()
            .map(|(name, family)| format!("{name} {family:?}"))
            .collect()
    }

    fn answer(&mut self, at: u64, text: &str, family: Family, told: Told) -> Option<Resolved> {
        self.schedule
            .answer(&name(text), family, told, self.began + secs(at), 0)
    }

    /// In how many whole seconds since the beginning a question is due next.
    fn due(&self) -> Option<u64> {
        self.schedule
            .next_due()
            .map(|due| (due - self.began).as_secs())
    }

    fn forgotten(&self) -> Option<u64> {
        let next = self.schedule.next_forgotten();
        next.map(|next| (next - self.began).as_secs())
    }

    fn forget(&mut self, at: u64) -> Vec<Resolved> {
        let news = self.schedule.forget(self.began + secs(at));
        news.into_iter().map(|(_, resolved)| resolved).collect()
    }
}

#[test]
fn both_families_are_asked_at_once_and_once() {
    let mut clock = Clock::of("b.example a.example");
    assert_eq!(clock.schedule.len(), 2);
    assert_eq!(clock.due(), Some(0));
    let all = [
        "a.example. V4",
        "a.example. V6",
        "b.example. V4",
        "b.example. V6",
    ];
    assert_eq!(clock.ask(0), all);
    assert_eq!(clock.ask(1000), [""; 0]);
    assert_eq!((clock.due(), clock.forgotten()), (None, None));
}

#[test]
fn a_ttl_is_kept_between_its_bounds() {
    for (ttl, due) in [
        (0, 5),
        (4, 5),
        (5, 5),
        (60, 60),
        (300, 300),
        (301, 300),
        (86_400, 300),
    ] {
        let mut clock = Clock::of("a.example");
        clock.ask(0);
        let news = clock.answer(100, "a.example", Family::V4, has("192.0.2.1", ttl));
        assert_eq!(news, Some(known("192.0.2.1", "")));
        assert_eq!(clock.due(), Some(100 + due), "{ttl}");
    }
    for (ttl, due) in [(None, 30), (Some(1), 5), (Some(900), 300)] {
        let mut clock = Clock::of("a.example");
        clock.ask(0);
        clock.answer(
            0,
            "a.example",
            Family::V6,
            Told::Nothing(Nothing::Address, ttl.map(secs)),
        );
        assert_eq!(clock.due(), Some(due), "{ttl:?}");
    }
}

#[test]
fn only_what_differs_is_news() {
    let mut clock = Clock::of("a.example");
    let mut v4 = |at, told| clock.answer(at, "a.example", Family::V4, told);
    // In order, each once, whatever the order in which they come.
    let both = known("192.0.2.1 192.0.2.2", "");
    assert_eq!(v4(0, has("192.0.2.2 192.0.2.1 192.0.2.2", 60)), Some(both));
    assert_eq!(v4(60, has("192.0.2.1 192.0.2.2", 17)), None);
    assert_eq!(v4(77, has("192.0.2.1", 60)), Some(known("192.0.2.1", "")));
    let news = clock.answer(77, "a.example", Family::V6, has("2001:db8::1", 60));
    assert_eq!(news, Some(known("192.0.2.1 2001:db8::1", "")));
    assert_eq!(
        clock.answer(80, "b.example", Family::V4, has("192.0.2.9", 60)),
        None
    );
}

#[test]
fn what_is_wrong_is_told_in_one_sentence() {
    use Nothing::{Address, Name};
    for (v4, v6, addresses, trouble) in [
        (nothing(Address), nothing(Address), "", "has no address"),
        (nothing(Name), nothing(Address), "", "does not exist"),
        (has("192.0.2.1", 9), nothing(Address), "192.0.2.1", ""),
        (nothing(Name), has("2001:db8::1", 9), "2001:db8::1", ""),
        (
            failed("SERVFAIL"),
            failed("SERVFAIL"),
            "",
            "cannot be looked up: SERVFAIL",
        ),
        (
            failed("no answer"),
            failed("SERVFAIL"),
            "",
            "cannot be looked up: no answer",
        ),
        (
            has("192.0.2.1", 9),
            failed("SERVFAIL"),
            "192.0.2.1",
            "cannot be looked up: SERVFAIL (AAAA)",
        ),
        (
            failed("REFUSED"),
            nothing(Name),
            "",
            "cannot be looked up: REFUSED (A)",
        ),
        (
            has("127.0.0.1 192.0.2.1 127.9.9.9", 9),
            has("::1 ::ffff:127.0.0.2", 9),
            "192.0.2.1",
            "has addresses that are never answered: 127.0.0.1, 127.9.9.9, ::1, ::ffff:127.0.0.2",
        ),
    ] {
        let mut clock = Clock::of("a.example");
        let v4 = clock.answer(0, "a.example", Family::V4, v4);
        let last = clock.answer(0, "a.example", Family::V6, v6).or(v4);
        assert_eq!(last, Some(known(addresses, trouble)), "{trouble}");
    }
}

#[test]
fn half_an_answer_is_no_trouble() {
    let mut clock = Clock::of("a.example");
    assert_eq!(
        clock.answer(0, "a.example", Family::V4, nothing(Nothing::Name)),
        None
    );
}

#[test]
fn failures_wait_longer_each_time_up_to_a_bound_and_apart() {
    for (chance, waits) in [
        (0, [5.0, 10.0, 20.0, 40.0, 60.0, 60.0]),
        (255, [3.75, 7.5, 15.0, 30.0, 45.0, 45.0]),
    ] {
        let mut clock = Clock::of("a.example");
        let mut now = clock.began;
        for wait in waits {
            let told = failed("no answer");
            clock
                .schedule
                .answer(&name("a.example"), Family::V4, told.clone(), now, chance);
            clock
                .schedule
                .answer(&name("a.example"), Family::V6, told, now, chance);
            let due = clock.schedule.next_due().unwrap() - now;
            assert!(
                (due.as_secs_f64() - wait).abs() < 0.1,
                "{due:?} and not {wait}"
            );
            now += due;
        }
        // And a success begins anew.
        for told in [has("192.0.2.1", 5), failed("no answer")] {
            clock
                .schedule
                .answer(&name("a.example"), Family::V4, told, now, 0);
        }
        let v4 = &clock.schedule.targets[&name("a.example")].v4;
        assert_eq!(v4.due, Some(now + secs(5)));
    }
}

#[test]
fn the_last_addresses_stay_for_an_hour_after_their_ttl() {
    let mut clock = Clock::of("a.example");
    clock.ask(0);
    clock.answer(0, "a.example", Family::V6, nothing(Nothing::Address));
    clock.answer(0, "a.example", Family::V4, has("192.0.2.1", 60));
    assert_eq!(clock.forgotten(), None);
    let kept = known(
        "192.0.2.1",
        "cannot be looked up: no answer (A); its last addresses are answered",
    );
    assert_eq!(
        clock.answer(62, "a.example", Family::V4, failed("no answer")),
        Some(kept)
    );
    assert_eq!(
        clock.answer(70, "a.example", Family::V4, failed("no answer")),
        None
    );
    assert_eq!(clock.forgotten(), Some(60 + 3600));
    assert_eq!(clock.forget(60 + 3599), []);
    let gone = known("", "cannot be looked up: no answer (A)");
    assert_eq!(clock.forget(60 + 3600), [gone]);
    assert_eq!((clock.forgotten(), clock.forget(9999)), (None, vec![]));
    let news = clock.answer(9999, "a.example", Family::V4, has("192.0.2.2", 60));
    assert_eq!(news, Some(known("192.0.2.2", "")));
}

#[test]
fn addresses_are_not_kept_against_who_knows_that_there_are_none() {
    let mut clock = Clock::of("a.example");
    clock.answer(0, "a.example", Family::V6, nothing(Nothing::Name));
    clock.answer(0, "a.example", Family::V4, has("192.0.2.1", 60));
    let news = clock.answer(60, "a.example", Family::V4, nothing(Nothing::Name));
    assert_eq!(news, Some(known("", "does not exist")));
}

#[test]
fn addresses_are_bounded() {
    let many: Vec<String> = (0..20).map(|n| format!("192.0.2.{n}")).collect();
    let mut clock = Clock::of("a.example");
    let news = clock.answer(0, "a.example", Family::V4, has(&many.join(" "), 60));
    assert_eq!(news, Some(known(&many[..8].join(" "), "")));
}

#[test]
fn names_are_bounded_and_one_that_goes_makes_room() {
    let mut clock = Clock::with("a.example b.example", 2);
    let too_many = known(
        "",
        "is not looked up: more than 2 external names are in use",
    );
    for text in ["d.example", "c.example"] {
        assert_eq!(
            clock.schedule.want(name(text), clock.began),
            Some(too_many.clone())
        );
    }
    assert_eq!(clock.schedule.want(name("a.example"), clock.began), None);
    assert_eq!(clock.ask(0).len(), 4);
    let later = clock.began + secs(7);
    clock.schedule.release(&name("a.example"), later);
    assert_eq!(clock.ask(7), ["c.example. V4", "c.example. V6"]);
    let news = clock.answer(7, "c.example", Family::V4, has("192.0.2.3", 60));
    assert_eq!(news, Some(known("192.0.2.3", "")));
    // A result that comes after its name went is nobody's.
    assert_eq!(
        clock.answer(8, "a.example", Family::V4, has("192.0.2.1", 60)),
        None
    );
    clock.schedule.release(&name("d.example"), later);
    clock.schedule.release(&name("b.example"), later);
    assert_eq!((clock.ask(9).len(), clock.schedule.len()), (0, 1));
}

/// What a resolver may say.
fn told() -> impl Strategy<Value = Told> {
    prop_oneof![
        3 => (0_u8..4, 0_u64..400).prop_map(|(n, ttl)| has(&format!("192.0.2.{n}"), ttl)),
        1 => Just(nothing(Nothing::Address)),
        3 => Just(failed("no answer")),
    ]
}

proptest! {
    /// Whatever is answered: nothing is asked faster than every 3.75 s, nothing slower than every five minutes, and no
    /// address is given an hour and five minutes after it was last confirmed.
    #[test]
    fn it_never_hurries_and_never_sleeps(results in prop::collection::vec((told(), any::<u64>()), 1..60)) {
        let mut clock = Clock::of("a.example");
        let (mut now, mut confirmed, mut given) = (clock.began, None, Resolved::default());
        for (told, chance) in results {
            let due = clock.schedule.next_due();
            let next = [due, clock.schedule.next_forgotten()].into_iter().flatten().min().unwrap();
            if next > now {
                now = next;
            }
            for (_, resolved) in clock.schedule.forget(now) {
                given = resolved;
            }
            for (name, family) in clock.schedule.take_due(now, usize::MAX) {
                let told = match family {
                    Family::V4 => told.clone(),
                    Family::V6 => nothing(Nothing::Address),
                };
                if let (Family::V4, Told::Addresses(..)) = (family, &told) {
                    confirmed = Some(now);
                }
                if let Some(resolved) = clock.schedule.answer(&name, family, told, now, chance) {
                    given = resolved;
                }
                let target = &clock.schedule.targets[&name];
                for question in [&target.v4, &target.v6] {
                    let wait = question.due.map(|due| due.saturating_duration_since(now));
                    prop_assert!(wait.is_none_or(|wait| wait <= secs(300)));
                }
                let due = match family {
                    Family::V4 => target.v4.due,
                    Family::V6 => target.v6.due,
                };
                prop_assert!(due.unwrap() >= now + Duration::from_millis(3750));
            }
            let age = confirmed.map(|at| now - at);
            prop_assert!(given.addresses.is_empty() || age.is_some_and(|age| age <= secs(3900)));
        }
    }
}
