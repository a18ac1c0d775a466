use crate::fake::{Fixture, PLANT, SUPI};
use axum::http::Method;
use coeur_api::types::CoreState;
use std::io::Write as _;
use std::process::{Command, Stdio};

#[tokio::test]
async fn alive_is_not_ready() {
    for state in [CoreState::Starting, CoreState::Down, CoreState::Stopping] {
        let fixture = Fixture::with(state);
        assert_eq!(fixture.get("/healthz").await.status, 200);
        let (status, kind, _, detail) = fixture.get("/readyz").await.refused();
        assert_eq!((status, kind.as_str(), detail.as_str()), (503, "not-ready", "0 of 2 cores are ready"));
    }
    assert_eq!(Fixture::new().get("/readyz").await.text, "ok\n");
}

#[tokio::test]
async fn the_document_is_served() {
    let answer = Fixture::new().get("/operator/v1/openapi.json").await;
    assert_eq!(answer.text, coeur_api::document());
    assert_eq!(answer.json()["info"]["title"], "Coeur operator API");
}

#[tokio::test]
async fn figures_are_labelled_by_route_and_hold_no_identity() {
    let fixture = Fixture::new();
    fixture.get(&format!("{PLANT}/ues/{SUPI}")).await;
    fixture.get(&format!("/{SUPI}")).await;
    fixture.call(Method::from_bytes(b"IMSI001010000000001").unwrap(), "/healthz").await;
    let text = fixture.get("/metrics").await.text;
    let route = "route=\"/operator/v1/cores/{core}/ues/{supi}\"";
    assert!(
        text.contains(&format!("coeur_platform_api_requests_total{{method=\"GET\",{route},status=\"200\"}} 1")),
        "{text}"
    );
    assert!(text.contains("method=\"other\",route=\"/healthz\""), "{text}");
    assert!(text.contains("route=\"none\",status=\"404\""), "{text}");
    assert!(!text.contains("00101000"), "{text}");
}

/// Only where promtool is (Debian package prometheus); `cargo xtask test` makes sure of it.
#[tokio::test]
async fn promtool_finds_nothing_to_say() {
    let fixture = Fixture::new();
    fixture.get(PLANT).await;
    let text = fixture.get("/metrics").await.text;
    let promtool =
        Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut promtool) = promtool else { return };
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
