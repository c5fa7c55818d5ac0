//! The requests of discovery clients: they are read, the engine is asked, and what comes out has the form of somebody
//! else's API. Errors are ours, in JSON.

use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::IntoResponse;

use super::api::{Answer, Api, Failure, bad, json};
use super::consul::{self, Agent, Source, Wanted};
use super::doh::{self, DnsJson};
use super::door::Stay;
use super::now_secs;
use super::params::Given;
use super::prometheus::{self, NoTargets, Selection};
use super::waits::{Asked, NoWait};
use crate::engine::{Detail, Subject};
use crate::model::ServiceKey;

/// What DNS in JSON is called; nobody has registered it, and everybody who reads it knows it.
pub(super) const DNS_JSON: &str = "application/dns-json";

const INDEX: HeaderName = HeaderName::from_static("x-consul-index");
const LEADER: HeaderName = HeaderName::from_static("x-consul-knownleader");
const CONTACT: HeaderName = HeaderName::from_static("x-consul-lastcontact");

impl From<NoTargets> for Failure {
    fn from(error: NoTargets) -> Self {
        let status = match error {
            NoTargets::TooMany => StatusCode::BAD_REQUEST,
            NoTargets::Held(_) | NoTargets::Stopped(_) => StatusCode::SERVICE_UNAVAILABLE,
            NoTargets::Unwritten => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self(status, error.to_string())
    }
}

impl From<NoWait> for Failure {
    fn from(error: NoWait) -> Self {
        let status = match error {
            NoWait::Full => StatusCode::TOO_MANY_REQUESTS,
            NoWait::Stopping | NoWait::Stopped(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self(status, error.to_string())
    }
}

pub(super) async fn prometheus(
    State(api): State<Arc<Api>>,
    Extension(given): Extension<Given>,
) -> Answer {
    synced(&api)?;
    // Whoever comes third waits until one of two lists is made, within the time of a request.
    let place = api.lists.acquire().await;
    let body = prometheus::list(&api.engine, Selection::read(&given)).await?;
    drop(place);
    Ok(([super::api::JSON], body).into_response())
}

pub(super) async fn datacenters(
    State(api): State<Arc<Api>>,
    Extension(given): Extension<Given>,
) -> Answer {
    here(&api, &given)?;
    let datacenter = Arc::clone(&api.datacenter);
    json(move || [datacenter]).await
}

pub(super) async fn agent(State(api): State<Arc<Api>>) -> Answer {
    let datacenter = Arc::clone(&api.datacenter);
    json(move || Agent::of(&datacenter)).await
}

pub(super) async fn catalog_services(
    State(api): State<Arc<Api>>,
    Extension(given): Extension<Given>,
    ConnectInfo(stay): ConnectInfo<Stay>,
) -> Answer {
    let index = index(&api, &given, Subject::Catalogue, &stay).await?;
    let list = api.engine.list().await?;
    let answer = json(move || consul::services(&list)).await;
    Ok((headers(index), answer?).into_response())
}

pub(super) async fn catalog_service(
    State(api): State<Arc<Api>>,
    path: Result<Path<String>, PathRejection>,
    Extension(given): Extension<Given>,
    ConnectInfo(stay): ConnectInfo<Stay>,
) -> Answer {
    let wanted = Wanted {
        tags: given.all("tag"),
        passing: false,
    };
    let (detail, source) = found(&api, path, &given, &stay).await?;
    let headers = headers(source.index);
    let answer = json(move || match &detail {
        Some(detail) => consul::catalog(detail, &wanted, &source),
        None => Vec::new(),
    });
    Ok((headers, answer.await?).into_response())
}

pub(super) async fn health_service(
    State(api): State<Arc<Api>>,
    path: Result<Path<String>, PathRejection>,
    Extension(given): Extension<Given>,
    ConnectInfo(stay): ConnectInfo<Stay>,
) -> Answer {
    let wanted = Wanted {
        tags: given.all("tag"),
        passing: flag(&given, "passing")?,
    };
    let (detail, source) = found(&api, path, &given, &stay).await?;
    let headers = headers(source.index);
    let answer = json(move || match &detail {
        Some(detail) => consul::health(detail, &wanted, &source),
        None => Vec::new(),
    });
    Ok((headers, answer.await?).into_response())
}

/// The service of a path, as soon as it is to be told; one that is not there is an empty list.
async fn found(
    api: &Api,
    path: Result<Path<String>, PathRejection>,
    given: &Given,
    stay: &Stay,
) -> Result<(Option<Box<Detail>>, Source), Failure> {
    let Path(name) = path.map_err(|rejection| bad(&rejection.body_text()))?;
    let key: ServiceKey = consul::key(&name).ok_or_else(|| {
        bad(&format!(
            "`{name}` is not a service: they are called `name.namespace`, such as `web.shop`"
        ))
    })?;
    let index = index(api, given, Subject::Service(key.clone()), stay).await?;
    let detail = api.engine.detail(key.clone()).await?;
    if detail.as_ref().is_some_and(|detail| detail.held.is_some()) {
        return Err(NoTargets::Held(key).into());
    }
    let source = Source {
        datacenter: Arc::clone(&api.datacenter),
        index,
        base: api.waits.base(),
    };
    Ok((detail, source))
}

/// Waits as a client asked to, and gives the index of what it will be told.
async fn index(api: &Api, given: &Given, subject: Subject, stay: &Stay) -> Result<u64, Failure> {
    here(api, given)?;
    for name in ["stale", "consistent", "cached"] {
        flag(given, name)?;
    }
    let asked = Asked::read(given).map_err(|error| bad(&error.to_string()))?;
    synced(api)?;
    Ok(api.waits.index(&api.engine, subject, asked, stay).await?)
}

fn flag(given: &Given, name: &'static str) -> Result<bool, Failure> {
    given.flag(name).map_err(|error| bad(&error.to_string()))
}

fn here(api: &Api, given: &Given) -> Result<(), Failure> {
    let asked = given.one("dc").map_err(|error| bad(&error.to_string()))?;
    match asked {
        Some(other) if *other != *api.datacenter => Err(bad(&format!(
            "there is no datacenter `{other}`; this is `{}`",
            api.datacenter
        ))),
        _ => Ok(()),
    }
}

/// Half a cluster is not told: a client would take it for the whole.
fn synced(api: &Api) -> Result<(), Failure> {
    match api.view.is_synced() {
        true => Ok(()),
        false => {
            let text = "not synced: not every kind of object has been read yet";
            Err(Failure(StatusCode::SERVICE_UNAVAILABLE, text.to_owned()))
        }
    }
}

/// What Consul's clients read beside the body.
fn headers(index: u64) -> [(HeaderName, HeaderValue); 3] {
    [
        (INDEX, HeaderValue::from(index)),
        (LEADER, HeaderValue::from_static("true")),
        (CONTACT, HeaderValue::from_static("0")),
    ]
}

pub(super) async fn resolve(
    State(api): State<Arc<Api>>,
    Extension(given): Extension<Given>,
) -> Answer {
    let question = doh::question(&given).map_err(|error| bad(&error.to_string()))?;
    let message = api.resolver.resolve(&question, &api.view, now_secs())?;
    let mut answer = json(move || DnsJson::read(&question, &message)).await?;
    let kind = HeaderValue::from_static(DNS_JSON);
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(answer)
}
