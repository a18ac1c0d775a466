use crate::fake::{Fixture, K, PLANT};
use axum::body::Body;
use axum::http::{Method, header};
use coeur_api::{BODY_OCTETS_MAX, IMPORT_OCTETS_MAX};

#[tokio::test]
async fn a_body_of_another_media_type_is_refused() {
    let fixture = Fixture::new();
    let path = format!("{PLANT}/subscribers");
    for media_type in ["text/plain", "application/jsonp", "application/x-www-form-urlencoded"] {
        let (status, kind, _, detail) = fixture.with_body(Method::POST, &path, media_type, "{}").await.refused();
        assert_eq!((status, kind.as_str()), (415, "media-type"));
        assert!(detail.contains("application/json"));
    }
    let accepted = fixture.with_body(Method::POST, &path, "Application/JSON; charset=utf-8", "{}").await.refused();
    assert_eq!(accepted.1, "invalid-field");
    let (status, ..) =
        fixture.with_body(Method::POST, &format!("{path}/import"), "application/json", "").await.refused();
    assert_eq!(status, 415);
}

#[tokio::test]
async fn a_body_that_is_no_json_is_refused_with_line_and_column() {
    let fixture = Fixture::new();
    for body in ["", "{", "{}x", "\u{0}", "[1,2", "{\"supi\": 1e999}", &"[".repeat(10_000)] {
        let path = format!("{PLANT}/subscribers");
        let answer = fixture.with_body(Method::POST, &path, "application/json", body.to_owned()).await;
        let (status, kind, _, detail) = answer.refused();
        assert!(status == 400 && (kind == "invalid-body" || kind == "invalid-field"), "{body:.20}: {kind} {detail}");
    }
}

#[tokio::test]
async fn a_body_beyond_its_limit_is_refused_whether_it_is_announced_or_not() {
    let fixture = Fixture::new();
    let path = format!("{PLANT}/subscribers");
    let large = format!("{{\"k\": \"{}\"}}", "0".repeat(BODY_OCTETS_MAX));
    let (status, kind, ..) = fixture.with_body(Method::POST, &path, "application/json", large.clone()).await.refused();
    assert_eq!((status, kind.as_str()), (413, "body-too-large"));
    let parts = large.into_bytes().chunks(1_000).map(|part| Ok::<_, std::io::Error>(part.to_vec())).collect::<Vec<_>>();
    let streamed = Body::from_stream(tokio_stream::iter(parts));
    assert_eq!(fixture.with_body(Method::POST, &path, "application/json", streamed).await.refused().0, 413);

    let mut announced = fixture.request(Method::POST, &format!("{path}/import"));
    announced.headers_mut().insert(header::CONTENT_TYPE, "text/csv".parse().unwrap());
    announced.headers_mut().insert(header::CONTENT_LENGTH, (IMPORT_OCTETS_MAX + 1).into());
    assert_eq!(fixture.send(announced).await.status(), 413);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_the_callers_fault() {
    let fixture = Fixture::new();
    let parts = [Ok(K.to_owned()), Err(std::io::Error::other("gone"))];
    let broken = Body::from_stream(tokio_stream::iter(parts));
    let answer = fixture.with_body(Method::POST, &format!("{PLANT}/subscribers"), "application/json", broken).await;
    assert_eq!(answer.refused().1, "invalid-body");
}
