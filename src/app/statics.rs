//! Zone files: read before the first query is answered, then whenever they change.

use std::path::PathBuf;

use tracing::error;

use super::StartError;
use crate::engine::Engine;
use crate::engine::control::{self, Event, Handle};
use crate::files::{self, LoadedZones, Said, ZoneFiles};
use crate::telemetry;
use crate::wire::Name;
use crate::zone::StaticZone;

/// Reads the zones in `dir` for an engine that does not run yet, so that none of their names is refused at the beginning.
pub(super) async fn first(dir: PathBuf, engine: &mut Engine) -> Result<ZoneFiles, StartError> {
    let mut files = ZoneFiles::new(dir);
    let read = move || files.load_if_changed().map(|loaded| (files, loaded));
    let joined = tokio::task::spawn_blocking(read).await;
    let (files, loaded) = joined
        .map_err(|_| control::Stopped)?
        .map_err(StartError::Manifests)?;
    let (zones, problems) = given(loaded.unwrap_or_default());
    control::log_served(&engine.set_static_zones(zones, problems));
    Ok(files)
}

/// Gives the engine what changes from here on.
pub(super) fn watch(files: ZoneFiles, engine: Handle) -> Result<files::Watch, StartError> {
    let on_load = move |result: Result<LoadedZones, files::LoadError>| match result {
        Ok(loaded) => {
            let (zones, problems) = given(loaded);
            // The engine ends with the process; what comes after is for nobody.
            let _ = engine.send_blocking(Event::StaticZones(zones, problems));
        }
        Err(error) => {
            let cause = telemetry::chain(&error);
            error!(
                cause,
                "the zone files cannot be read; serving what they gave before"
            );
        }
    };
    files::watch_zones(files.dir().to_owned(), files, on_load).map_err(StartError::Watch)
}

type Given = (
    Vec<(Name, Option<Box<StaticZone>>)>,
    Vec<crate::model::Problem>,
);

fn given(loaded: LoadedZones) -> Given {
    let zones = loaded.zones.into_iter().map(|(name, said)| match said {
        Said::Another(zone) => (name, Some(zone)),
        Said::Nothing => (name, None),
    });
    (zones.collect(), loaded.problems)
}
