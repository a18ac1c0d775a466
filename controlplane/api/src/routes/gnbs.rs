//! Connected gNBs.

use crate::Problem;
use crate::extract::{Named, PageParams, Params, page_of};
use crate::types::{Gnb, Page};
use axum::Json;

/// Connected gNBs
///
/// Those whose NG Setup was accepted, in the order of their identity.
#[utoipa::path(
    get, path = "/operator/v1/cores/{core}/gnbs", tag = "gnbs", operation_id = "listGnbs",
    params(("core" = String, Path, description = "Name of the core"), PageParams),
    responses((status = 200, description = "The gNBs", body = Page<Gnb>))
)]
pub(crate) async fn list(named: Named, Params(page): Params<PageParams>) -> Result<Json<Page<Gnb>>, Problem> {
    let page = page.check()?;
    let (_, gnbs) = named.core.status().await?;
    Ok(Json(page_of(gnbs, &page, |gnb| format!("{}-{:08x}-{}", gnb.id.plmn, gnb.id.id, gnb.id.bits))))
}
