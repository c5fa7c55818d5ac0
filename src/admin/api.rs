//! The API's requests: they are read, the engine is asked, shapes come out as JSON. Errors are JSON as well.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Serialize;
use tokio::{task, time};

use super::answered::Answered;
use super::guard::Refusal;
use super::resolve::{NoAnswer, Params, Question, Resolver};
use super::{InForce, door, now_secs, shapes};
use crate::answer::View;
use crate::engine::control::{Handle, Request as Asked, Stopped};
use crate::engine::{Intent, IntentError};
use crate::kubernetes;
use crate::model::ServiceKey;

/// The bodies that are read name a workload: names of objects have at most 253 octets.
const BODY_MAX: usize = 4 * 1024;

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
}

pub(super) fn router(api: Api, rules: InForce) -> Router {
    Router::new()
        .route("/api/v1/services", get(services))
        .route("/api/v1/services/{namespace}/{name}", get(service))
        .route("/api/v1/services/{namespace}/{name}/history", get(history))
        .route("/api/v1/services/{namespace}/{name}/{action}", post(act))
        .route("/api/v1/resolve", get(resolve))
        .route("/api/v1/problems", get(problems))
        .route("/api/v1/sources", get(sources))
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        .with_state(Arc::new(api))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(middleware::from_fn_with_state(rules, admit))
        .layer(middleware::from_fn(limit))
        .layer(middleware::map_response(door::sign))
}

/// A request that is not answered, and why.
#[derive(Debug)]
struct Failure(StatusCode, String);

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

type Answer = Result<Response, Failure>;

const JSON: (header::HeaderName, &str) = (header::CONTENT_TYPE, "application/json");

async fn services(State(api): State<Arc<Api>>) -> Answer {
    let list = api.engine.list().await?;
    let (generation, synced) = (api.view.generation(), api.view.is_synced());
    json(move || shapes::ServiceList {
        generation,
        synced,
        services: list.iter().map(|summary| (&**summary).into()).collect(),
    })
    .await
}

async fn service(
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

async fn history(
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
async fn act(
    State(api): State<Arc<Api>>,
    path: Result<Path<(String, String, String)>, PathRejection>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let Path((namespace, name, action)) = path.map_err(|rejection| bad(&rejection.body_text()))?;
    let body = body.map_err(|rejection| Failure(rejection.status(), rejection.body_text()))?;
    let ask = read_ask(&headers, &body)?;
    let intent = match (&*action, ask.full) {
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
    if !api.rules.get().actions {
        let text = "actions are off; set `api.actions: true` in the configuration";
        return Err(Failure(StatusCode::FORBIDDEN, text.to_owned()));
    }
    let service = ServiceKey::new(&namespace, &name);
    let asked = Asked {
        service: service.clone(),
        workload: ask.workload,
        intent,
    };
    let acted = api.engine.act(asked).await?.map_err(refused)?;
    json(move || shapes::Done::of(service, acted)).await
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

async fn resolve(
    State(api): State<Arc<Api>>,
    params: Result<Query<Params>, QueryRejection>,
) -> Answer {
    let Query(params) = params.map_err(|rejection| bad(&rejection.body_text()))?;
    let question = Question::read(params).map_err(|error| bad(&error.to_string()))?;
    match api.resolver.resolve(&question, &api.view, now_secs()) {
        Ok(resolved) => json(move || resolved).await,
        Err(error @ NoAnswer::Silence) => Err(bad(&error.to_string())),
        Err(error @ NoAnswer::Unreadable(_)) => Err(Failure(
            StatusCode::INTERNAL_SERVER_ERROR,
            error.to_string(),
        )),
    }
}

async fn problems(State(api): State<Arc<Api>>) -> Answer {
    let problems = api.engine.problems().await?;
    json(move || shapes::ProblemList {
        problems: problems.iter().map(shapes::Problem::from).collect(),
    })
    .await
}

async fn sources(State(api): State<Arc<Api>>) -> Answer {
    let synced = api.view.is_synced();
    let age = api.view.data_age_secs(now_secs());
    json(move || shapes::SourceList::of(synced, age, api.watches.as_deref())).await
}

async fn not_found() -> Failure {
    let text = "there is nothing here; see `/api/v1/services`";
    Failure(StatusCode::NOT_FOUND, text.to_owned())
}

async fn not_allowed() -> Failure {
    let text = "not with this method: what is read is asked for with GET, and actions with POST";
    Failure(StatusCode::METHOD_NOT_ALLOWED, text.to_owned())
}

fn bad(text: &str) -> Failure {
    Failure(StatusCode::BAD_REQUEST, text.to_owned())
}

/// Makes the shape and writes it, off the threads that serve: a list of ten thousand services takes milliseconds, and
/// somebody else's query may wait for this thread.
async fn json<T: Serialize>(make: impl FnOnce() -> T + Send + 'static) -> Answer {
    let written = task::spawn_blocking(move || serde_json::to_vec(&make())).await;
    match written {
        Ok(Ok(body)) => Ok(([JSON], body).into_response()),
        _ => Err(Failure(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the answer could not be written".to_owned(),
        )),
    }
}

/// Before anything else is told, also which paths there are.
async fn admit(State(rules): State<InForce>, request: Request, next: Next) -> Response {
    match rules.get().guard.check(request.method(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(Refusal::Token) => {
            let text = "a token is wanted: `authorization: Bearer <token>`";
            let mut response = Failure(StatusCode::UNAUTHORIZED, text.to_owned()).into_response();
            let bearer = HeaderValue::from_static("Bearer");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, bearer);
            response
        }
        Err(Refusal::Host) => {
            let text = "without a token, the api answers only under `localhost` or an address";
            Failure(StatusCode::FORBIDDEN, text.to_owned()).into_response()
        }
        Err(Refusal::Origin) => {
            let text = "a page of another origin may ask nothing here";
            Failure(StatusCode::FORBIDDEN, text.to_owned()).into_response()
        }
    }
}

async fn limit(request: Request, next: Next) -> Response {
    let answer = time::timeout(door::ANSWER, next.run(request)).await;
    answer.unwrap_or_else(|_| {
        let text = "no answer in time".to_owned();
        Failure(StatusCode::SERVICE_UNAVAILABLE, text).into_response()
    })
}
