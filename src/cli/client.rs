//! The commands that ask a running server over its API.

use std::net::IpAddr;

use anyhow::{Context as _, bail};
use serde::Deserialize;

use super::Server;
use crate::model::ServiceKey;

#[derive(Deserialize)]
struct Resolved {
    text: String,
}

#[derive(Deserialize)]
struct Explained {
    explain: String,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

pub(super) fn query(
    server: &Server,
    name: &str,
    rtype: &str,
    client: Option<IpAddr>,
) -> anyhow::Result<String> {
    let mut parameters = vec![("name", name.to_owned()), ("type", rtype.to_owned())];
    parameters.extend(client.map(|address| ("client", address.to_string())));
    let resolved: Resolved = get(server, "/api/v1/resolve", &parameters)?;
    Ok(resolved.text)
}

pub(super) fn explain(server: &Server, service: &ServiceKey) -> anyhow::Result<String> {
    let ServiceKey { namespace, name } = service;
    let path = format!("/api/v1/services/{namespace}/{name}");
    let explained: Explained = get(server, &path, &[])?;
    Ok(explained.explain)
}

/// What stands at a path of the API.
pub(super) fn get<T: for<'de> Deserialize<'de>>(
    server: &Server,
    path: &str,
    parameters: &[(&str, String)],
) -> anyhow::Result<T> {
    let asked = Asked::new(server, path)?;
    let mut request = asked.agent.get(&asked.url);
    for (key, value) in parameters {
        request = request.query(key, value);
    }
    if let Some(bearer) = &asked.bearer {
        request = request.header("authorization", bearer);
    }
    asked.read(request.call())
}

/// Asks the server to do something.
pub(super) fn post<T: for<'de> Deserialize<'de>>(
    server: &Server,
    path: &str,
    body: &serde_json::Value,
) -> anyhow::Result<T> {
    let asked = Asked::new(server, path)?;
    let mut request = asked.agent.post(&asked.url);
    request = request.header("content-type", "application/json");
    if let Some(bearer) = &asked.bearer {
        request = request.header("authorization", bearer);
    }
    asked.read(request.send(body.to_string()))
}

/// One question to a server.
struct Asked {
    agent: ureq::Agent,
    url: String,
    bearer: Option<String>,
}

impl Asked {
    fn new(server: &Server, path: &str) -> anyhow::Result<Self> {
        let bearer = match &server.token_file {
            Some(path) => {
                let read = std::fs::read_to_string(path);
                let token = read.with_context(|| format!("cannot read `{}`", path.display()))?;
                Some(format!("Bearer {}", token.trim()))
            }
            None => None,
        };
        Ok(Self {
            agent: ureq::Agent::config_builder()
                .http_status_as_error(false)
                .timeout_global(Some(std::time::Duration::from_secs(10)))
                .build()
                .new_agent(),
            url: format!("{}{path}", server.url.trim_end_matches('/')),
            bearer,
        })
    }

    fn read<T: for<'de> Deserialize<'de>>(
        &self,
        response: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> anyhow::Result<T> {
        let url = &self.url;
        let unreachable = || {
            format!(
                "no answer from `{url}`; is the server running, and is that its API address (--server)"
            )
        };
        let mut response = response.with_context(unreachable)?;
        let status = response.status();
        let body = response
            .body_mut()
            .read_to_string()
            .with_context(unreachable)?;
        if !status.is_success() {
            let refusal = serde_json::from_str::<Refusal>(&body).map(|refusal| refusal.error);
            bail!(
                "{}",
                refusal.unwrap_or_else(|_| format!("`{url}` answered {status}"))
            );
        }
        serde_json::from_str(&body).with_context(|| format!("`{url}` is not the API of a ShiftDNS"))
    }
}
