//! The API's requests: they are read, the engine is asked, shapes come out as JSON. Errors are JSON as well.

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;
use tokio::{task, time};

use super::guard::{Guard, Refusal};
use super::resolve::{NoAnswer, Params, Question, Resolver};
use super::{door, now_secs, shapes};
use crate::answer::{View, Worker};
use crate::engine::control::{Handle, Stopped};
use crate::model::ServiceKey;

/// No request has a body that is read; this is for the first that will.
const BODY_MAX: usize = 64 * 1024;

/// Whom to ask.
pub(super) struct Api {
    engine: Handle,
    view: Arc<View>,
    resolver: Resolver,
}

impl Api {
    pub(super) fn new(engine: Handle, view: Arc<View>, resolver: Worker) -> Self {
        Self {
            engine,
            view,
            resolver: Resolver::new(resolver),
        }
    }
}

pub(super) fn router(api: Api, guard: Guard) -> Router {
    Router::new()
        .route("/api/v1/services", get(services))
        .route("/api/v1/services/{namespace}/{name}", get(service))
        .route("/api/v1/resolve", get(resolve))
        .route("/api/v1/problems", get(problems))
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        .with_state(Arc::new(api))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(middleware::from_fn_with_state(guard, admit))
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
        Some(detail) => json(move || shapes::Service::from(&*detail)).await,
        None => {
            let text = format!("there is no service `{key}`");
            Err(Failure(StatusCode::NOT_FOUND, text))
        }
    }
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

async fn not_found() -> Failure {
    let text = "there is nothing here; see `/api/v1/services`";
    Failure(StatusCode::NOT_FOUND, text.to_owned())
}

async fn not_allowed() -> Failure {
    let text = "only GET is answered: the api changes nothing";
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
async fn admit(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    match guard.check(request.headers()) {
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
    }
}

async fn limit(request: Request, next: Next) -> Response {
    let answer = time::timeout(door::ANSWER, next.run(request)).await;
    answer.unwrap_or_else(|_| {
        let text = "no answer in time".to_owned();
        Failure(StatusCode::SERVICE_UNAVAILABLE, text).into_response()
    })
}
