//! Probes and metrics: is it alive, is it ready, what does it count. Plain text, no names of services but in metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::time;

use super::door;
use super::metrics::{self, Meters};
use crate::answer::View;

pub(super) struct Probes {
    pub(super) view: Arc<View>,
    pub(super) leaving: Arc<AtomicBool>,
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

/// Ready means synced. A source that is lost later does not end it: what it gave before is served on.
async fn ready(State(probes): State<Arc<Probes>>) -> (StatusCode, &'static str) {
    if probes.leaving.load(Ordering::Relaxed) {
        (StatusCode::SERVICE_UNAVAILABLE, "shutting down")
    } else if probes.view.is_synced() {
        (StatusCode::OK, "ready")
    } else {
        let text = "not synced: not every kind of object has been read yet";
        (StatusCode::SERVICE_UNAVAILABLE, text)
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
