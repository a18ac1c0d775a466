use crate::fake::{Answer, Fixture, K, PLANT};
use axum::body::Body;
use axum::http::{Method, Request, header};

/// Method and path of every operation in the served document, with real names in the path.
fn operations() -> Vec<(Method, String)> {
    let document: serde_json::Value = serde_json::from_str(&coeur_api::document()).unwrap();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let path = path.replace("{core}", "plant").replace("{supi}", "imsi-001010000000001").replace("{id}", "1");
        let methods = item.as_object().unwrap().keys();
        operations.extend(methods.map(|method| (method.to_uppercase().parse().unwrap(), path.clone())));
    }
    operations
}

fn is_open(path: &str) -> bool {
    !path.starts_with("/operator/v1/cores")
}

#[tokio::test]
async fn without_the_token_nothing_answers_but_what_machines_ask() {
    let fixture = Fixture::new();
    let operations = operations();
    assert_eq!(operations.len(), 19);
    let wrong = ["", "Basic abc", "Bearer", "Bearer ", &format!("Bearer {K}"), &format!("bearer{}", fixture.token)];
    for (method, path) in &operations {
        for authorization in wrong {
            let mut request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
            if !authorization.is_empty() {
                request.headers_mut().insert(header::AUTHORIZATION, authorization.parse().unwrap());
            }
            let answer = fixture.send(request).await;
            assert_eq!(answer.status() == 401, !is_open(path), "{method} {path} with {authorization:?}");
            if answer.status() == 401 {
                assert!(answer.headers()[header::WWW_AUTHENTICATE].to_str().unwrap().starts_with("Bearer"));
                let problem = Answer::read(answer).await.problem();
                assert!(problem.hint.unwrap().contains("operator.token"));
            }
        }
    }
    assert!(fixture.plant.subscribers.lock().unwrap().is_empty());
    assert!(fixture.plant.deregistered.lock().unwrap().is_empty());
}

#[tokio::test]
async fn with_the_token_every_operation_of_the_document_is_there() {
    let fixture = Fixture::new();
    for (method, path) in operations() {
        let answer = fixture.call(method.clone(), &path).await;
        let refused = (!answer.status.is_success()).then(|| answer.refused().1);
        assert!(!matches!(refused.as_deref(), Some("unknown-route" | "method-not-allowed" | "unauthorized")), "{path}");
    }
}

#[tokio::test]
async fn the_scheme_is_case_insensitive() {
    let fixture = Fixture::new();
    let request = Request::builder().uri(PLANT).header(header::AUTHORIZATION, format!("bEARER {}", fixture.token));
    assert_eq!(fixture.send(request.body(Body::empty()).unwrap()).await.status(), 200);
}

#[tokio::test]
async fn who_has_no_token_does_not_learn_what_exists() {
    let fixture = Fixture::new();
    for path in ["/operator/v1/cores/none", "/operator/v1/nothing", "/"] {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        assert_eq!(fixture.send(request).await.status(), 401, "{path}");
    }
}
