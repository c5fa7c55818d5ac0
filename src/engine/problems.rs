//! Problems: all that stand, and which of them are news.
//!
//! Whoever has problems (a service, the index, the source) hands over its old list and its new one, so that
//! keeping the whole up to date costs what changed. One and the same problem may be had by several; it is solved
//! when the last one lets go of it.

use std::collections::BTreeMap;

use crate::model::Problem;

/// All problems that stand.
#[derive(Debug, Default)]
pub(super) struct Problems {
    /// How many have it.
    standing: BTreeMap<Problem, u32>,
    /// Those touched since the news was last taken, and whether they stood then.
    touched: BTreeMap<Problem, bool>,
}

/// What became of problems since somebody last asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// Those that stand and did not, sorted.
    pub(super) appeared: Vec<Problem>,
    /// Those that stood and do not, sorted.
    pub(super) solved: Vec<Problem>,
}

impl Problems {
    /// Replaces the problems that one part has; both lists are sorted and hold each problem once.
    pub(super) fn replace(&mut self, before: &[Problem], after: &[Problem]) {
        for gone in missing_in(after, before) {
            let Some(count) = self.standing.get_mut(gone) else {
                continue;
            };
            *count -= 1;
            if *count == 0 {
                self.standing.remove(gone);
                self.touched.entry(gone.clone()).or_insert(true);
            }
        }
        for new in missing_in(before, after) {
            let count = self.standing.entry(new.clone()).or_insert(0);
            *count += 1;
            if *count == 1 {
                self.touched.entry(new.clone()).or_insert(false);
            }
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.standing.len()
    }

    /// All of them, sorted.
    pub(super) fn all(&self) -> Vec<Problem> {
        self.standing.keys().cloned().collect()
    }

    /// What is new since this was last called.
    pub(super) fn take_news(&mut self) -> News {
        let mut news = News::default();
        for (problem, stood) in std::mem::take(&mut self.touched) {
            match (stood, self.standing.contains_key(&problem)) {
                (false, true) => news.appeared.push(problem),
                (true, false) => news.solved.push(problem),
                // It went and came back, or came and went: no news.
                _ => {}
            }
        }
        news
    }
}

/// The problems of `list` that the sorted `other` has not.
fn missing_in<'p>(
    other: &'p [Problem],
    list: &'p [Problem],
) -> impl Iterator<Item = &'p Problem> + use<'p> {
    list.iter()
        .filter(|problem| other.binary_search(problem).is_err())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(texts: &str) -> Vec<Problem> {
        let problem = |text: &str| Problem {
            origin: None,
            subject: String::new(),
            text: text.to_owned(),
        };
        texts.split_whitespace().map(problem).collect()
    }

    #[test]
    fn a_problem_is_news_once_and_solved_when_the_last_lets_go() {
        let mut all = Problems::default();
        let news = |appeared: &str, solved: &str| News {
            appeared: problems(appeared),
            solved: problems(solved),
        };
        all.replace(&[], &problems("a b"));
        all.replace(&[], &problems("b c"));
        assert_eq!(all.take_news(), news("a b c", ""));
        assert_eq!(all.all(), problems("a b c"));
        all.replace(&problems("a b"), &problems("d"));
        assert_eq!(all.take_news(), news("d", "a"));
        all.replace(&problems("b c"), &[]);
        all.replace(&[], &problems("c"));
        assert_eq!(all.take_news(), news("", "b"));
        assert_eq!(all.take_news(), News::default());
    }
}
