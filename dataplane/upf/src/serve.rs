//! `/metrics` and `/healthz`.

use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use crate::exposition::Snapshot;

/// Most scrapes that wait for the loop; the next is told that it is busy.
const WAITING_MAX: usize = 16;

/// A question to the loop: the figures, please.
pub type Question = oneshot::Sender<Snapshot>;

/// Binds, serves in the background, and hands over the questions. The address has a port even if 0 was asked for.
pub async fn start(address: SocketAddr) -> io::Result<(SocketAddr, mpsc::Receiver<Question>)> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let (questions, receiver) = mpsc::channel(WAITING_MAX);
    let router = Router::new().route("/metrics", get(metrics)).route("/healthz", get(healthz)).with_state(questions);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "metrics are not served any more");
        }
    });
    Ok((address, receiver))
}

async fn metrics(State(questions): State<mpsc::Sender<Question>>) -> Response {
    let Some(snapshot) = ask(&questions).await else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    match snapshot.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Healthy is whoever answers from within the loop.
async fn healthz(State(questions): State<mpsc::Sender<Question>>) -> Response {
    match ask(&questions).await {
        Some(snapshot) => axum::Json(serde_json::json!({
            "status": "ok",
            "sessions": snapshot.sessions,
            "associations": snapshot.associations,
            "paths": snapshot.paths,
        }))
        .into_response(),
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

async fn ask(questions: &mpsc::Sender<Question>) -> Option<Snapshot> {
    let (question, answer) = oneshot::channel();
    questions.try_send(question).ok()?;
    answer.await.ok()
}
