use crate::fake::{Fixture, K, OP, OPC, PLANT, SUPI, supi};
use axum::body::{Body, Bytes};
use axum::http::{Method, Request, header};
use coeur_model::Secret;
use serde_json::json;

fn path(rest: &str) -> String {
    format!("{PLANT}/subscribers{rest}")
}

#[tokio::test]
async fn a_subscriber_is_added_shown_changed_and_removed() {
    let fixture = Fixture::new();
    let added = fixture.json(Method::POST, &path(""), &json!({"supi": SUPI, "k": K, "opc": OPC, "sqn": "ff"})).await;
    assert_eq!((added.status.as_u16(), added.location.as_deref()), (201, Some(&*path(&format!("/{SUPI}")))));
    assert_eq!(added.json()["profile"]["slices"][0]["dnns"][0]["dnn"], "internet", "the core's own is the default");
    {
        let subscribers = fixture.plant.subscribers.lock().unwrap();
        let new = &subscribers[&supi()];
        assert_eq!((new.sqn, new.amf), (0xFF, [0x80, 0]));
        assert_eq!((new.k.clone(), new.opc.clone()), (Secret::from_hex(K).unwrap(), Secret::from_hex(OPC).unwrap()));
    }
    let again = fixture.json(Method::POST, &path(""), &json!({"supi": SUPI, "k": K, "opc": OPC})).await.refused();
    assert_eq!((again.0, again.1.as_str()), (409, "exists"));

    let profile = json!({
        "ue_ambr": {"uplink": "10 Mbps", "downlink": "20 Mbps"},
        "slices": [{"snssai": "1-010203", "default": true, "dnns": [{"dnn": "ims", "five_qi": 5}]}],
    });
    let changed = fixture.json(Method::PUT, &path(&format!("/{SUPI}/profile")), &profile).await.json();
    assert_eq!(changed["profile"]["slices"][0]["snssai"], "1-010203");
    assert_eq!(changed["profile"]["ue_ambr"]["downlink"], "20 Mbps");
    assert_eq!(fixture.get(&path(&format!("/{SUPI}"))).await.json(), changed);

    assert_eq!(fixture.call(Method::DELETE, &path(&format!("/{SUPI}"))).await.status, 204);
    assert_eq!(fixture.call(Method::DELETE, &path(&format!("/{SUPI}"))).await.refused().0, 404);
    assert_eq!(fixture.json(Method::PUT, &path(&format!("/{SUPI}/profile")), &profile).await.refused().0, 404);
}

#[tokio::test]
async fn an_operator_may_give_op_and_no_answer_ever_has_a_key() {
    let fixture = Fixture::new();
    let added = fixture.json(Method::POST, &path(""), &json!({"supi": SUPI, "k": K, "op": OP})).await;
    assert_eq!(fixture.plant.subscribers.lock().unwrap()[&supi()].opc, Secret::from_hex(OPC).unwrap());
    for text in [added.text, fixture.get(&path("")).await.text, fixture.get(&path(&format!("/{SUPI}"))).await.text] {
        for key in [K, OP, OPC] {
            assert!(!text.contains(key), "{text}");
        }
    }
}

