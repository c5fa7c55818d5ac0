//! Forms of output: a table for people, JSON and YAML for programs.

use std::io::{self, IsTerminal as _};

use clap::{Args, ValueEnum};
use serde_json::Value;

/// How something is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// What the API says, as JSON.
    Json,
    /// What the API says, as YAML.
    Yaml,
    /// For people.
    Table,
}

/// The flag that says how.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Output {
    /// How it is printed; json and yaml are all that the API says.
    #[arg(short = 'o', long = "output", value_name = "FORM", value_enum, default_value_t = Form::Table)]
    pub(super) form: Form,
}

impl Form {
    /// One document; `None`: it is for people.
    ///
    /// # Errors
    /// None that is known: the value was read from JSON.
    pub(super) fn document(self, value: &Value) -> anyhow::Result<Option<String>> {
        Ok(match self {
            Self::Json => Some(serde_json::to_string_pretty(value)? + "\n"),
            Self::Yaml => Some(serde_saphyr::to_string(value)?),
            Self::Table => None,
        })
    }

    /// What stands between two documents of this form.
    pub(super) fn gap(self) -> &'static str {
        match self {
            Self::Json => "",
            Self::Yaml => "---\n",
            Self::Table => "\n",
        }
    }
}

/// Whether colours are shown. They go to terminals alone, not to those that can do nothing (`TERM=dumb`), and never where
/// `NO_COLOR` is set to anything but nothing (no-color.org).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Paint(pub(super) bool);

/// What a word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// All is well.
    Good,
    /// Something is under way.
    Moving,
    /// Somebody is waited for.
    Waiting,
    /// Something is wrong.
    Bad,
}

impl Paint {
    /// Of standard output.
    pub(super) fn of_stdout() -> Self {
        let variable = |name| std::env::var_os(name);
        let is_set = |name| variable(name).is_some_and(|value| !value.is_empty());
        let is_dumb = variable("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        Self::of(io::stdout().is_terminal(), is_set("NO_COLOR"), is_dumb)
    }

    fn of(is_terminal: bool, no_color: bool, is_dumb: bool) -> Self {
        Self(is_terminal && !no_color && !is_dumb)
    }

    /// The text in the colour of its tone.
    pub(super) fn tone(self, tone: Option<Tone>, text: &str) -> String {
        let colour = match tone {
            Some(Tone::Good) => "32",
            Some(Tone::Moving) => "36",
            Some(Tone::Waiting) => "33",
            Some(Tone::Bad) => "31",
            None => return text.to_owned(),
        };
        match self.0 {
            true => format!("\x1b[{colour}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }
}

/// What the word of a state says; `None`: a state that is not known here.
pub(super) fn tone_of(state: &str) -> Option<Tone> {
    match state {
        "Healthy" => Some(Tone::Good),
        "Pending" | "Progressing" | "Draining" => Some(Tone::Moving),
        "Paused" | "RollingBack" => Some(Tone::Waiting),
        "Aborted" | "Degraded" | "Unavailable" => Some(Tone::Bad),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn colours_are_for_terminals_that_want_them() {
        assert_eq!(Paint::of(true, false, false), Paint(true));
        for other in [
            (false, false, false),
            (true, true, false),
            (true, false, true),
        ] {
            assert_eq!(Paint::of(other.0, other.1, other.2), Paint(false));
        }
        assert_eq!(
            Paint(true).tone(Some(Tone::Bad), "Aborted"),
            "\x1b[31mAborted\x1b[0m"
        );
        assert_eq!(Paint(false).tone(Some(Tone::Bad), "Aborted"), "Aborted");
        assert_eq!(Paint(true).tone(None, "Odd"), "Odd");
    }

    #[test]
    fn documents_say_what_was_said() {
        let value = json!({"name": "web", "ttl": 5, "held": null, "text": "a: b"});
        let json = Form::Json.document(&value).unwrap().unwrap();
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), value);
        let yaml = Form::Yaml.document(&value).unwrap().unwrap();
        assert_eq!(serde_saphyr::from_str::<Value>(&yaml).unwrap(), value);
        assert_eq!(Form::Table.document(&value).unwrap(), None);
    }
}
