//! The routes of the API: a table with everything that is asked for under a path. The router is made of it, and so is
//! `/openapi.json`.
//!
//! To add one: a line in [`table`], with what it is for, the parameters it reads, the shape of its answer (which derives
//! `JsonSchema`), and the statuses that it gives beside those that any request may get ([`openapi::COMMON`]).

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use tokio::time;

use super::api::{Api, Failure};
use super::guard::Refusal;
use super::openapi::{self, Operation};
use super::params::{BadParam, Given};
use super::{InForce, api, consul, discovery, doh, door, prometheus, resolve, shapes};

/// The bodies that are read name a workload: names of objects have at most 253 octets.
const BODY_MAX: usize = 4 * 1024;

/// One path, one method.
pub(super) struct Route {
    handler: MethodRouter<Arc<Api>>,
    pub(super) operation: Operation,
    /// It may wait for longer than a request is answered in; its connection is what ends it.
    waits: bool,
}

/// A route that is read.
fn read(path: &'static str, handler: MethodRouter<Arc<Api>>, operation: Operation) -> Route {
    Route {
        handler,
        operation: Operation { path, ..operation },
        waits: false,
    }
}

/// All routes.
pub(super) fn table() -> Vec<Route> {
    const SERVICE: &[u16] = &[404];
    vec![
        read(
            "/api/v1/services",
            get(api::services),
            Operation::json::<shapes::ServiceList>("all services, with their versions and shares"),
        ),
        read(
            "/api/v1/services/{namespace}/{name}",
            get(api::service),
            Operation::json::<shapes::Service>("one service in full").may(SERVICE),
        ),
        read(
            "/api/v1/services/{namespace}/{name}/history",
            get(api::history),
            Operation::json::<shapes::History>("what happened to its roll-outs").may(SERVICE),
        ),
        Route {
            handler: post(api::act),
            operation: Operation {
                path: "/api/v1/services/{namespace}/{name}/{action}",
                method: "post",
                request: Some(shapes::Ask::schema),
                ..Operation::json::<shapes::Done>("does what somebody asks of a roll-out")
                    .may(&[404, 409, 413, 415])
            },
            waits: false,
        },
        read(
            "/api/v1/services/{namespace}/{name}/{action}",
            get(api::plan),
            Operation::json::<shapes::Planned>(
                "what would be done of that, and where it is to be written; nothing is done",
            )
            .reads(&["full", "workload"])
            .may(&[404, 409]),
        ),
        read(
            "/api/v1/resolve",
            get(api::resolve),
            Operation::json::<resolve::Resolved>("a query, answered as a client's would be")
                .reads(&resolve::PARAMS),
        ),
        read(
            "/api/v1/problems",
            get(api::problems),
            Operation::json::<shapes::ProblemList>("what could not be obeyed"),
        ),
        read(
            "/api/v1/sources",
            get(api::sources),
            Operation::json::<shapes::SourceList>(
                "where what is served comes from, and how that fares",
            ),
        ),
        read(
            "/sd/prometheus",
            get(discovery::prometheus),
            Operation::json::<Vec<prometheus::Group>>(
                "ready endpoints for Prometheus's `http_sd_configs`",
            )
            .reads(&prometheus::PARAMS),
        ),
        Route {
            waits: true,
            ..read(
                "/v1/catalog/services",
                get(discovery::catalog_services),
                Operation::json::<openapi::Tags>("Consul: names of services with their tags")
                    .reads(&consul::PARAMS)
                    .may(&[429]),
            )
        },
        read(
            "/v1/catalog/datacenters",
            get(discovery::datacenters),
            Operation::json::<Vec<String>>("Consul: the one datacenter").reads(&["dc"]),
        ),
        Route {
            waits: true,
            ..read(
                "/v1/catalog/service/{service}",
                get(discovery::catalog_service),
                Operation::json::<Vec<consul::CatalogService>>(
                    "Consul: the instances of a service",
                )
                .reads(&consul::PARAMS_OF_SERVICE)
                .may(&[429]),
            )
        },
        Route {
            waits: true,
            ..read(
                "/v1/health/service/{service}",
                get(discovery::health_service),
                Operation::json::<Vec<consul::ServiceEntry>>(
                    "Consul: the instances of a service, with health",
                )
                .reads(&consul::PARAMS_OF_HEALTH)
                .may(&[429]),
            )
        },
        read(
            "/v1/agent/self",
            get(discovery::agent),
            Operation::json::<consul::Agent>("Consul: who answers"),
        ),
        read(
            "/resolve",
            get(discovery::resolve),
            Operation {
                content: discovery::DNS_JSON,
                ..Operation::json::<doh::DnsJson>(
                    "a query, answered in the JSON of public resolvers",
                )
                .reads(&doh::PARAMS)
            },
        ),
        read(
            "/openapi.json",
            get(api::document),
            Operation::json::<openapi::Any>("this document"),
        ),
    ]
}

/// The router; `/openapi.json` is made here.
pub(super) fn router(mut api: Api, rules: InForce) -> Router {
    let table = table();
    api.document = openapi::document(table.iter().map(|route| &route.operation));
    let mut router = Router::new();
    for route in table {
        let params = route.operation.params;
        let mut handler = route
            .handler
            .route_layer(middleware::from_fn_with_state(params, read_params));
        if !route.waits {
            handler = handler.route_layer(middleware::from_fn(limit));
        }
        router = router.route(route.operation.path, handler);
    }
    router
        .fallback(api::not_found)
        .method_not_allowed_fallback(api::not_allowed)
        .with_state(Arc::new(api))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(middleware::from_fn_with_state(rules, admit))
        .layer(middleware::map_response(door::sign))
}

/// Reads the query string, by the words that the route knows; handlers find it as an extension.
async fn read_params(
    State(known): State<&'static [&'static str]>,
    mut request: Request,
    next: Next,
) -> Response {
    match Given::read(request.uri(), known) {
        Ok(given) => {
            request.extensions_mut().insert(given);
            next.run(request).await
        }
        Err(error) => {
            let status = match error {
                BadParam::TooLong => StatusCode::URI_TOO_LONG,
                _ => StatusCode::BAD_REQUEST,
            };
            Failure(status, error.to_string()).into_response()
        }
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
