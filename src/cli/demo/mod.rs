//! `demo`: a small shop whose front rolls forward, fails, is undone and flips, answered on the usual ports.
//!
//! The shop is that of `zones/demo`, built in; [`script`] says what the cluster's objects are at each second of a loop
//! of some four minutes, and what to look at. The server is the real one: only the source of its objects is a play.

mod script;

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use jiff::{SignedDuration, Timestamp};

use crate::app::{self, Running, Source};
use crate::config::{self, Config, Flags};
use crate::engine::control::Event;
use crate::engine::{Summary, VersionSummary};
use crate::files;
use crate::model::ServiceKey;
use crate::objects::Object;
use crate::rollout::TICK_SECS;
use crate::rollout::controllers::Second;
use crate::telemetry;

use super::check::resets;
use super::serve::{DRAIN, Stop, runtime};
use script::Script;

/// The demo's manifests: file name and text.
const MANIFESTS: [(&str, &str); 6] = [
    (
        "namespaces.yaml",
        include_str!("../../../zones/demo/namespaces.yaml"),
    ),
    ("web.yaml", include_str!("../../../zones/demo/web.yaml")),
    ("pay.yaml", include_str!("../../../zones/demo/pay.yaml")),
    ("db.yaml", include_str!("../../../zones/demo/db.yaml")),
    ("api.yaml", include_str!("../../../zones/demo/api.yaml")),
    (
        "external.yaml",
        include_str!("../../../zones/demo/external.yaml"),
    ),
];

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

/// The objects that stand still: everything but what is played.
fn scenery() -> Vec<Object> {
    let parsed = MANIFESTS
        .iter()
        .flat_map(|(file, text)| files::parse(file, text).0);
    parsed.filter(|object| !script::plays(object)).collect()
}

/// Where to ask: `@127.0.0.1 -p 1053`.
fn place(running: &Running) -> String {
    let dns = running.dns.first();
    dns.map_or_else(String::new, |dns| {
        format!("@{} -p {}", dns.ip(), dns.port())
    })
}

/// A line to copy, and what it answers.
fn dig(place: &str, name: &str, rtype: &str, what: &str) -> String {
    let rtype = match rtype {
        "A" => String::new(),
        other => format!(" {other}"),
    };
    let asked = format!("{name}.shop.svc.cluster.local{rtype} +short");
    format!("  dig {place} {asked:<52} # {what}\n")
}

fn welcome(running: &Running) -> String {
    let place = place(running);
    let dig = |name, rtype, what| dig(&place, name, rtype, what);
    [
        format!(
            "ShiftDNS demo: names below svc.cluster.local, API on http://{}\n\nWhat stands still:\n",
            running.api
        ),
        dig("pay", "A", "weighted: v1 90, v2 10"),
        dig("_http._tcp.pay", "SRV", "the same weights in SRV"),
        dig("db-0.db", "A", "one pod of a StatefulSet"),
        dig("api", "AAAA", "a dual-stack cluster IP"),
        dig("alias-of-api", "A", "an ExternalName, followed"),
    ]
    .concat()
}

/// The headline of an act, and what to `dig` in it.
fn headline(number: usize, place: &str) -> String {
    let act = &script::ACTS[number];
    let digs = act.digs.iter();
    let digs: String = digs
        .map(|(name, rtype, what)| dig(place, name, rtype, what))
        .collect();
    let of = script::ACTS.len();
    format!("\n{} of {of}: {}\n{digs}\n", number + 1, act.title)
}

/// What a person is told at a second: nothing if that is what they were told before.
#[derive(Default)]
struct Teller {
    act: Option<usize>,
    title: Option<&'static str>,
    line: String,
}

impl Teller {
    fn tell(&mut self, second: Second, summaries: &[Arc<Summary>], place: &str) -> String {
        let act = script::act(second);
        let mut told = String::new();
        if self.act.replace(act) != Some(act) {
            self.line.clear();
            told += &headline(act, place);
        }
        let key = ServiceKey::new("shop", script::ACTS[act].service);
        let summary = summaries.iter().find(|summary| summary.key == key);
        let line = summary.map_or_else(String::new, |summary| line(summary));
        let title = script::title(second);
        let is_new = self.title != title;
        if is_new || line != self.line {
            // What goes on by itself needs no title.
            let title = title.filter(|_| is_new).unwrap_or_default();
            told += format!("{second:>4} s  {title:<38} {line}").trim_end();
            told.push('\n');
        }
        (self.title, self.line) = (title, line);
        told
    }
}

/// How long after a second the play looks: what is due in it has happened.
const LAG: Duration = Duration::from_millis(300);

/// Plays the loop for ever: what changes is sent, and what the server makes of it, by itself too, is told.
async fn play(running: &Running, out: &mut impl Write) -> anyhow::Result<()> {
    let (scenery, place) = (scenery(), place(running));
    let send = |objects| {
        running.engine.send(Event::Batch {
            changes: resets(objects),
            problems: None,
        })
    };
    loop {
        // Shares move in ticks, so the loop begins with one.
        let now = Timestamp::now().as_second();
        let epoch = Timestamp::from_second(now - now.rem_euclid(TICK_SECS))?;
        let script = Script::new(epoch, scenery.clone())?;
        let first = script.at(0).context("the demo's loop has no beginning")?;
        send(script.before(&first)?).await?;
        let (mut teller, mut shown) = (Teller::default(), None);
        for second in 0..script::LOOP_SECS {
            let due = epoch.checked_add(SignedDuration::from_secs(second))?;
            let early = due.duration_since(Timestamp::now());
            tokio::time::sleep(Duration::try_from(early).unwrap_or_default()).await;
            let scene = script.at(second).context("the demo's loop has a gap")?;
            if shown.replace(scene) != Some(scene) {
                send(script.objects(&scene)?).await?;
            }
            tokio::time::sleep(LAG).await;
            let summaries = running.engine.list().await?;
            write!(out, "{}", teller.tell(second, &summaries, &place))?;
            out.flush()?;
        }
    }
}

