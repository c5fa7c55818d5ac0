//! What stands in a request's query string, read strictly: a word that nobody reads is an error, not a wish unheard.

use axum::extract::Query;
use axum::http::Uri;

/// The longest query string that is read: a name of 255 octets, each of them escaped, and as much again for everything else.
pub(super) const QUERY_LEN_MAX: usize = 4096;

/// The parameters of a request, decoded, in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Given(Vec<(String, String)>);

/// Why they are not read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadParam {
    #[error("the query is longer than {QUERY_LEN_MAX} octets")]
    TooLong,
    #[error("the query cannot be read")]
    Unreadable,
    #[error("there is no parameter `{name}` here; {known}")]
    Unknown { name: String, known: String },
    #[error("`{0}` stands twice")]
    Twice(&'static str),
    #[error("`{name}` is {wanted}, not `{value}`")]
    Value {
        name: &'static str,
        wanted: &'static str,
        value: String,
    },
}

impl Given {
    /// Reads those of `known`.
    pub(super) fn read(uri: &Uri, known: &[&str]) -> Result<Self, BadParam> {
        let length = uri.query().map_or(0, str::len);
        if length > QUERY_LEN_MAX {
            return Err(BadParam::TooLong);
        }
        let Query(given) =
            Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(|_| BadParam::Unreadable)?;
        match given.iter().find(|(name, _)| !known.contains(&&**name)) {
            None => Ok(Self(given)),
            Some((name, _)) => Err(BadParam::Unknown {
                name: name.clone(),
                known: match known {
                    [] => "none is read".to_owned(),
                    known => format!("known are `{}`", known.join("`, `")),
                },
            }),
        }
    }

    /// All values of a parameter that may stand more than once; those that are empty say nothing.
    pub(super) fn all(&self, name: &str) -> Vec<String> {
        let given = self.0.iter().filter(|(given, _)| given == name);
        let values = given.map(|(_, value)| value.clone());
        values.filter(|value| !value.is_empty()).collect()
    }

    /// A parameter that stands once; `None` also where it is empty.
    pub(super) fn one(&self, name: &'static str) -> Result<Option<&str>, BadParam> {
        let mut given = self.0.iter().filter(|(given, _)| given == name);
        let first = given.next();
        match given.next() {
            None => Ok(first
                .map(|(_, value)| &**value)
                .filter(|value| !value.is_empty())),
            Some(_) => Err(BadParam::Twice(name)),
        }
    }

    /// Whether a parameter stands, in the manner of `?passing`: with nothing, or a word for yes or no, behind it.
    pub(super) fn flag(&self, name: &'static str) -> Result<bool, BadParam> {
        let stands = self.0.iter().any(|(given, _)| given == name);
        match self.one(name)? {
            None => Ok(stands),
            Some("1" | "true" | "TRUE" | "True" | "t" | "T") => Ok(true),
            Some("0" | "false" | "FALSE" | "False" | "f" | "F") => Ok(false),
            Some(value) => Err(BadParam::Value {
                name,
                wanted: "`true` or `false`",
                value: value.to_owned(),
            }),
        }
    }

    /// A whole number.
    pub(super) fn number(&self, name: &'static str) -> Result<Option<u64>, BadParam> {
        let parse = |text: &str| {
            text.parse().map_err(|_| BadParam::Value {
                name,
                wanted: "a whole number",
                value: text.to_owned(),
            })
        };
        self.one(name)?.map(parse).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Given, BadParam> {
        let uri = format!("/x?{query}").parse().unwrap();
        Given::read(&uri, &["tag", "passing", "index"])
    }

    #[test]
    fn words_are_read_once_or_often_as_they_are_meant() {
        let given = read("tag=a&tag=b%20c&tag=&passing&index=7").unwrap();
        assert_eq!(given.all("tag"), ["a", "b c"]);
        assert_eq!(given.one("tag"), Err(BadParam::Twice("tag")));
        assert_eq!(given.flag("passing"), Ok(true));
        assert_eq!(given.number("index"), Ok(Some(7)));
        let given = read("passing=false&index=").unwrap();
        assert_eq!(given.flag("passing"), Ok(false));
        assert_eq!(given.number("index"), Ok(None));
        assert_eq!(read("").unwrap().flag("passing"), Ok(false));
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let told = |error: BadParam| error.to_string();
        assert_eq!(
            told(read("tga=a").unwrap_err()),
            "there is no parameter `tga` here; known are `tag`, `passing`, `index`"
        );
        assert_eq!(
            told(read("index=-1").unwrap().number("index").unwrap_err()),
            "`index` is a whole number, not `-1`"
        );
        assert_eq!(
            told(read("passing=maybe").unwrap().flag("passing").unwrap_err()),
            "`passing` is `true` or `false`, not `maybe`"
        );
        let longest = format!("tag={}", "x".repeat(QUERY_LEN_MAX - 4));
        assert!(read(&longest).is_ok());
        assert_eq!(read(&format!("{longest}x")).unwrap_err(), BadParam::TooLong);
        let none = Given::read(&"/x?a".parse().unwrap(), &[]).unwrap_err();
        assert_eq!(told(none), "there is no parameter `a` here; none is read");
    }
}
