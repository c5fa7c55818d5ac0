//! Probes and metrics: is it alive, is it ready, what does it count. Plain text, no names of services but in metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::time;

use super::metrics::{self, Meters};
use super::{InForce, door, now_secs};
use crate::answer::View;

pub(super) struct Probes {
    pub(super) view: Arc<View>,
    pub(super) leaving: Arc<AtomicBool>,
    pub(super) rules: InForce,
    pub(super) meters: Meters,
}

pub(super) fn router(probes: Probes) -> Router {
    Router::new()
        .route("/healthz", get(health))
        .route("/health", get(health))
        .route("/readyz", get(ready))
        .route("/ready", get(ready))
        .route("/metrics", get(scrape))
        .fallback(|| async { (StatusCode::NOT_FOUND, "not found") })
        .method_not_allowed_fallback(|| async {
            (StatusCode::METHOD_NOT_ALLOWED, "only GET is answered")
        })
        .with_state(Arc::new(probes))
        .layer(middleware::from_fn(limit))
        .layer(middleware::map_response(door::sign))
}

async fn limit(request: Request, next: Next) -> Response {
    let answer = time::timeout(door::ANSWER, next.run(request)).await;
    answer
        .unwrap_or_else(|_| (StatusCode::SERVICE_UNAVAILABLE, "no answer in time").into_response())
}

/// Alive as long as it says so: what is wrong with a source is not cured by a restart, which would lose what is served.
async fn health() -> &'static str {
    "ok"
}

/// Ready means synced. A source that is lost later does not end it, since what it gave before is served on, unless the
/// settings say that data of some age is no longer to be served from here.
async fn ready(State(probes): State<Arc<Probes>>) -> (StatusCode, String) {
    let unready = |text: String| (StatusCode::SERVICE_UNAVAILABLE, text);
    let age = probes.view.data_age_secs(now_secs());
    let limit = probes.rules.get().unready_after;
    if probes.leaving.load(Ordering::Relaxed) {
        unready("shutting down".to_owned())
    } else if !probes.view.is_synced() {
        let watches = probes.meters.watches.as_ref();
        let missing = watches.map(|watches| watches.missing()).unwrap_or_default();
        let missing: Vec<&str> = missing.iter().map(|kind| kind.as_str()).collect();
        let text = "not synced: not every kind of object has been read yet";
        unready(match missing.is_empty() {
            true => text.to_owned(),
            false => format!("{text}; missing: {}", missing.join(", ")),
        })
    } else if !limit.is_zero() && Duration::from_secs(age) >= limit {
        unready(format!("the source was lost {age} s ago"))
    } else {
        (StatusCode::OK, "ready".to_owned())
    }
}

async fn scrape(State(probes): State<Arc<Probes>>) -> Response {
    match metrics::scrape(&probes.meters).await {
        Some(text) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        None => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "the metrics could not be written",
        )
            .into_response(),
    }
}
