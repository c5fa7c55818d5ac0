//! The API's requests: they are read, the engine is asked, shapes come out as JSON. Errors are JSON as well.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task;

use super::answered::Answered;
use super::params::{BadParam, Given};
use super::resolve::{NoAnswer, Question, Resolved, Resolver};
use super::waits::Waits;
use super::{InForce, now_secs, shapes};
use crate::answer::View;
use crate::engine::control::{Handle, Request as Asked, Stopped};
use crate::engine::{Intent, IntentError};
use crate::kubernetes;
use crate::model::ServiceKey;

/// Whom to ask.
pub(super) struct Api {
    pub(super) engine: Handle,
    pub(super) view: Arc<View>,
    pub(super) resolver: Resolver,
    pub(super) answered: Arc<Answered>,
    /// Whether anything may be changed.
    pub(super) rules: InForce,
    /// How the watches of a cluster fare; `None`: none is followed.
    pub(super) watches: Option<Arc<kubernetes::Status>>,
    /// Those who wait for a change.
    pub(super) waits: Waits,
    /// Lists of a whole cluster that are made at a time: one is some 30 MB.
    pub(super) lists: Semaphore,
    /// What this cluster is called where clients call it a datacenter.
    pub(super) datacenter: Arc<str>,
    /// `/openapi.json`
    pub(super) document: Bytes,
}

/// A request that is not answered, and why.
#[derive(Debug)]
pub(super) struct Failure(pub(super) StatusCode, pub(super) String);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Self(status, error) = self;
        let body = serde_json::to_vec(&shapes::Error { error }).unwrap_or_default();
        (status, [JSON], body).into_response()
    }
}

impl From<Stopped> for Failure {
    fn from(stopped: Stopped) -> Self {
        Self(StatusCode::SERVICE_UNAVAILABLE, stopped.to_string())
    }
}

pub(super) type Answer = Result<Response, Failure>;

pub(super) const JSON: (header::HeaderName, &str) = (header::CONTENT_TYPE, "application/json");

pub(super) async fn services(State(api): State<Arc<Api>>) -> Answer {
    let list = api.engine.list().await?;
    let (generation, synced) = (api.view.generation(), api.view.is_synced());
    json(move || shapes::ServiceList {
        generation,
        synced,
        services: list.iter().map(|summary| (&**summary).into()).collect(),
    })
    .await
}

