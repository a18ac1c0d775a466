//! Every operation of the API, in one list: the router is built from it, and a test holds the OpenAPI document against it.

pub(crate) mod cores;
pub(crate) mod events;
pub(crate) mod gnbs;
pub(crate) mod probes;
pub(crate) mod sessions;
pub(crate) mod subscribers;
pub(crate) mod ues;

use crate::backend::Platform;
use crate::metrics::{self, Metrics};
use crate::{Problem, Token, auth};
use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, on};
use prometheus::Registry;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Largest body, an import apart.
pub const BODY_OCTETS_MAX: usize = 64 * 1024;
/// Largest file of subscribers.
pub const IMPORT_OCTETS_MAX: usize = 128 * 1024 * 1024;
/// Most subscribers of one import.
pub const IMPORT_RECORDS_MAX: usize = 1_000_000;
/// Most streams of events at once.
pub const EVENT_STREAMS_MAX: usize = 64;
/// Imports at once: each may hold [`IMPORT_OCTETS_MAX`] in memory.
const IMPORTS_MAX: usize = 1;

/// What every operation may use.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) platform: Arc<dyn Platform>,
    pub(crate) registry: Registry,
    pub(crate) metrics: Metrics,
    pub(crate) event_streams: Arc<Semaphore>,
    pub(crate) imports: Arc<Semaphore>,
}

/// One operation: what is called, where, and what answers.
pub(crate) struct Operation {
    #[cfg_attr(not(test), allow(dead_code, reason = "what a test compares with the document"))]
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    handler: MethodRouter<App>,
}

fn of<T: 'static>(method: Method, path: &'static str, handler: impl Handler<T, App>) -> Operation {
    let filter = MethodFilter::try_from(method.clone()).expect("the list has standard methods only");
    Operation { method, path, handler: on(filter, handler) }
}

/// Every operation.
pub(crate) fn operations() -> Vec<Operation> {
    const CORE: &str = "/operator/v1/cores/{core}";
    macro_rules! core_path {
        ($rest:literal) => {
            concat!("/operator/v1/cores/{core}", $rest)
        };
    }
    vec![
        of(Method::GET, "/healthz", probes::healthz),
        of(Method::GET, "/readyz", probes::readyz),
        of(Method::GET, "/metrics", probes::metrics),
        of(Method::GET, crate::openapi::PATH, probes::openapi),
        of(Method::GET, "/operator/v1/cores", cores::list),
        of(Method::GET, CORE, cores::status),
        of(Method::GET, core_path!("/gnbs"), gnbs::list),
        of(Method::GET, core_path!("/ues"), ues::list),
        of(Method::GET, core_path!("/ues/{supi}"), ues::one),
        of(Method::POST, core_path!("/ues/{supi}/deregister"), ues::deregister),
        of(Method::GET, core_path!("/sessions"), sessions::list),
        of(Method::POST, core_path!("/sessions/{supi}/{id}/release"), sessions::release),
        of(Method::GET, core_path!("/subscribers"), subscribers::list),
        of(Method::POST, core_path!("/subscribers"), subscribers::add),
        of(Method::POST, core_path!("/subscribers/import"), subscribers::import),
        of(Method::GET, core_path!("/subscribers/{supi}"), subscribers::one),
        of(Method::DELETE, core_path!("/subscribers/{supi}"), subscribers::remove),
        of(Method::PUT, core_path!("/subscribers/{supi}/profile"), subscribers::update_profile),
        of(Method::GET, core_path!("/events"), events::watch),
    ]
}

/// The API. Its figures are added to `registry`, which is served as `/metrics`.
pub fn router(platform: Arc<dyn Platform>, token: Token, registry: Registry) -> Result<Router, prometheus::Error> {
    let app = App {
        platform,
        metrics: Metrics::register(&registry)?,
        registry,
        event_streams: Arc::new(Semaphore::new(EVENT_STREAMS_MAX)),
        imports: Arc::new(Semaphore::new(IMPORTS_MAX)),
    };
    let mut router = Router::new();
    for operation in operations() {
        router = router.route(operation.path, operation.handler);
    }
    Ok(router
        .fallback(unknown_route)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(Arc::new(token), auth::require))
        .layer(from_fn_with_state(app.clone(), metrics::observe))
        .with_state(app))
}

async fn unknown_route() -> Problem {
    Problem::unknown_route("no operation has this path").hint("GET /operator/v1/openapi.json lists them")
}

async fn method_not_allowed() -> Problem {
    Problem::method_not_allowed("this path has operations, but not with this method")
        .hint("GET /operator/v1/openapi.json lists them")
}
