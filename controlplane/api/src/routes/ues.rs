//! Registered UEs.

use crate::Problem;
use crate::extract::{Named, PageParams, Params, PathSupi};
use crate::types::{Outcome, Page, Ue};
use axum::Json;

/// Registered UEs
///
/// In the order of their SUPI.
#[utoipa::path(
    get, path = "/operator/v1/cores/{core}/ues", tag = "ues", operation_id = "listUes",
    params(("core" = String, Path, description = "Name of the core"), PageParams),
    responses((status = 200, description = "The UEs", body = Page<Ue>))
)]
pub(crate) async fn list(named: Named, Params(page): Params<PageParams>) -> Result<Json<Page<Ue>>, Problem> {
    Ok(Json(named.core.ues(page.check()?).await?))
}

/// A registered UE
#[utoipa::path(
    get, path = "/operator/v1/cores/{core}/ues/{supi}", tag = "ues", operation_id = "ue",
    params(
        ("core" = String, Path, description = "Name of the core"),
        ("supi" = String, Path, description = "SUPI, as imsi-001010000000001"),
    ),
    responses((status = 200, description = "The UE", body = Ue))
)]
pub(crate) async fn one(named: Named, PathSupi(supi): PathSupi) -> Result<Json<Ue>, Problem> {
    Ok(Json(named.core.ue(&supi).await?))
}

/// Deregister a UE
///
/// Network-initiated deregistration (TS 24.501, 5.5.2.3). Answers when the procedure has ended.
#[utoipa::path(
    post, path = "/operator/v1/cores/{core}/ues/{supi}/deregister", tag = "ues", operation_id = "deregisterUe",
    params(
        ("core" = String, Path, description = "Name of the core"),
        ("supi" = String, Path, description = "SUPI, as imsi-001010000000001"),
    ),
    responses((status = 200, description = "The UE is deregistered", body = Outcome))
)]
pub(crate) async fn deregister(named: Named, PathSupi(supi): PathSupi) -> Result<Json<Outcome>, Problem> {
    let outcome = named.core.deregister_ue(&supi).await?;
    tracing::info!(core = named.name, %supi, ?outcome, "the operator deregistered a UE");
    Ok(Json(outcome.into()))
}