pub(super) async fn service(
    State(api): State<Arc<Api>>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Answer {
    let Path((namespace, name)) = path.map_err(|rejection| bad(&rejection.body_text()))?;
    let key = ServiceKey::new(&namespace, &name);
    match api.engine.detail(key.clone()).await? {
        Some(detail) => {
            json(move || shapes::Service::of(&detail, &api.answered.lately(&key))).await
        }
        None => Err(missing(&key)),
    }
}

pub(super) async fn history(
    State(api): State<Arc<Api>>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Answer {
    let Path((namespace, name)) = path.map_err(|rejection| bad(&rejection.body_text()))?;
    let key = ServiceKey::new(&namespace, &name);
    match api.engine.history(key.clone()).await? {
        Some(transitions) => json(move || shapes::History::of(key, &transitions)).await,
        None => Err(missing(&key)),
    }
}

/// Does what somebody asks of a roll-out; answered when it is published.
pub(super) async fn act(
    State(api): State<Arc<Api>>,
    path: Result<Path<(String, String, String)>, PathRejection>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let Path((namespace, name, action)) = path.map_err(|rejection| bad(&rejection.body_text()))?;
    let body = body.map_err(|rejection| Failure(rejection.status(), rejection.body_text()))?;
    let ask = read_ask(&headers, &body)?;
    let asked = asked(ServiceKey::new(&namespace, &name), &action, ask).await?;
    if !api.rules.get().actions {
        let text = "actions are off; set `api.actions: true` in the configuration";
        return Err(Failure(StatusCode::FORBIDDEN, text.to_owned()));
    }
    let service = asked.service.clone();
    let acted = api.engine.act(asked).await?.map_err(refused)?;
    json(move || shapes::Done::of(service, acted)).await
}

/// Tells what that would be, and where it is to be written; nothing is done, and so nobody needs to allow it.
pub(super) async fn plan(
    State(api): State<Arc<Api>>,
    path: Result<Path<(String, String, String)>, PathRejection>,
    Extension(given): Extension<Given>,
) -> Answer {
    let Path((namespace, name, action)) = path.map_err(|rejection| bad(&rejection.body_text()))?;
    let flawed = |error: BadParam| bad(&error.to_string());
    let ask = shapes::Ask {
        full: given.flag("full").map_err(flawed)?,
        workload: given.one("workload").map_err(flawed)?.map(str::to_owned),
    };
    let asked = asked(ServiceKey::new(&namespace, &name), &action, ask).await?;
    let service = asked.service.clone();
    let planned = api.engine.plan(asked).await?.map_err(refused)?;
    json(move || shapes::Planned::of(service, planned)).await
}

async fn asked(service: ServiceKey, action: &str, ask: shapes::Ask) -> Result<Asked, Failure> {
    let intent = match (action, ask.full) {
        ("promote", full) => Intent::Promote { full },
        ("abort", false) => Intent::Abort,
        ("pause", false) => Intent::Pause,
        ("resume", false) => Intent::Resume,
        ("retry", false) => Intent::Retry,
        ("abort" | "pause" | "resume" | "retry", true) => {
            return Err(bad("`full` is for `promote` alone"));
        }
        _ => return Err(not_found().await),
    };
    Ok(Asked {
        service,
        workload: ask.workload,
        intent,
    })
}

/// A form of a web page cannot say that it is JSON.
fn read_ask(headers: &HeaderMap, body: &[u8]) -> Result<shapes::Ask, Failure> {
    if body.is_empty() {
        return Ok(shapes::Ask::default());
    }
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        let text = "the body is read as JSON only: `content-type: application/json`";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(Failure(status, text.to_owned()));
    }
    serde_json::from_slice(body).map_err(|error| bad(&format!("the body cannot be read: {error}")))
}

fn refused(error: IntentError) -> Failure {
    let status = match error {
        IntentError::NotSynced => StatusCode::SERVICE_UNAVAILABLE,
        IntentError::NoService(_) | IntentError::NoWorkload { .. } => StatusCode::NOT_FOUND,
        IntentError::NotKept(_) => StatusCode::INTERNAL_SERVER_ERROR,
        IntentError::NothingRolls
        | IntentError::SeveralRoll { .. }
        | IntentError::NoSteps { .. }
        | IntentError::Failed { .. }
        | IntentError::Undo { .. }
        | IntentError::Backends { .. }
        | IntentError::InCluster { .. }
        | IntentError::Annotated { .. }
        | IntentError::NotPaused { .. } => StatusCode::CONFLICT,
    };
    Failure(status, error.to_string())
}

fn missing(key: &ServiceKey) -> Failure {
    Failure(
        StatusCode::NOT_FOUND,
        IntentError::NoService(key.clone()).to_string(),
    )
}

impl From<NoAnswer> for Failure {
    fn from(error: NoAnswer) -> Self {
        let status = match error {
            NoAnswer::Silence => StatusCode::BAD_REQUEST,
            NoAnswer::Unreadable(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self(status, error.to_string())
    }
}

pub(super) async fn resolve(
    State(api): State<Arc<Api>>,
    Extension(given): Extension<Given>,
) -> Answer {
    let question = Question::read(&given).map_err(|error| bad(&error.to_string()))?;
    let message = api.resolver.resolve(&question, &api.view, now_secs())?;
    json(move || Resolved::read(&question, &message)).await
}

pub(super) async fn document(State(api): State<Arc<Api>>) -> Answer {
    Ok(([JSON], api.document.clone()).into_response())
}

pub(super) async fn problems(State(api): State<Arc<Api>>) -> Answer {
    let problems = api.engine.problems().await?;
    json(move || shapes::ProblemList {
        problems: problems.iter().map(shapes::Problem::from).collect(),
    })
    .await
}

pub(super) async fn sources(State(api): State<Arc<Api>>) -> Answer {
    let synced = api.view.is_synced();
    let age = api.view.data_age_secs(now_secs());
    json(move || shapes::SourceList::of(synced, age, api.watches.as_deref())).await
}

pub(super) async fn not_found() -> Failure {
    let text = "there is nothing here; see `/api/v1/services`";
    Failure(StatusCode::NOT_FOUND, text.to_owned())
}

pub(super) async fn not_allowed() -> Failure {
    let text = "not with this method: what is read is asked for with GET, and actions with POST";
    Failure(StatusCode::METHOD_NOT_ALLOWED, text.to_owned())
}

pub(super) fn bad(text: &str) -> Failure {
    Failure(StatusCode::BAD_REQUEST, text.to_owned())
}

/// Makes the shape and writes it, off the threads that serve: a list of ten thousand services takes milliseconds, and
/// somebody else's query may wait for this thread.
pub(super) async fn json<T: Serialize>(make: impl FnOnce() -> T + Send + 'static) -> Answer {
    let written = task::spawn_blocking(move || serde_json::to_vec(&make())).await;
    match written {
        Ok(Ok(body)) => Ok(([JSON], body).into_response()),
        _ => Err(Failure(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the answer could not be written".to_owned(),
        )),
    }
}