/// `web  v1 ######### 33%   v2 ################## 67%  Progressing`.
fn line(summary: &Summary) -> String {
    let share = |version: &VersionSummary| usize::from(version.share.basis_points());
    let shown = summary.versions.iter();
    let shown = shown.filter(|version| share(version) > 0 || version.ready > 0);
    let versions: Vec<String> = shown
        .map(|version| {
            let share = share(version);
            let bar = "#".repeat(share * BAR / 10_000);
            format!("{} {bar:<1} {:>3}%", version.alias, (share + 50) / 100)
        })
        .collect();
    format!("{}  {}", versions.join("  "), summary.state.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Engine;

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

    /// Plays a loop that begins at `epoch`, and tells it without the lines to copy.
    fn told(engine: &mut Engine, epoch: Timestamp) -> String {
        let script = Script::new(epoch, scenery()).unwrap();
        let first = script.before(&script.at(0).unwrap()).unwrap();
        engine.apply(resets(first), epoch);
        let mut teller = Teller::default();
        let mut story = String::new();
        for second in 0..script::LOOP_SECS {
            let now = epoch + SignedDuration::from_secs(second);
            let scene = script.at(second).unwrap();
            engine.apply(resets(script.objects(&scene).unwrap()), now);
            engine.tick(now);
            story += &teller.tell(second, &engine.list(), "");
            assert_eq!(engine.problems(), [], "{second}");
        }
        let lines = story.lines().filter(|line| !line.starts_with("  dig "));
        lines.flat_map(|line| [line, "\n"]).collect()
    }

    #[test]
    fn every_loop_tells_the_same_story() {
        let config = config::load(None, &Flags::default()).unwrap();
        let (mut engine, _) = app::offline(&config).unwrap();
        let epoch = Timestamp::from_second(1_700_000_000).unwrap();
        let story = told(&mut engine, epoch);
        assert_eq!(
            story,
            "
1 of 4: a canary in steps, `shiftdns.io/steps: 10@10s,50@10s,100`

   0 s  four pods of v1                        v1 ############################## 100%  Healthy
  10 s  kubectl set image: v2 starts           v1 ############################## 100%  Pending
  20 s  v2 is ready: step 1                    v1 ###########################  90%  v2 ###  10%  Progressing
  35 s  step 2, caches have forgotten step 1   v1 ###############  50%  v2 ###############  50%  Progressing
  50 s  step 3: all of it                      v1     0%  v2 ############################## 100%  Draining
  60 s  Kubernetes takes v1 away               v2 ############################## 100%  Healthy

2 of 4: the same with a version that crashes

  75 s  kubectl set image: v3 starts           v2 ############################## 100%  Pending
  85 s  v3 is ready: step 1                    v2 ###########################  90%  v3 ###  10%  Progressing
  93 s  v3 crashes: shifted back               v2 ############################## 100%  Aborted
 103 s  v3 is ready again, and gets nothing    v2 ############################## 100%  v3     0%  Aborted
 111 s  v3 crashes again                       v2 ############################## 100%  Aborted
 120 s  kubectl rollout undo                   v2 ############################## 100%  Healthy

3 of 4: an even ramp, `shiftdns.io/ramp: 30s`, undone half-way

 135 s  the service asks for a ramp            v2 ############################## 100%  Healthy
 140 s  kubectl set image: v4 starts           v2 ############################## 100%  Pending
 150 s  v4 is ready: the ramp begins           v2 ############################## 100%  v4     0%  Progressing
 155 s                                         v2 #########################  83%  v4 ####  17%  Progressing
 160 s                                         v2 ####################  67%  v4 #########  33%  Progressing
 165 s                                         v2 ###############  50%  v4 ###############  50%  Progressing
 167 s  kubectl rollout undo, half-way         v2 ############################## 100%  Healthy

4 of 4: blue/green between two Services, `shiftdns.io/backends: front-blue=0,front-green=100`

 180 s  blue is active                         front-blue ############################## 100%  front-green     0%  Healthy
 185 s  green is made active                   front-blue     0%  front-green ############################## 100%  Draining
 190 s  caches have forgotten blue             front-blue     0%  front-green ############################## 100%  Healthy
 200 s  and back to blue                       front-blue ############################## 100%  front-green     0%  Draining
 205 s                                         front-blue ############################## 100%  front-green     0%  Healthy
"
        );
        let next = epoch + SignedDuration::from_secs(script::LOOP_SECS);
        assert_eq!(told(&mut engine, next), story);
    }

    #[test]
    fn an_act_says_what_to_dig() {
        let text = headline(1, "@127.0.0.1 -p 1053");
        let first = text.lines().nth(2).unwrap();
        assert_eq!(
            first,
            "  dig @127.0.0.1 -p 1053 web.shop.svc.cluster.local +short                    # only v2's addresses from the crash \
             on, although v3 gets ready again"
        );
    }
}
