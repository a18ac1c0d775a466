//! Figures of the API itself. Routes are labels as they are written in the document, never as they were called: a path
//! holds identities.

use crate::routes::App;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry};
use std::time::Instant;

#[derive(Clone)]
pub(crate) struct Metrics {
    requests: IntCounterVec,
    duration_s: HistogramVec,
    pub(crate) event_streams: IntGauge,
}

impl Metrics {
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            requests: IntCounterVec::new(
                Opts::new("coeur_platform_api_requests_total", "Answered requests by method, route and HTTP status."),
                &["method", "route", "status"],
            )?,
            duration_s: HistogramVec::new(
                HistogramOpts::new(
                    "coeur_platform_api_request_duration_seconds",
                    "Time from a request's header to its answer's header, by method and route.",
                ),
                &["method", "route"],
            )?,
            event_streams: IntGauge::new("coeur_platform_api_event_streams", "Open streams of events.")?,
        };
        registry.register(Box::new(metrics.requests.clone()))?;
        registry.register(Box::new(metrics.duration_s.clone()))?;
        registry.register(Box::new(metrics.event_streams.clone()))?;
        Ok(metrics)
    }
}

/// Counts and times every request. Methods and routes that do not exist share one label, so that no caller can make up new
/// ones.
pub(crate) async fn observe(State(app): State<App>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let method = match request.method().as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE") => known.to_owned(),
        _ => "other".to_owned(),
    };
    let response = next.run(request).await;
    let route = route.as_deref().unwrap_or("none");
    app.metrics.requests.with_label_values(&[&method, route, response.status().as_str()]).inc();
    app.metrics.duration_s.with_label_values(&[method.as_str(), route]).observe(begun.elapsed().as_secs_f64());
    response
}
