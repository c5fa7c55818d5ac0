//! `demo`: a small shop whose front rolls forward and back, answered on the usual ports.
//!
//! The manifests are those of `zones/demo`, built in; [`script`] says what the cluster's objects are at each
//! second of a loop of two minutes. The server is the real one: only the source of its objects is a play.

mod script;

use std::io::{self, Write};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::time::{MissedTickBehavior, interval};

use crate::app::{self, Running, Source};
use crate::config::{self, Config, Flags};
use crate::engine::Summary;
use crate::engine::control::Event;
use crate::files;
use crate::model::ServiceKey;
use crate::objects::Object;
use crate::telemetry;

use super::check::resets;
use super::serve::{DRAIN, Stop, runtime};
use script::{Scene, Script};

/// The demo's manifests: file name and text.
const MANIFESTS: [(&str, &str); 6] = [
    (
        "namespaces.yaml",
        include_str!("../../../zones/demo/namespaces.yaml"),
    ),
    ("web.yaml", WEB),
    ("pay.yaml", include_str!("../../../zones/demo/pay.yaml")),
    ("db.yaml", include_str!("../../../zones/demo/db.yaml")),
    ("api.yaml", include_str!("../../../zones/demo/api.yaml")),
    (
        "external.yaml",
        include_str!("../../../zones/demo/external.yaml"),
    ),
];

/// The manifests of what is played.
const WEB: &str = include_str!("../../../zones/demo/web.yaml");

/// Width of a bar of shares.
const BAR: usize = 30;

pub(super) fn run(flags: &Flags) -> anyhow::Result<()> {
    let config = load(flags)?;
    telemetry::init(Some("warn"));
    runtime(&config)?.block_on(async {
        let mut stop = Stop::new()?;
        let running = app::start(&config, Source::Caller).await?;
        let mut out = io::stdout();
        writeln!(out, "{}", welcome(&running))?;
        let played = tokio::select! {
            played = play(&running, &mut out) => played,
            _ = stop.wait() => Ok(()),
        };
        running.shutdown(DRAIN).await;
        played
    })
}

/// The configuration of the demo: any, but for the source of its objects.
fn load(flags: &Flags) -> anyhow::Result<Config> {
    let config = config::load(None, flags)?;
    if config.manifests.is_some() {
        bail!("the demo has manifests of its own; `shiftdns serve --manifests DIR` serves yours");
    }
    Ok(config)
}

/// The objects that stand still: everything but what belongs to the Deployment `web`.
fn scenery() -> Vec<Object> {
    let parsed = MANIFESTS
        .iter()
        .flat_map(|(file, text)| files::parse(file, text).0);
    parsed.filter(|object| !script::plays(object)).collect()
}

fn welcome(running: &Running) -> String {
    let dns = running
        .dns
        .first()
        .map_or_else(|| "127.0.0.1:1053".parse(), |address| Ok(*address));
    let at = dns.map_or_else(
        |_| String::new(),
        |dns: std::net::SocketAddr| format!("@{} -p {}", dns.ip(), dns.port()),
    );
    let dig = |rest: &str, what: &str| format!("  dig {at} {rest:<52} # {what}\n");
    let z = "shop.svc.cluster.local";
    [
        format!(
            "ShiftDNS demo: names below svc.cluster.local, API on http://{}\n\n",
            running.api
        ),
        dig(
            &format!("web.{z} +short"),
            "the endpoints that are ready, whatever rolls",
        ),
        dig(
            &format!("v2._version.web.{z} +short"),
            "one version of them",
        ),
        dig(
            &format!("_versions.web.{z} TXT +short"),
            "the shares, and why",
        ),
        dig(&format!("_rollout.web.{z} TXT +short"), "what is going on"),
        dig(&format!("pay.{z} +short"), "weighted: v1 90, v2 10"),
        dig(
            &format!("_http._tcp.pay.{z} SRV +short"),
            "the same weights in SRV",
        ),
        dig(&format!("db-0.db.{z} +short"), "one pod of a StatefulSet"),
        dig(&format!("api.{z} AAAA +short"), "a dual-stack cluster IP"),
        dig(&format!("alias-of-api.{z}"), "an ExternalName, followed"),
    ]
    .concat()
}

