//! Every answer that a test sees is one that `/openapi.json` tells of: its path, its status, its type and its keys.
//!
//! The schemas are read by a validator of a hundred lines, which knows the words that ours are written in and fails on any
//! other. (The crate `jsonschema` would bring 25 more, one under a licence that nothing else needs.)

use std::net::IpAddr;
use std::sync::LazyLock;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::site::Got;
use crate::admin::{openapi, routes};

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let table = routes::table();
    let document = openapi::document(table.iter().map(|route| &route.operation));
    serde_json::from_slice(&document).unwrap()
});

pub(super) fn document() -> &'static Value {
    &DOCUMENT
}

/// The path of the document that stands for a request's; of several, the one with the fewest words in braces.
fn template(method: &str, path: &str) -> Option<&'static str> {
    let path = path.split('?').next().unwrap();
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let stands_for = |template: &&String| {
        let (words, segments) = (template.split('/'), path.split('/'));
        words.clone().count() == segments.clone().count()
            && words
                .zip(segments)
                .all(|(w, s)| w.starts_with('{') || w == s)
    };
    let mut found: Vec<&String> = paths.keys().filter(stands_for).collect();
    found.sort_by_key(|template| {
        (
            DOCUMENT["paths"][template.as_str()][method].is_null(),
            template.matches('{').count(),
        )
    });
    found.first().map(|found| found.as_str())
}

/// Fails where an answer is not one of the document's. Paths that are not in it are another listener's, or are not found.
pub(super) fn check(method: &str, path: &str, got: &Got) {
    let is_head = method == "HEAD";
    let method = match method {
        "HEAD" => "get".to_owned(),
        other => other.to_ascii_lowercase(),
    };
    let Some(template) = template(&method, path) else {
        assert!(
            !path.starts_with("/api/") || [401, 403, 404].contains(&got.status),
            "{path} is not in the document"
        );
        return;
    };
    let operations = &DOCUMENT["paths"][template];
    let operation = &operations[&method];
    if operation.is_null() {
        assert!(
            [401, 403, 405].contains(&got.status),
            "{method} {path}: {}",
            got.status
        );
        return;
    }
    let mut response = &operation["responses"][got.status.to_string()];
    assert!(!response.is_null(), "{method} {path}: {}", got.status);
    if let Some(reference) = response["$ref"].as_str() {
        response = referred(reference);
    }
    let told = got.header("content-type").unwrap();
    let schema = &response["content"][told]["schema"];
    assert!(!schema.is_null(), "{method} {path}: {told}");
    if !is_head {
        let body = serde_json::from_str(&got.body).unwrap();
        if let Err(error) = validate(schema, &body) {
            panic!("{method} {path}: {error}\n{body:#}");
        }
    }
}

fn referred(reference: &str) -> &'static Value {
    let pointer = reference.strip_prefix('#').unwrap();
    DOCUMENT
        .pointer(pointer)
        .expect("a reference leads somewhere")
}

