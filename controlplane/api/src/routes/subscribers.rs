//! Subscribers. Every change is logged, with the identity masked.

use super::App;
use crate::extract::{self, Json as Body, Named, PageParams, Params, PathSupi};
use crate::types::{ImportResult, Page, Profile, Subscriber, SubscriberRequest};
use crate::{ImportError, Problem, csv};
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;

/// Subscribers
///
/// In the order of their SUPI, without their keys.
#[utoipa::path(
    get, path = "/operator/v1/cores/{core}/subscribers", tag = "subscribers", operation_id = "listSubscribers",
    params(("core" = String, Path, description = "Name of the core"), PageParams),
    responses((status = 200, description = "The subscribers", body = Page<Subscriber>))
)]
pub(crate) async fn list(named: Named, Params(page): Params<PageParams>) -> Result<Json<Page<Subscriber>>, Problem> {
    Ok(Json(named.core.subscribers(page.check()?).await?))
}

/// A subscriber
#[utoipa::path(
    get, path = "/operator/v1/cores/{core}/subscribers/{supi}", tag = "subscribers", operation_id = "subscriber",
    params(
        ("core" = String, Path, description = "Name of the core"),
        ("supi" = String, Path, description = "SUPI, as imsi-001010000000001"),
    ),
    responses((status = 200, description = "The subscriber", body = Subscriber))
)]
pub(crate) async fn one(named: Named, PathSupi(supi): PathSupi) -> Result<Json<Subscriber>, Problem> {
    Ok(Json(named.core.subscriber(&supi).await?))
}

/// Add a subscriber
#[utoipa::path(
    post, path = "/operator/v1/cores/{core}/subscribers", tag = "subscribers", operation_id = "addSubscriber",
    params(("core" = String, Path, description = "Name of the core")), request_body = SubscriberRequest,
    responses((
        status = 201, description = "The subscriber is stored", body = Subscriber,
        headers(("location" = String, description = "Path of the subscriber")),
    ))
)]
pub(crate) async fn add(named: Named, Body(request): Body<SubscriberRequest>) -> Result<impl IntoResponse, Problem> {
    let new = request.check(|| named.core.default_profile())?;
    let supi = new.supi.clone();
    let added = named.core.add_subscriber(new).await?;
    tracing::info!(core = named.name, %supi, "the operator added a subscriber");
    let location = format!("/operator/v1/cores/{}/subscribers/{}", named.name, supi.expose());
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(added)))
}

/// Change what a subscriber may use
///
/// Sessions that exist are not changed; the new profile counts from the next registration or session on.
#[utoipa::path(
    put, path = "/operator/v1/cores/{core}/subscribers/{supi}/profile", tag = "subscribers",
    operation_id = "updateProfile", request_body = Profile,
    params(
        ("core" = String, Path, description = "Name of the core"),
        ("supi" = String, Path, description = "SUPI, as imsi-001010000000001"),
    ),
    responses((status = 200, description = "The profile is stored", body = Subscriber))
)]
pub(crate) async fn update_profile(
    named: Named,
    PathSupi(supi): PathSupi,
    Body(profile): Body<Profile>,
) -> Result<Json<Subscriber>, Problem> {
    let updated = named.core.update_profile(&supi, profile.check("")?).await?;
    tracing::info!(core = named.name, %supi, "the operator changed a subscriber's profile");
    Ok(Json(updated))
}

/// Remove a subscriber
///
/// A registered UE of the subscriber is deregistered.
#[utoipa::path(
    delete, path = "/operator/v1/cores/{core}/subscribers/{supi}", tag = "subscribers",
    operation_id = "removeSubscriber",
    params(
        ("core" = String, Path, description = "Name of the core"),
        ("supi" = String, Path, description = "SUPI, as imsi-001010000000001"),
    ),
    responses((status = 204, description = "The subscriber is removed"))
)]
pub(crate) async fn remove(named: Named, PathSupi(supi): PathSupi) -> Result<StatusCode, Problem> {
    named.core.remove_subscriber(&supi).await?;
    tracing::info!(core = named.name, %supi, "the operator removed a subscriber");
    Ok(StatusCode::NO_CONTENT)
}

/// Import subscribers
///
/// A CSV file with a header line. Columns: supi, k, opc or op; amf, sqn, slices, dnns, ue_ambr_uplink, ue_ambr_downlink,
/// ipv4. All records are added, or none; a refusal names the line.
#[utoipa::path(
    post, path = "/operator/v1/cores/{core}/subscribers/import", tag = "subscribers",
    operation_id = "importSubscribers", params(("core" = String, Path, description = "Name of the core")),
    request_body(content = String, content_type = "text/csv", example = "supi,k,opc\n"),
    responses((status = 200, description = "All are stored", body = ImportResult))
)]
pub(crate) async fn import(
    State(app): State<App>,
    named: Named,
    request: axum::extract::Request,
) -> Result<Json<ImportResult>, Problem> {
    // Before the body is read, because it is the body that costs memory.
    let busy = |_| Problem::busy("another import is under way").hint("try again when it has ended");
    let _permit = app.imports.try_acquire().map_err(busy)?;
    let octets = extract::csv(request).await?;
    let records = csv::parse(&octets, &named.core.default_profile())?;
    drop(octets);
    let csv::Records { subscribers, lines } = records;
    let added = named.core.import(subscribers).await.map_err(|ImportError { record, error }| {
        let problem = Problem::from(error);
        match record.and_then(|index| lines.get(index)) {
            Some(line) => problem.line(*line),
            None => problem,
        }
    })?;
    tracing::info!(core = named.name, added, "the operator imported subscribers");
    Ok(Json(ImportResult { added }))
}
