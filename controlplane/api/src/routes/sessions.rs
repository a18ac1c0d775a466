//! PDU sessions.

use crate::Problem;
use crate::extract::{Named, Params, PathSession, PathSupi, page};
use crate::types::{Outcome, Page, Session};
use axum::Json;
use coeur_model::Supi;
use serde::Deserialize;
use utoipa::IntoParams;

/// Which sessions are wanted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SessionParams {
    /// Only those of this subscriber.
    supi: Option<String>,
    /// Most items of the answer: 1 to 1000.
    #[param(default = 100, minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next` of the answer before.
    #[param(max_length = 128)]
    cursor: Option<String>,
}

/// PDU sessions
///
/// In the order of SUPI and PDU session identity.
#[utoipa::path(
    get, path = "/operator/v1/cores/{core}/sessions", tag = "sessions", operation_id = "listSessions",
    params(("core" = String, Path, description = "Name of the core"), SessionParams),
    responses((status = 200, description = "The sessions", body = Page<Session>))
)]
pub(crate) async fn list(named: Named, Params(params): Params<SessionParams>) -> Result<Json<Page<Session>>, Problem> {
    let wrong = |error: coeur_model::Invalid| Problem::invalid_field(error.to_string()).field("supi");
    let supi: Option<Supi> = params.supi.map(|text| text.parse().map_err(wrong)).transpose()?;
    let page = page(params.limit, params.cursor)?;
    Ok(Json(named.core.sessions(supi.as_ref(), page).await?))
}

/// Release a PDU session
///
/// Network-requested release (TS 24.501, 6.3.3). Answers when the procedure has ended.
#[utoipa::path(
    post, path = "/operator/v1/cores/{core}/sessions/{supi}/{id}/release", tag = "sessions",
    operation_id = "releaseSession",
    params(
        ("core" = String, Path, description = "Name of the core"),
        ("supi" = String, Path, description = "SUPI, as imsi-001010000000001"),
        ("id" = u8, Path, description = "PDU session identity, 1 to 15"),
    ),
    responses((status = 200, description = "The session is released", body = Outcome))
)]
pub(crate) async fn release(
    named: Named,
    PathSupi(supi): PathSupi,
    PathSession(id): PathSession,
) -> Result<Json<Outcome>, Problem> {
    let outcome = named.core.release_session(&supi, id).await?;
    tracing::info!(core = named.name, %supi, session = id.get(), ?outcome, "the operator released a session");
    Ok(Json(outcome.into()))
}