/// Plays the loop for ever: a scene a second, published when it differs from the one before.
async fn play(running: &Running, out: &mut impl Write) -> anyhow::Result<()> {
    let (scenery, script) = (scenery(), Script::new(WEB)?);
    let mut seconds = interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut shown: Option<Scene<'_>> = None;
    for second in 0_u64.. {
        seconds.tick().await;
        let scene = script.at(second % script::LOOP_SECS);
        let scene = scene.context("the demo's loop has a gap")?;
        if shown.as_ref() == Some(&scene) {
            continue;
        }
        let mut objects = scenery.clone();
        objects.extend(
            script
                .objects(&scene)
                .context("the demo's objects are broken")?,
        );
        let changes = resets(objects);
        running
            .engine
            .send(Event::Batch {
                changes,
                problems: Vec::new(),
            })
            .await?;
        let summaries = running.engine.list().await?;
        let web = ServiceKey::new("shop", "web");
        let summary = summaries.iter().find(|summary| summary.key == web);
        writeln!(
            out,
            "{:>4} s  {:<44} {}",
            second,
            scene.title,
            summary.map_or_else(String::new, |s| line(s))
        )?;
        out.flush()?;
        shown = Some(scene);
    }
    Ok(())
}

/// `web  v1 ######### 33%   v2 ################## 67%  Progressing`.
fn line(summary: &Summary) -> String {
    let versions: Vec<String> = summary
        .versions
        .iter()
        .map(|version| {
            let share = usize::from(version.share.basis_points());
            let bar = "#".repeat(share * BAR / 10_000);
            format!("{} {bar:<1} {:>3}%", version.alias, (share + 50) / 100)
        })
        .collect();
    format!("web  {}  {}", versions.join("  "), summary.state.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    /// Shares of `web` at a second, as the engine computes them.
    fn shares(engine: &mut crate::engine::Engine, script: &Script, second: u64) -> String {
        let mut objects = scenery();
        objects.extend(script.objects(&script.at(second).unwrap()).unwrap());
        engine.apply(resets(objects), Timestamp::UNIX_EPOCH);
        let web = ServiceKey::new("shop", "web");
        let list = engine.list();
        let summary = list.iter().find(|summary| summary.key == web).unwrap();
        let shares = summary
            .versions
            .iter()
            .map(|v| format!("{} {}", v.alias, v.share));
        format!(
            "{} {}",
            shares.collect::<Vec<_>>().join(" "),
            summary.state.as_str()
        )
    }

    #[test]
    fn manifests_of_the_operators_are_not_ignored_in_silence() {
        let flags = Flags {
            manifests: Some("zones/demo".into()),
            ..Flags::default()
        };
        let refused = load(&flags).map_err(|error| error.to_string());
        assert_eq!(
            refused,
            Err(
                "the demo has manifests of its own; `shiftdns serve --manifests DIR` serves yours"
                    .to_owned()
            )
        );
    }

    #[test]
    fn the_loop_rolls_forward_in_two_waves_and_back() {
        let config = config::load(None, &Flags::default()).unwrap();
        let (mut engine, _) = app::offline(&config).unwrap();
        let script = Script::new(WEB).unwrap();
        let mut story: Vec<String> = Vec::new();
        for second in 0..script::LOOP_SECS {
            let told = shares(&mut engine, &script, second);
            if story.last() != Some(&told) {
                story.push(told);
            }
        }
        assert_eq!(
            story,
            [
                "v1 100.00% Healthy",
                "v1 100.00% v2 0.00% Pending",
                "v1 33.33% v2 66.67% Progressing",
                "v1 0.00% v2 100.00% Healthy",
                "v1 0.00% v2 100.00% RollingBack",
                "v1 66.67% v2 33.33% RollingBack",
                "v1 100.00% v2 0.00% Healthy",
            ]
        );
        assert_eq!(engine.problems(), []);
    }
}
