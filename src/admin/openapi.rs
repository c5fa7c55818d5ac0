//! `/openapi.json`: what can be asked, as OpenAPI 3.1, for programs that make clients of it and people who read.
//!
//! It is made of the table of routes and of the types that are written, so it cannot tell of a route or of a key that is not
//! there. Schemas are JSON Schema 2020-12, which is what OpenAPI 3.1 says they are.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Bytes;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use super::shapes;

/// Statuses of errors that any request may get: a parameter that nobody reads, no token, a name for the server or an origin
/// that is not ours (or actions that are off), another method, a query that is too long, a fault of ours, an engine that has
/// stopped or objects that are not all read.
pub(super) const COMMON: [u16; 7] = [400, 401, 403, 405, 414, 500, 503];

/// `/v1/catalog/services`
pub(super) type Tags = BTreeMap<String, BTreeSet<String>>;
/// Any object.
pub(super) type Any = Map<String, Value>;

/// What is told of a route.
#[derive(Clone, Copy)]
pub(super) struct Operation {
    pub(super) path: &'static str,
    pub(super) method: &'static str,
    pub(super) summary: &'static str,
    /// What of the query string is read; [`parameter`] knows each of them.
    pub(super) params: &'static [&'static str],
    pub(super) request: Option<fn() -> Schema>,
    pub(super) content: &'static str,
    pub(super) answer: fn(&mut SchemaGenerator) -> Schema,
    /// Statuses of errors, beside [`COMMON`].
    pub(super) statuses: &'static [u16],
}

impl Operation {
    /// One that is read, and answers with `T` as JSON.
    pub(super) fn json<T: JsonSchema>(summary: &'static str) -> Self {
        Self {
            path: "",
            method: "get",
            summary,
            params: &[],
            request: None,
            content: "application/json",
            answer: SchemaGenerator::subschema_for::<T>,
            statuses: &[],
        }
    }

    pub(super) fn reads(self, params: &'static [&'static str]) -> Self {
        Self { params, ..self }
    }

    pub(super) fn may(self, statuses: &'static [u16]) -> Self {
        Self { statuses, ..self }
    }

    fn document(&self, generator: &mut SchemaGenerator) -> Value {
        let in_path = self.path.split('{').skip(1);
        let in_path = in_path.filter_map(|rest| Some(rest.split_once('}')?.0));
        let in_path = in_path.map(|name| {
            let (schema, text) = path_parameter(name);
            json!({"name": name, "in": "path", "required": true, "schema": schema, "description": text})
        });
        let in_query = self.params.iter().map(|name| {
            let (schema, text) = parameter(name);
            json!({"name": name, "in": "query", "required": false, "schema": schema, "description": text})
        });
        let parameters: Vec<Value> = in_path.chain(in_query).collect();
        let mut responses = Map::new();
        let schema = (self.answer)(generator);
        let headers = match self.statuses.contains(&429) {
            true => json!({"X-Consul-Index": {
                "description": "to be sent back as `index`: the answer then comes once there is another",
                "schema": {"type": "integer"},
            }}),
            false => json!({}),
        };
        let answer = json!({
            "description": "the answer",
            "headers": headers,
            "content": {self.content: {"schema": schema}},
        });
        responses.insert("200".to_owned(), answer);
        for status in COMMON.iter().chain(self.statuses) {
            let error = json!({"$ref": "#/components/responses/Error"});
            responses.insert(status.to_string(), error);
        }
        let mut operation = Map::new();
        let mut put = |key: &str, value: Value| operation.insert(key.to_owned(), value);
        put("summary", self.summary.into());
        put("parameters", parameters.into());
        put("responses", responses.into());
        if let Some(request) = self.request {
            let content = json!({"application/json": {"schema": request()}});
            let body = json!({"required": false, "content": content});
            put("requestBody", body);
        }
        operation.into()
    }
}

/// A parameter in a path: its schema, and what it is.
fn path_parameter(name: &str) -> (Value, &'static str) {
    match name {
        "action" => (
            json!({"type": "string", "enum": ["promote", "abort", "pause", "resume", "retry"]}),
            "what is asked",
        ),
        "service" => (
            json!({"type": "string", "pattern": "^[^.]+\\.[^.]+$"}),
            "`name.namespace`",
        ),
        "namespace" => (json!({"type": "string"}), "the Service's namespace"),
        _ => (json!({"type": "string"}), "the Service's name"),
    }
}

/// A parameter in a query: its schema, and what it is.
fn parameter(name: &str) -> (Value, &'static str) {
    let text = || json!({"type": "string"});
    let texts = || json!({"type": "array", "items": {"type": "string"}});
    let flag = || json!({"type": "boolean"});
    match name {
        "name" => (text(), "the name to ask for; it must be given"),
        "type" => (
            text(),
            "a record type, by mnemonic or number; A where it is left out",
        ),
        "client" => (text(), "the address of the client as which it is asked"),
        "edns_client_subnet" => (text(), "an address or a prefix: a client from there asks"),
        "cd" => (flag(), "the CD bit of the query"),
        "do" => (flag(), "the DO bit of the query"),
        "namespace" => (texts(), "services of these namespaces alone"),
        "service" => (texts(), "services of these names alone"),
        "version" => (
            texts(),
            "endpoints of these versions alone, by alias or hash",
        ),
        "port" => (texts(), "ports of these names alone"),
        "tag" => (
            texts(),
            "instances that have all of these tags: versions and roles",
        ),
        "passing" => (flag(), "instances alone that are answered in DNS"),
        "dc" => (text(), "the one datacenter, or nothing"),
        "index" => (
            json!({"type": "integer", "minimum": 0}),
            "the index that was seen: the answer comes once there is a later one",
        ),
        "wait" => (
            json!({"type": "string", "pattern": "^([0-9]+(ms|s|m|h))+$"}),
            "for how long to wait: 5m where it is left out, 10m at the most",
        ),
        _ => (text(), "read and not heard: it makes no difference here"),
    }
}

/// The document.
pub(super) fn document<'o>(operations: impl Iterator<Item = &'o Operation>) -> Bytes {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.for_serialize().into_generator();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for operation in operations {
        let document = operation.document(&mut generator);
        let of_path = paths.entry(operation.path).or_default();
        of_path.insert(operation.method.to_owned(), document);
    }
    let error = generator.subschema_for::<shapes::Error>();
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "ShiftDNS",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What is read with GET can be asked for with HEAD. A path or a method that is not here is answered \
                with 404 or 405, and an error like any other.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{}, {"bearer": []}, {"consul": []}],
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "responses": {"Error": {
                "description": "why there is no answer",
                "content": {"application/json": {"schema": error}},
            }},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "consul": {"type": "apiKey", "in": "header", "name": "X-Consul-Token"},
            },
        },
    });
    serde_json::to_vec(&document).unwrap_or_default().into()
}
