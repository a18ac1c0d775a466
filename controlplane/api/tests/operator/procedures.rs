use crate::fake::{Fixture, PLANT, SUPI, supi};
use axum::http::{Method, header};
use coeur_api::EventsFrom;

#[tokio::test]
async fn deregistration_says_whether_the_phone_took_part() {
    let fixture = Fixture::new();
    let path = format!("{PLANT}/ues/{SUPI}/deregister");
    assert_eq!(fixture.call(Method::POST, &path).await.json()["acknowledged"], true);
    assert_eq!(fixture.call(Method::POST, &path).await.json()["acknowledged"], false);
    assert_eq!(*fixture.plant.deregistered.lock().unwrap(), [supi(), supi()]);
    let wrong = fixture.call(Method::POST, &format!("{PLANT}/ues/%ff/deregister")).await.refused();
    assert_eq!((wrong.0, wrong.3.as_str()), (400, "expected UTF-8 in the path"));
}

#[tokio::test]
async fn sessions_are_released_by_their_identity() {
    let fixture = Fixture::new();
    let path = |id: &str| format!("{PLANT}/sessions/{SUPI}/{id}/release");
    assert_eq!(fixture.call(Method::POST, &path("2")).await.json()["acknowledged"], true);
    assert_eq!(*fixture.plant.released.lock().unwrap(), [(supi(), 2)]);
    assert_eq!(fixture.call(Method::POST, &path("3")).await.refused().0, 404);
    for wrong in ["0", "16", "-1", "x", "1.0"] {
        let (status, kind, field, _) = fixture.call(Method::POST, &path(wrong)).await.refused();
        assert_eq!((status, kind.as_str(), field.as_deref()), (400, "invalid-field", Some("id")), "{wrong}");
    }
}

#[tokio::test]
async fn events_are_server_sent_and_go_on_where_they_ended() {
    let fixture = Fixture::new();
    let answer = fixture.get(&format!("{PLANT}/events")).await;
    assert_eq!((answer.status.as_u16(), answer.media_type.as_str()), (200, "text/event-stream"));
    let first = answer.text.split("\n\n").next().unwrap();
    let lines: Vec<_> = first.lines().collect();
    assert!(lines.contains(&"id: 7-1") && lines.contains(&"event: ue-registered"), "{first}");
    let data = lines.iter().find_map(|line| line.strip_prefix("data: ")).unwrap();
    let event: coeur_api::types::Event = serde_json::from_str(data).unwrap();
    assert_eq!((event.run, event.sequence), (7, 1));

    fixture.get(&format!("{PLANT}/events?live=true")).await;
    fixture.get(&format!("{PLANT}/events?after=7-1")).await;
    let mut request = fixture.request(Method::GET, &format!("{PLANT}/events?after=7-1"));
    request.headers_mut().insert("last-event-id", "7-2".parse().unwrap());
    assert_eq!(fixture.send(request).await.headers()[header::CONTENT_TYPE], "text/event-stream");
    let after = |sequence| EventsFrom::After { run: 7, sequence };
    assert_eq!(*fixture.plant.watched.lock().unwrap(), [EventsFrom::Oldest, EventsFrom::Now, after(1), after(2)]);

    for wrong in ["7", "a-b", "", "1-2-3"] {
        assert_eq!(fixture.get(&format!("{PLANT}/events?after={wrong}")).await.refused().2.as_deref(), Some("after"));
    }
}

#[tokio::test]
async fn streams_of_events_are_limited_and_given_back() {
    let fixture = Fixture::new();
    let path = format!("{PLANT}/events");
    let mut open = Vec::new();
    for _ in 0..coeur_api::EVENT_STREAMS_MAX {
        open.push(fixture.send(fixture.request(Method::GET, &path)).await);
    }
    let (status, kind, ..) = fixture.get(&path).await.refused();
    assert_eq!((status, kind.as_str()), (503, "busy"));
    let figure = format!("coeur_platform_api_event_streams {}", coeur_api::EVENT_STREAMS_MAX);
    assert!(fixture.get("/metrics").await.text.contains(&figure));
    open.clear();
    assert_eq!(fixture.get(&path).await.status, 200);
    assert!(fixture.get("/metrics").await.text.contains("coeur_platform_api_event_streams 0"));
}
