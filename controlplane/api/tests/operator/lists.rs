use crate::fake::{Fixture, MINE, PLANT, SUPI};
use axum::http::Method;

#[tokio::test]
async fn cores_are_listed_even_when_they_are_down() {
    let fixture = Fixture::new();
    let cores = fixture.get("/operator/v1/cores").await.json();
    assert_eq!((cores["items"][0]["name"].as_str(), cores["items"][1]["name"].as_str()), (Some("mine"), Some("plant")));
    assert!(cores.get("next").is_none());
    let status = fixture.get(PLANT).await.json();
    assert_eq!(
        (status["sctp"].as_str(), status["started"].as_str()),
        (Some("usrsctp"), Some("1970-01-01T00:00:00.000Z"))
    );
}

#[tokio::test]
async fn a_core_that_does_not_exist_is_404_and_one_that_is_down_is_503() {
    let fixture = Fixture::new();
    for rest in ["", "/gnbs", "/ues", "/sessions", "/subscribers", "/events"] {
        let (status, kind, ..) = fixture.get(&format!("/operator/v1/cores/none{rest}")).await.refused();
        assert_eq!((status, kind.as_str()), (404, "unknown-core"), "{rest}");
        let down = fixture.get(&format!("{MINE}{rest}")).await;
        let (status, kind, _, detail) = down.refused();
        assert_eq!((status, kind.as_str(), detail.as_str()), (503, "core-unavailable", "core mine is down"), "{rest}");
        assert!(down.problem().hint.is_some());
    }
}

#[tokio::test]
async fn gnbs_come_in_the_order_of_their_identity_page_by_page() {
    let fixture = Fixture::new();
    let mut path = format!("{PLANT}/gnbs?limit=2");
    let mut seen = Vec::new();
    loop {
        let page = fixture.get(&path).await.json();
        seen.extend(page["items"].as_array().unwrap().iter().map(|gnb| gnb["id"]["id"].as_u64().unwrap()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("{PLANT}/gnbs?limit=2&cursor={next}");
    }
    assert_eq!(seen, [1, 2, 3]);
}

#[tokio::test]
async fn sessions_are_filtered_and_paged() {
    let fixture = Fixture::new();
    let first = fixture.get(&format!("{PLANT}/sessions?limit=1&supi={SUPI}")).await.json();
    assert_eq!(first["items"][0]["ipv4"], "10.45.0.1");
    let next = first["next"].as_str().unwrap().replace('/', "%2F");
    let second = fixture.get(&format!("{PLANT}/sessions?limit=1&cursor={next}")).await.json();
    assert_eq!((second["items"][0]["id"].as_u64(), second.get("next")), (Some(2), None));
    let other = fixture.get(&format!("{PLANT}/sessions?supi=imsi-001019999999999")).await.json();
    assert_eq!(other["items"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn a_wrong_query_names_its_field() {
    let fixture = Fixture::new();
    for (query, field, says) in [
        ("limit=0", "limit", "1 to 1000"),
        ("limit=1001", "limit", "1 to 1000"),
        ("limit=x", "limit", "invalid digit"),
        ("limits=1", "limits", "unknown field `limits`, expected"),
        (&*format!("cursor={}", "c".repeat(129)), "cursor", "`next`"),
    ] {
        for list in ["gnbs", "ues", "subscribers", "sessions"] {
            let (status, kind, named, detail) = fixture.get(&format!("{PLANT}/{list}?{query}")).await.refused();
            assert_eq!(
                (status, kind.as_str(), named.as_deref()),
                (400, "invalid-field", Some(field)),
                "{list}?{query}"
            );
            assert!(detail.contains(says), "{says:?} not in {detail:?}");
        }
    }
    let (status, _, field, _) = fixture.get(&format!("{PLANT}/sessions?supi=12")).await.refused();
    assert_eq!((status, field.as_deref()), (400, Some("supi")));
}

#[tokio::test]
async fn what_is_not_there_is_said_to_be_so() {
    let fixture = Fixture::new();
    assert_eq!(fixture.get(&format!("{PLANT}/ues/imsi-001019999999999")).await.refused().1, "not-found");
    assert_eq!(fixture.get("/operator/v1/core").await.refused().1, "unknown-route");
    assert_eq!(fixture.call(Method::DELETE, PLANT).await.refused().1, "method-not-allowed");
    let ue = fixture.get(&format!("{PLANT}/ues/001010000000001")).await.json();
    assert_eq!((ue["supi"].as_str(), ue["cm_state"].as_str()), (Some(SUPI), Some("connected")));
}
