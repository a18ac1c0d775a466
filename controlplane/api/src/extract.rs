//! What a request carries, checked: the core it is for, identities in its path, its query, its body.

use crate::backend::Core;
use crate::routes::App;
use crate::types::Page;
use crate::{PageRequest, Problem};
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Query, RawPathParams, Request};
use axum::http::{HeaderMap, header, request::Parts};
use coeur_model::{PduSessionId, Supi};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;
use utoipa::IntoParams;

/// Most items of a page.
pub const PAGE_ITEMS_MAX: u32 = 1_000;
/// Items of a page for which no limit is asked.
pub const PAGE_ITEMS_DEFAULT: u32 = 100;
/// Longest cursor.
pub const CURSOR_CHARS_MAX: usize = 128;
/// How long a body may take to arrive.
const BODY_S: u64 = 60;

/// The core that the path names.
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) core: Arc<dyn Core>,
}

impl FromRequestParts<App> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let name = path_param(parts, app, "core").await?;
        match app.platform.core(&name) {
            Some(core) => Ok(Self { name, core }),
            None => Err(Problem::unknown_core(format!("there is no core {name:?} here"))
                .hint("GET /operator/v1/cores (or `coeur status`) lists the cores")),
        }
    }
}

/// The subscriber that the path names.
pub(crate) struct PathSupi(pub(crate) Supi);

impl FromRequestParts<App> for PathSupi {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let text = path_param(parts, app, "supi").await?;
        text.parse()
            .map(Self)
            .map_err(|error: coeur_model::Invalid| Problem::invalid_field(error.to_string()).field("supi"))
    }
}

/// The PDU session identity that the path names.
pub(crate) struct PathSession(pub(crate) PduSessionId);

impl FromRequestParts<App> for PathSession {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let text = path_param(parts, app, "id").await?;
        let id = text.parse().ok().and_then(|id| PduSessionId::new(id).ok());
        id.map(Self).ok_or_else(|| Problem::invalid_field("expected a PDU session identity, 1 to 15").field("id"))
    }
}

async fn path_param(parts: &mut Parts, app: &App, name: &str) -> Result<String, Problem> {
    let params = RawPathParams::from_request_parts(parts, app).await;
    let params = params.map_err(|_| Problem::invalid_field("expected UTF-8 in the path"))?;
    let value = params.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned());
    value.ok_or_else(|| Problem::internal(format!("this route has no {name}")))
}

/// The query, with every field known.
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let rejected = |rejection: axum::extract::rejection::QueryRejection| {
            let text = rejection.body_text();
            let detail = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
            let problem = Problem::invalid_field(detail);
            match quoted(detail).or_else(|| detail.split_once(": ").map(|(field, _)| field)) {
                Some(field) => problem.field(field),
                None => problem,
            }
        };
        Query::try_from_uri(&parts.uri).map(|Query(params)| Self(params)).map_err(rejected)
    }
}

/// Which part of a list is wanted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageParams {
    /// Most items of the answer: 1 to 1000.
    #[param(default = 100, minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next` of the answer before.
    #[param(max_length = 128)]
    cursor: Option<String>,
}

impl PageParams {
    pub(crate) fn check(self) -> Result<PageRequest, Problem> {
        page(self.limit, self.cursor)
    }
}

pub(crate) fn page(limit: Option<u32>, cursor: Option<String>) -> Result<PageRequest, Problem> {
    let limit = limit.unwrap_or(PAGE_ITEMS_DEFAULT);
    if !(1..=PAGE_ITEMS_MAX).contains(&limit) {
        return Err(Problem::invalid_field(format!("expected 1 to {PAGE_ITEMS_MAX}, got {limit}")).field("limit"));
    }
    let cursor = cursor.unwrap_or_default();
    if cursor.len() > CURSOR_CHARS_MAX {
        return Err(Problem::invalid_field("expected `next` of an answer").field("cursor"));
    }
    Ok(PageRequest { limit, cursor })
}

/// One page of a list that is at hand as a whole. `key` orders the list and is its cursor.
pub(crate) fn page_of<T>(mut items: Vec<T>, page: &PageRequest, key: impl Fn(&T) -> String) -> Page<T> {
    items.sort_by_cached_key(&key);
    let mut items: Vec<T> =
        items.into_iter().filter(|item| page.cursor.is_empty() || key(item) > page.cursor).collect();
    let limit = page.limit as usize;
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(key);
    Page { items, next }
}

/// A JSON body of a known shape.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        media_type(request.headers(), "application/json")?;
        let octets = read(request, crate::BODY_OCTETS_MAX).await?;
        let mut json = serde_json::Deserializer::from_slice(&octets);
        let value = serde_path_to_error::deserialize(&mut json).map_err(|error| wrong_json(&error))?;
        json.end().map_err(|error| Problem::invalid_body(error.to_string()))?;
        Ok(Self(value))
    }
}

fn wrong_json(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let detail = error.inner().to_string();
    if !error.inner().is_data() {
        return Problem::invalid_body(detail);
    }
    // The path ends at the object that lacks a field or has one too many; the field itself is in the text only.
    let parent = error.path().to_string();
    let parent = if parent == "." { "" } else { parent.as_str() };
    let named = detail.starts_with("unknown field") || detail.starts_with("missing field");
    let field = match quoted(&detail).filter(|_| named) {
        Some(name) if parent.is_empty() => name.to_owned(),
        Some(name) if parent == name || parent.ends_with(&format!(".{name}")) => parent.to_owned(),
        Some(name) => format!("{parent}.{name}"),
        None => parent.to_owned(),
    };
    let problem = Problem::invalid_field(detail);
    if field.is_empty() { problem } else { problem.field(field) }
}

/// The first `name` in backticks.
fn quoted(text: &str) -> Option<&str> {
    text.split('`').nth(1)
}

/// A CSV body.
pub(crate) async fn csv(request: Request) -> Result<Bytes, Problem> {
    media_type(request.headers(), "text/csv")?;
    read(request, crate::IMPORT_OCTETS_MAX).await
}

fn media_type(headers: &HeaderMap, expected: &str) -> Result<(), Problem> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    Err(Problem::media_type(format!("expected the header `Content-Type: {expected}`")))
}

async fn read(request: Request<Body>, octets_max: usize) -> Result<Bytes, Problem> {
    let too_large = || Problem::body_too_large(format!("expected at most {octets_max} octets"));
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: u64| length > octets_max as u64) {
        return Err(too_large());
    }
    let body = http_body_util::Limited::new(request.into_body(), octets_max);
    let collected = tokio::time::timeout(Duration::from_secs(BODY_S), http_body_util::BodyExt::collect(body)).await;
    match collected {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Problem::invalid_body("the connection ended within the body")),
        Err(_) => Err(Problem::invalid_body(format!("the body did not arrive within {BODY_S} s"))),
    }
}
