//! `promote`, `abort`, `pause`, `resume` and `retry`: what a person asks of a roll-out.
//!
//! The server is asked first where that is to be written. A server that reads manifests keeps it itself; in a cluster it goes onto
//! the Service or into its ServiceRollout, by the rights of the person whose kubeconfig this is, and by nobody else's.

use std::io::Write;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::json;

use super::super::client::{self, Client};
use super::super::reach::Server;
use super::super::service_key;
use super::told::{Done, Planned};
use super::{pages, path};
use crate::kubernetes::asking::{self, Entry, Request};
use crate::model::ServiceKey;

/// The arguments of actions.
#[derive(Debug, Args)]
pub(in crate::cli) struct OfRollout {
    /// Namespace and name: shop/web.
    #[arg(value_name = "NS/SERVICE", value_parser = service_key)]
    service: ServiceKey,
    /// The workload that is meant, where several roll out: web, or Deployment/web.
    #[arg(long, value_name = "NAME")]
    workload: Option<String>,
    #[command(flatten)]
    server: Server,
}

/// The arguments of `promote`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Promote {
    /// The whole share at once, also for a revision that failed.
    #[arg(long)]
    full: bool,
    #[command(flatten)]
    of: OfRollout,
}

/// `promote`.
pub(in crate::cli) fn promote(asked: &Promote, out: &mut impl Write) -> anyhow::Result<()> {
    send(&asked.of, "promote", asked.full, out)
}

/// `abort`, `pause`, `resume` and `retry`.
pub(in crate::cli) fn act(
    asked: &OfRollout,
    action: &str,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    send(asked, action, false, out)
}

fn send(asked: &OfRollout, action: &str, full: bool, out: &mut impl Write) -> anyhow::Result<()> {
    let client = Client::new(&asked.server)?;
    let path = path(&asked.service, &format!("/{action}"));
    let mut parameters = Vec::new();
    if full {
        parameters.push(("full", "true".to_owned()));
    }
    parameters.extend(asked.workload.clone().map(|name| ("workload", name)));
    let planned: Planned = client::told(&client.get(&path, &parameters)?)?;
    let Some(place) = &planned.place else {
        let body = json!({"full": full, "workload": asked.workload});
        let done: Done = client::told(&client.post(&path, &body)?)?;
        writeln!(out, "{}", pages::done(&asked.service, &done, ""))?;
        return Ok(());
    };
    let Some(cluster) = client.cluster() else {
        let command = planned.command.unwrap_or_default();
        bail!(
            "this server follows a cluster and writes nobody's objects; name the cluster with --kubeconfig or --context, or run: {command}"
        );
    };
    let in_resource = match place.as_str() {
        "Service" => false,
        "ServiceRollout" => true,
        other => {
            bail!("the server wants it written on a `{other}`, which this program does not know")
        }
    };
    let request = Request {
        namespace: asked.service.namespace.to_string(),
        name: asked.service.name.to_string(),
        uid: planned.uid,
        in_resource,
        revision: planned.done.target.clone(),
        entries: planned
            .edits
            .into_iter()
            .map(|edit| Entry {
                word: edit.intent,
                to: edit.to,
                stands: edit.stands,
            })
            .collect(),
    };
    let written = asking::ask(cluster, &request)
        .with_context(|| format!("cannot ask it of revision `{}`", request.revision))?;
    let place = match (written, in_resource) {
        (true, true) => " (written into its ServiceRollout)",
        (true, false) => " (written on the Service)",
        (false, _) => " (it had been written before)",
    };
    writeln!(out, "{}", pages::done(&asked.service, &planned.done, place))?;
    Ok(())
}
