//! What machines ask: alive, ready, figures, the document. None of it needs a token, so none of it names anybody.

use super::App;
use crate::Problem;
use crate::types::CoreState;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use prometheus::{Encoder, TextEncoder};

/// Alive
#[utoipa::path(
    get, path = "/healthz", tag = "probes", operation_id = "healthz", security(()),
    responses((status = 200, description = "The platform process answers", body = String, content_type = "text/plain"))
)]
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// Ready
///
/// Whether every hosted core, and every user plane that the platform runs, is ready.
#[utoipa::path(
    get, path = "/readyz", tag = "probes", operation_id = "readyz", security(()),
    responses((status = 200, description = "All are ready", body = String, content_type = "text/plain"))
)]
pub(crate) async fn readyz(State(app): State<App>) -> Result<&'static str, Problem> {
    let cores = app.platform.cores();
    let ready = cores.iter().filter(|core| core.state == CoreState::Ready).count();
    if ready == cores.len() {
        return Ok("ok\n");
    }
    let detail = format!("{ready} of {} cores are ready", cores.len());
    Err(Problem::not_ready(detail).hint("GET /operator/v1/cores (or `coeur status`) says which is not, and why"))
}

/// Figures of the platform process
///
/// In the text format of Prometheus. Each core and each user plane serves its own.
#[utoipa::path(
    get, path = "/metrics", tag = "probes", operation_id = "metrics", security(()),
    responses((status = 200, description = "The figures", body = String, content_type = "text/plain"))
)]
pub(crate) async fn metrics(State(app): State<App>) -> Result<impl IntoResponse, Problem> {
    let mut text = Vec::new();
    let encoder = TextEncoder::new();
    encoder.encode(&app.registry.gather(), &mut text).map_err(|error| Problem::internal(error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, encoder.format_type().to_owned())], text))
}

/// This document
#[utoipa::path(
    get, path = "/operator/v1/openapi.json", tag = "probes", operation_id = "openapi", security(()),
    responses((status = 200, description = "OpenAPI 3.1", body = Object, content_type = "application/json"))
)]
pub(crate) async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], crate::openapi::document())
}
