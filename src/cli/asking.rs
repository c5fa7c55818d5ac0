//! `query` and `explain`: a running server is asked, and what it says is printed.

use std::net::IpAddr;

use anyhow::Context as _;
use clap::Args;
use serde::Deserialize;

use super::client::{self, Client};
use super::form::Output;
use super::reach::Server;
use super::service_key;
use crate::model::ServiceKey;

/// The arguments of `query`.
#[derive(Debug, Args)]
pub(super) struct Query {
    /// The name, such as web.shop.svc.cluster.local.
    name: String,
    /// The type, such as A, AAAA, SRV, TXT.
    #[arg(default_value = "A")]
    rtype: String,
    /// The address of the client to answer for.
    #[arg(long, value_name = "ADDR")]
    client: Option<IpAddr>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

/// The arguments of `explain`.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// Namespace and name: shop/web.
    #[arg(value_name = "NS/SERVICE", value_parser = service_key)]
    service: ServiceKey,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

#[derive(Deserialize)]
struct Resolved {
    text: String,
}

#[derive(Deserialize)]
struct Explained {
    explain: String,
}

/// `query`: what a name is answered with.
pub(super) fn query(asked: &Query) -> anyhow::Result<String> {
    let client = Client::new(&asked.server)?;
    let mut parameters = vec![("name", asked.name.clone()), ("type", asked.rtype.clone())];
    let address = asked.client.map(|address| ("client", address.to_string()));
    parameters.extend(address);
    let value = client.get("/api/v1/resolve", &parameters)?;
    Ok(match asked.output.form.document(&value)? {
        Some(document) => document,
        None => client::told::<Resolved>(&value)?.text,
    })
}

/// `explain`: why shares are what they are. For programs it is all that is known of the service, with that text in it.
pub(super) fn explain(asked: &Explain) -> anyhow::Result<String> {
    let client = Client::new(&asked.server)?;
    let ServiceKey { namespace, name } = &asked.service;
    let path = format!("/api/v1/services/{namespace}/{name}");
    let value = client.get(&path, &[]).context("cannot explain")?;
    Ok(match asked.output.form.document(&value)? {
        Some(document) => document,
        None => client::told::<Explained>(&value)?.explain,
    })
}
