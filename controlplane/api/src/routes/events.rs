//! The stream of events of one core, as server-sent events.

use super::App;
use crate::extract::{Named, Params};
use crate::types::Event;
use crate::{EventsFrom, Problem};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event as Message, KeepAlive, Sse};
use prometheus::IntGauge;
use serde::Deserialize;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio_stream::{Stream, StreamExt};
use utoipa::IntoParams;

/// A comment is sent this often when nothing happens, so that both ends see a dead connection.
const KEEP_ALIVE_S: u64 = 15;

/// Where a stream begins.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventParams {
    /// `id` of the last event seen, as in the header `Last-Event-ID`.
    after: Option<String>,
    /// Skip the events that the core still keeps, and begin with what happens from now on.
    live: Option<bool>,
}

/// Events of a core
///
/// Server-sent events; `data` is an Event, `event` its type, `id` what to give as `Last-Event-ID` (or `after`) to go on after a
/// lost connection. The stream ends when the core does.
#[utoipa::path(
    get, path = "/operator/v1/cores/{core}/events", tag = "events", operation_id = "watchEvents",
    params(("core" = String, Path, description = "Name of the core"), EventParams),
    responses((status = 200, description = "The events", body = Event, content_type = "text/event-stream"))
)]
pub(crate) async fn watch(
    State(app): State<App>,
    named: Named,
    Params(params): Params<EventParams>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Message, axum::Error>>>, Problem> {
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let from = match last.or(params.after) {
        Some(id) => event_id(&id)?,
        None if params.live.unwrap_or(false) => EventsFrom::Now,
        None => EventsFrom::Oldest,
    };
    let busy = |_| Problem::busy(format!("at most {} streams of events at once", super::EVENT_STREAMS_MAX));
    let permit = app.event_streams.clone().try_acquire_owned().map_err(busy)?;
    let open = Open::new(app.metrics.event_streams.clone(), permit);
    let events = named.core.events(from).await?;
    let messages = events.map(move |event| {
        let _ = &open;
        let id = format!("{}-{}", event.run, event.sequence);
        Message::default().id(id).event(event.what.kind()).json_data(&event)
    });
    Ok(Sse::new(messages).keep_alive(KeepAlive::new().interval(Duration::from_secs(KEEP_ALIVE_S))))
}

fn event_id(id: &str) -> Result<EventsFrom, Problem> {
    let parsed = id.split_once('-').and_then(|(run, sequence)| Some((run.parse().ok()?, sequence.parse().ok()?)));
    match parsed {
        Some((run, sequence)) => Ok(EventsFrom::After { run, sequence }),
        None => Err(Problem::invalid_field("expected the id of an event, as 1795482340123-42").field("after")),
    }
}

/// An open stream: counted, and one of a limited number, until dropped.
struct Open {
    gauge: IntGauge,
    _permit: OwnedSemaphorePermit,
}

impl Open {
    fn new(gauge: IntGauge, permit: OwnedSemaphorePermit) -> Self {
        gauge.inc();
        Self { gauge, _permit: permit }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}