#[tokio::test]
async fn a_wrong_body_names_its_field_and_repeats_no_key() {
    let fixture = Fixture::new();
    let slice = json!({"snssai": "1", "default": true, "dnns": [{"dnn": "internet"}]});
    let with = |name: &str, value: serde_json::Value| {
        let mut body = json!({"supi": SUPI, "k": K, "opc": OPC});
        body[name] = value;
        body
    };
    for (body, field, says) in [
        (json!({"supi": SUPI, "opc": OPC}), "k", "missing field `k`"),
        (json!({"supi": SUPI, "k": K}), "opc", "missing"),
        (with("op", json!(OP)), "op", "not both"),
        (with("k", json!("465b")), "k", "expected 32 hex digits, got 4"),
        (with("supi", json!("12")), "supi", "5 to 15 digits"),
        (with("amf", json!("0000")), "amf", "separation bit"),
        (with("sqn", json!("x")), "sqn", "hex digits"),
        (with("pin", json!(1)), "pin", "unknown field `pin`, expected"),
        (with("profile", json!({"slices": []})), "profile.slices", "1 to 8"),
        (with("profile", json!({"slices": [slice], "x": 1})), "profile.x", "unknown field `x`"),
        (with("profile", json!({"slices": [{"snssai": "256", "dnns": []}]})), "profile.slices[0].snssai", "S-NSSAI"),
        (with("profile", json!({"slices": [slice, slice]})), "profile.slices[1].snssai", "once only"),
        (with("profile", json!({"slices": [{"dnns": []}]})), "profile.slices[0].snssai", "missing field"),
    ] {
        let answer = fixture.json(Method::POST, &path(""), &body).await;
        let (status, kind, named, detail) = answer.refused();
        assert_eq!((status, kind.as_str(), named.as_deref()), (400, "invalid-field", Some(field)), "{body}: {detail}");
        assert!(detail.contains(says), "{says:?} not in {detail:?}");
        assert!(!answer.text.contains(K), "{answer:?}");
    }
    let unfit = json!({"slices": [{"snssai": "99", "default": true, "dnns": [{"dnn": "internet"}]}]});
    let (status, kind, ..) = fixture.json(Method::POST, &path(""), &with("profile", unfit)).await.refused();
    assert_eq!((status, kind.as_str()), (409, "unfit"));
}

#[tokio::test]
async fn a_file_is_imported_as_a_whole_or_not_at_all() {
    let fixture = Fixture::new();
    let answer = fixture.csv(format!("supi,k,opc\n001010000000001,{K},{OPC}\n001010000000002,{K},{OPC}\n")).await;
    assert_eq!(answer.json()["added"], 2);
    for (file, line, kind) in [
        (format!("supi,k,opc\n\n001010000000003,{K},{OPC}\n001010000000002,{K},{OPC}\n"), Some(4), "exists"),
        (format!("supi,k,opc,slices\n001010000000003,{K},{OPC},1\n001010000000004,{K},{OPC},99\n"), Some(3), "unfit"),
        (format!("supi,k,opc\n001010000000003,{K},{OPC}\n001010000000004,{K},\n"), Some(3), "invalid-field"),
        ("supi,k\n".to_owned(), Some(1), "invalid-field"),
        (String::new(), None, "invalid-body"),
    ] {
        let answer = fixture.csv(file.clone()).await;
        assert_eq!((answer.problem().line, answer.refused().1.as_str()), (line, kind), "{file}");
        assert_eq!(fixture.plant.subscribers.lock().unwrap().len(), 2, "nothing of it is added");
    }
    let list = fixture.get(&path("?limit=1")).await.json();
    assert_eq!((list["items"].as_array().unwrap().len(), list["next"].as_str()), (1, Some(SUPI)));
}

#[tokio::test]
async fn one_import_at_a_time() {
    let fixture = Fixture::new();
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    let body = Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(receiver));
    let slow = Request::builder()
        .method(Method::POST)
        .uri(path("/import"))
        .header(header::AUTHORIZATION, format!("Bearer {}", fixture.token))
        .header(header::CONTENT_TYPE, "text/csv")
        .body(body)
        .unwrap();
    let first = fixture.send(slow);
    let meanwhile = async {
        sender.send(Ok(Bytes::from_static(b"supi,k,"))).await.unwrap();
        let busy = fixture.csv("supi,k,opc\n").await.refused();
        assert_eq!((busy.0, busy.1.as_str()), (503, "busy"));
        sender.send(Ok(Bytes::from_static(b"opc\n"))).await.unwrap();
        drop(sender);
    };
    let (first, ()) = tokio::join!(first, meanwhile);
    assert_eq!(first.status(), 200);
    assert_eq!(fixture.csv("supi,k,opc\n").await.json()["added"], 0);
}