fn validate(schema: &Value, value: &Value) -> Result<(), String> {
    let words = match schema {
        Value::Bool(true) => return Ok(()),
        Value::Object(words) => words,
        other => return Err(format!("{other} is no schema")),
    };
    let no = |word: &str| Err(format!("{value} is not {word} {}", schema[word]));
    for (word, wanted) in words {
        match word.as_str() {
            "description" | "title" | "default" | "properties" => {}
            "$ref" => validate(referred(wanted.as_str().unwrap()), value)?,
            "type" => {
                let of = |kind: &Value| is_of(value, kind.as_str().unwrap());
                let fits = match wanted {
                    Value::Array(kinds) => kinds.iter().any(of),
                    kind => of(kind),
                };
                if !fits {
                    return no("type");
                }
            }
            "format" if value.is_null() => {}
            "format" => {
                let text = value.as_str().unwrap_or_default();
                let fits = match wanted.as_str().unwrap() {
                    "date-time" => text.parse::<Timestamp>().is_ok() && text.ends_with('Z'),
                    "ip" => text.parse::<IpAddr>().is_ok(),
                    "uint" | "uint8" | "uint16" | "uint32" | "uint64" => value.is_u64(),
                    "int64" => value.is_i64(),
                    "double" => value.is_number(),
                    other => return Err(format!("what is the format {other}?")),
                };
                if !fits {
                    return no("format");
                }
            }
            "minimum" | "maximum" => {
                let (number, limit) = (value.as_f64(), wanted.as_f64().unwrap());
                let fits = |number: f64| match word.as_str() {
                    "minimum" => number >= limit,
                    _ => number <= limit,
                };
                if !number.is_none_or(fits) {
                    return no(word);
                }
            }
            "enum" if wanted.as_array().unwrap().contains(value) => {}
            "anyOf" => {
                let mut ways = wanted.as_array().unwrap().iter();
                if !ways.any(|way| validate(way, value).is_ok()) {
                    return no("anyOf");
                }
            }
            "required" => {
                let mut keys = wanted.as_array().unwrap().iter();
                if let Some(key) = keys.find(|key| value.get(key.as_str().unwrap()).is_none()) {
                    return Err(format!("{key} is missing"));
                }
            }
            "items" => {
                for item in value.as_array().into_iter().flatten() {
                    validate(wanted, item)?;
                }
            }
            "uniqueItems" => {
                let items = value.as_array().unwrap();
                let mut others = items.iter().enumerate();
                if others.any(|(at, item)| items[..at].contains(item)) {
                    return no("uniqueItems");
                }
            }
            "additionalProperties" => {}
            other => return Err(format!("what does {other} mean?")),
        }
    }
    // What no property stands for is of `additionalProperties`; where a type says nothing of it, there is nothing else.
    let others = match (
        words.contains_key("properties"),
        words.get("additionalProperties"),
    ) {
        (_, Some(others)) => others.clone(),
        (true, None) => json!(false),
        (false, None) => json!(true),
    };
    for (key, item) in value.as_object().into_iter().flatten() {
        match (&schema["properties"][key], &others) {
            (Value::Null, Value::Bool(false)) => return Err(format!("{key} is not told of")),
            (Value::Null, others) => validate(others, item)?,
            (known, _) => validate(known, item).map_err(|error| format!("{key}: {error}"))?,
        }
    }
    Ok(())
}

fn is_of(value: &Value, kind: &str) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("what is a {other}?"),
    }
}

#[test]
fn an_answer_that_the_document_does_not_tell_of_fails() {
    let share = json!({"$ref": "#/components/schemas/Share"});
    let check = |value: Value| validate(&share, &value);
    assert_eq!(check(json!({"basisPoints": 5, "text": "0.05%"})), Ok(()));
    for (value, error) in [
        (json!({"basisPoints": 5}), r#""text" is missing"#),
        (
            json!({"basisPoints": "5", "text": ""}),
            r#"basisPoints: "5" is not"#,
        ),
        (
            json!({"basisPoints": 70_000, "text": ""}),
            "basisPoints: 70000 is not maximum",
        ),
        (
            json!({"basisPoints": 5, "text": "", "x": 1}),
            "x is not told of",
        ),
    ] {
        let told = check(value).unwrap_err();
        assert!(told.starts_with(error), "{told}");
    }
}

#[test]
fn the_document_refers_to_what_is_there_and_says_what_everything_is() {
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(words) => {
                for (word, value) in words {
                    match (word.as_str(), value) {
                        ("$ref", Value::String(to)) => found.push(to.clone()),
                        _ => references(value, found),
                    }
                }
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    references(document(), &mut found);
    assert!(found.len() > 50);
    for reference in found {
        referred(&reference);
    }
    for (path, operations) in document()["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            assert!(operation["summary"].is_string(), "{method} {path}");
            for parameter in operation["parameters"].as_array().unwrap() {
                assert!(parameter["schema"].is_object(), "{path}: {parameter}");
                let text = parameter["description"].as_str().unwrap();
                assert!(!text.is_empty(), "{path}: {parameter}");
            }
        }
    }
}
