//! The client of a running server's API.

use anyhow::{Context as _, bail};
use serde::Deserialize;
use serde_json::Value;

use super::reach::{Reached, Server};
use crate::kubernetes::Access;

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

/// A way to a server, and what it wants to see.
pub(super) struct Client {
    agent: ureq::Agent,
    reached: Reached,
    bearer: Option<String>,
}

impl Client {
    /// Finds the server that the flags mean.
    ///
    /// # Errors
    /// Where there is no way to it, or the token cannot be read. Whether it answers is not looked at.
    pub(super) fn new(server: &Server) -> anyhow::Result<Self> {
        let bearer = match &server.token_file {
            Some(path) => {
                let read = std::fs::read_to_string(path);
                let token = read.with_context(|| format!("cannot read `{}`", path.display()))?;
                Some(format!("Bearer {}", token.trim()))
            }
            None => None,
        };
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(std::time::Duration::from_secs(10)))
            .build()
            .new_agent();
        Ok(Self {
            agent,
            reached: server.reach()?,
            bearer,
        })
    }

    /// The cluster into which this person may write.
    pub(super) fn cluster(&self) -> Option<&Access> {
        self.reached.cluster.as_ref()
    }

    /// What stands at a path of the API.
    pub(super) fn get(&self, path: &str, parameters: &[(&str, String)]) -> anyhow::Result<Value> {
        let url = self.url(path);
        let mut request = self.agent.get(&url);
        for (key, value) in parameters {
            request = request.query(key, value);
        }
        if let Some(bearer) = &self.bearer {
            request = request.header("authorization", bearer);
        }
        self.read(&url, request.call())
    }

    /// Asks the server to do something.
    pub(super) fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let url = self.url(path);
        let mut request = self.agent.post(&url);
        request = request.header("content-type", "application/json");
        if let Some(bearer) = &self.bearer {
            request = request.header("authorization", bearer);
        }
        self.read(&url, request.send(body.to_string()))
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.reached.url)
    }

    fn read(
        &self,
        url: &str,
        response: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> anyhow::Result<Value> {
        let (status, body) = match response.and_then(whole) {
            Ok(told) => told,
            Err(error) => {
                // The way there knows better than the end of it.
                return match self.reached.trouble() {
                    Some(trouble) => Err(trouble.into()),
                    None => Err(error).with_context(|| {
                        format!("no answer from `{url}`; is the server running, and is that its API address (--server)")
                    }),
                };
            }
        };
        if !(200..300).contains(&status) {
            let refusal = serde_json::from_str::<Refusal>(&body).map(|refusal| refusal.error);
            bail!(
                "{}",
                refusal.unwrap_or_else(|_| format!("`{url}` answered {status}"))
            );
        }
        serde_json::from_str(&body).with_context(|| not_ours(url))
    }
}

fn whole(mut response: ureq::http::Response<ureq::Body>) -> Result<(u16, String), ureq::Error> {
    let status = response.status().as_u16();
    Ok((
        status,
        response
            .body_mut()
            .with_config()
            .limit(BODY_MAX)
            .read_to_string()?,
    ))
}

/// A list of a hundred thousand services.
const BODY_MAX: u64 = 128 * 1024 * 1024;

fn not_ours(url: &str) -> String {
    format!("`{url}` is not the API of a ShiftDNS")
}

/// What the API said, as what is shown of it.
pub(super) fn told<T: for<'de> Deserialize<'de>>(value: &Value) -> anyhow::Result<T> {
    T::deserialize(value).context("what answered is not the API of a ShiftDNS")
}
