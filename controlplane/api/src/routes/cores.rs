//! Hosted cores.

use super::App;
use crate::extract::{Named, PageParams, Params};
use crate::types::{CoreStatus, CoreSummary, Page};
use crate::{Problem, extract};
use axum::Json;
use axum::extract::State;

/// Hosted cores
///
/// As the platform sees them, in the order of their names. A core that is down is in the list.
#[utoipa::path(
    get, path = "/operator/v1/cores", tag = "cores", operation_id = "listCores", params(PageParams),
    responses((status = 200, description = "The cores", body = Page<CoreSummary>))
)]
pub(crate) async fn list(
    State(app): State<App>,
    Params(page): Params<PageParams>,
) -> Result<Json<Page<CoreSummary>>, Problem> {
    let page = page.check()?;
    Ok(Json(extract::page_of(app.platform.cores(), &page, |core| core.name.clone())))
}

/// Status of a core
///
/// As it sees itself.
#[utoipa::path(
    get, path = "/operator/v1/cores/{core}", tag = "cores", operation_id = "coreStatus",
    params(("core" = String, Path, description = "Name of the core")),
    responses((status = 200, description = "The status", body = CoreStatus))
)]
pub(crate) async fn status(named: Named) -> Result<Json<CoreStatus>, Problem> {
    let (status, _) = named.core.status().await?;
    Ok(Json(status))
}
