//! `/metrics` and `/healthz` of a core.

use crate::ask::{Ask, Asker};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

/// Serves until the core stops.
pub(crate) async fn serve(listener: TcpListener, asker: Asker) -> std::io::Result<()> {
    let router = axum::Router::new().route("/metrics", get(metrics)).route("/healthz", get(healthz)).with_state(asker);
    axum::serve(listener, router).await
}

async fn metrics(State(asker): State<Asker>) -> Response {
    match asker.ask(Ask::Metrics).await {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
    }
}

/// The loop answers: the core is alive.
async fn healthz(State(asker): State<Asker>) -> Response {
    match asker.ask(Ask::Status).await {
        Ok(_) => "ok\n".into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
    }
}
