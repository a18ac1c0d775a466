//! The OpenAPI document, generated from the operations and their types.

use crate::routes::{cores, events, gnbs, probes, sessions, subscribers, ues};
use crate::{Problem, types};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder};
use utoipa::{Modify, OpenApi};

/// Where the document is served.
pub(crate) const PATH: &str = "/operator/v1/openapi.json";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Coeur operator API",
        description = "Hosted 5G cores: subscribers, registered UEs, PDU sessions, gNBs, events. Every refusal is a \
                       problem document (RFC 9457). Lists are cut into pages: `next` of an answer is the `cursor` of the \
                       next request.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        cores::list, cores::status,
        gnbs::list,
        ues::list, ues::one, ues::deregister,
        sessions::list, sessions::release,
        subscribers::list, subscribers::one, subscribers::add, subscribers::import,
        subscribers::update_profile, subscribers::remove,
        events::watch,
        probes::healthz, probes::readyz, probes::metrics, probes::openapi,
    ),
    components(schemas(Problem, types::Event)),
    tags(
        (name = "cores", description = "Hosted cores"),
        (name = "subscribers", description = "Subscribers and what they may use"),
        (name = "ues", description = "Registered UEs"),
        (name = "sessions", description = "PDU sessions"),
        (name = "gnbs", description = "Connected gNBs"),
        (name = "events", description = "What happens, as it happens"),
        (name = "probes", description = "For machines: alive, ready, figures"),
    ),
    security(("operator_token" = [])),
    modifiers(&Common)
)]
struct Document;

/// What every operation has in common: the token, and problem documents.
struct Common;

impl Modify for Common {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_with(Default::default);
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("The content of operator.token in the platform's data_dir"))
            .build();
        components.add_security_scheme("operator_token", SecurityScheme::Http(scheme));
        let schema = RefOr::Ref(Ref::from_schema_name("Problem"));
        let refused = ResponseBuilder::new()
            .description("Refused; `detail` says why, `hint` what to do about it")
            .content("application/problem+json", ContentBuilder::new().schema(Some(schema)).build())
            .build();
        for item in document.paths.paths.values_mut() {
            let operations = [&mut item.get, &mut item.post, &mut item.put, &mut item.delete];
            for operation in operations.into_iter().flatten() {
                operation.responses.responses.insert("default".into(), RefOr::T(refused.clone()));
            }
        }
    }
}

/// The document as JSON.
pub fn document() -> String {
    // Maps with text keys always serialize.
    Document::openapi().to_pretty_json().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::BTreeSet;

    fn parsed() -> Value {
        serde_json::from_str(&document()).unwrap()
    }

    #[test]
    fn the_document_and_the_router_have_the_same_operations() {
        let document = parsed();
        let described: BTreeSet<(String, String)> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, item)| item.as_object().unwrap().keys().map(|method| (path.clone(), method.clone())))
            .collect();
        let routed: BTreeSet<(String, String)> = crate::routes::operations()
            .iter()
            .map(|operation| (operation.path.to_owned(), operation.method.as_str().to_lowercase()))
            .collect();
        assert_eq!(described, routed);
    }

    #[test]
    fn the_document_is_3_1_and_every_reference_resolves() {
        let document = parsed();
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
        let mut references = Vec::new();
        collect(&document, &mut references);
        assert!(references.len() > 30);
        for reference in references {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
        }
    }

    fn collect(value: &Value, references: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                references.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                map.values().for_each(|value| collect(value, references));
            }
            Value::Array(items) => items.iter().for_each(|value| collect(value, references)),
            _ => {}
        }
    }

    #[test]
    fn every_operation_has_a_name_of_its_own_a_summary_its_path_parameters_and_a_refusal() {
        let document = parsed();
        let mut names = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let at = format!("{method} {path}");
                assert!(names.insert(operation["operationId"].as_str().unwrap().to_owned()), "{at}");
                assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{at}");
                assert!(operation["responses"]["default"].is_object(), "{at}");
                let given: BTreeSet<_> = operation["parameters"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter(|parameter| parameter["in"] == "path")
                    .map(|parameter| parameter["name"].as_str().unwrap().to_owned())
                    .collect();
                let in_path: BTreeSet<_> =
                    path.split('{').skip(1).filter_map(|part| part.split('}').next()).map(str::to_owned).collect();
                assert_eq!(given, in_path, "{at}");
            }
        }
    }

    #[test]
    fn no_answer_has_a_key() {
        let document = parsed();
        let schema = &document["components"]["schemas"]["Subscriber"]["properties"];
        for key in ["k", "opc", "op"] {
            assert!(schema[key].is_null(), "{key}");
            assert_eq!(document["components"]["schemas"]["SubscriberRequest"]["properties"][key]["writeOnly"], true);
        }
    }
}
