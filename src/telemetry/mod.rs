//! Logs: their set-up, and how an error with its causes is written in one line.
//!
//! Given a filter such as `info` or `warn,shiftdns::engine=debug`, [`init`] sends log lines to standard error.
//! Nothing is counted here: metrics live beside what they measure.

use std::env;
use std::error::Error;
use std::io;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// The variable that holds the filter where the caller gives none.
const VARIABLE: &str = "SHIFTDNS_LOG";

/// The client of the API server: it logs every attempt that fails, at `error`. What fails is told once, by those who
/// follow the cluster.
const CLIENT: &str = "kube_client";

/// Starts logging to standard error, filtered by `filter`, else by `SHIFTDNS_LOG`, else at `info`.
///
/// A filter that cannot be read is a warning and counts as `info`: a typing error in it must not keep names from
/// being answered. A second call changes nothing. Lines hold no colour codes, so that they read the same in a
/// terminal, a file and a collector.
pub fn init(filter: Option<&str>) {
    let variable = env::var(VARIABLE).ok();
    let (filter, refused) = choose(filter, variable.as_deref());
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(false)
        .try_init();
    if started.is_ok()
        && let Some(text) = refused
    {
        tracing::warn!("{text}");
    }
}

/// The filter without what [`CLIENT`] logs; whoever names it in a filter gets it.
fn quiet(filter: EnvFilter) -> EnvFilter {
    match format!("{CLIENT}=off").parse() {
        Ok(directive) => filter.add_directive(directive),
        Err(_) => filter,
    }
}

/// The filter in force, and what is wrong with the one that was asked for.
fn choose(argument: Option<&str>, variable: Option<&str>) -> (EnvFilter, Option<String>) {
    let info = || quiet(EnvFilter::default().add_directive(LevelFilter::INFO.into()));
    let asked = argument
        .or(variable)
        .map(str::trim)
        .filter(|text| !text.is_empty());
    match asked.map(|text| (text, EnvFilter::try_new(text))) {
        None => (info(), None),
        Some((text, Ok(filter))) if text.contains(CLIENT) => (filter, None),
        Some((_, Ok(filter))) => (quiet(filter), None),
        Some((text, Err(error))) => {
            let refused = format!(
                "log filter `{text}` is not understood: {}; logging at info",
                chain(&error)
            );
            (info(), Some(refused))
        }
    }
}

/// `error` and its causes, outermost first: `cannot read demo.yaml: permission denied`.
///
/// Errors of ours do not repeat their cause; those of some libraries do, and what a text ends with already is not
/// said again.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let inner = error.to_string();
        if !text.ends_with(&inner) {
            text.push_str(": ");
            text.push_str(&inner);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use thiserror::Error;

    use super::*;

    #[derive(Debug, Error)]
    #[error("{text}")]
    struct Link {
        text: &'static str,
        #[source]
        cause: Option<Box<Link>>,
    }

    /// Texts from the outermost to the root.
    fn check(texts: &[&'static str], expected: &str) {
        let link = |cause: Option<Box<Link>>, text| Some(Box::new(Link { text, cause }));
        let error = texts.iter().rev().copied().fold(None, link);
        assert_eq!(chain(&*error.expect("at least one text")), expected);
    }

    #[test]
    fn a_chain_names_every_cause_once() {
        check(&["not found"], "not found");
        check(
            &["cannot read `a`", "not found"],
            "cannot read `a`: not found",
        );
        check(&["start", "bind", "in use"], "start: bind: in use");
        check(&["start: bind", "bind", "in use"], "start: bind: in use");
    }

    #[test]
    fn the_argument_wins_over_the_variable_and_info_is_the_default() {
        let chosen = |argument, variable| choose(argument, variable).0.to_string();
        assert_eq!(chosen(None, None), "kube_client=off,info");
        assert_eq!(chosen(None, Some("")), "kube_client=off,info");
        assert_eq!(chosen(None, Some("warn")), "kube_client=off,warn");
        assert_eq!(
            chosen(Some("shiftdns=debug"), Some("warn")),
            "kube_client=off,shiftdns=debug"
        );
        let asked = "kube_client=debug,info";
        assert_eq!(chosen(Some(asked), None), asked);
    }

    #[test]
    fn a_filter_that_is_not_understood_is_named_and_counts_as_info() {
        let (filter, refused) = choose(Some("shiftdns=loud"), None);
        assert_eq!(filter.to_string(), "kube_client=off,info");
        let refused = refused.expect("`loud` is not a level");
        assert!(
            refused.starts_with("log filter `shiftdns=loud` is not understood: "),
            "{refused}"
        );
        assert!(refused.ends_with("; logging at info"), "{refused}");
    }

    #[test]
    fn a_second_start_changes_nothing() {
        init(Some("off"));
        init(Some("loud=loud"));
    }
}
