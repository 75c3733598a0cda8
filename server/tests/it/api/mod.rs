//! The interface as a whole: its document, its errors, and what a fuzzer makes of them.

pub(crate) mod declared;
mod document;
mod problems;
mod refused;
mod schemathesis;

use crate::stage::Stage;
use serde_json::Value;

/// The server's OpenAPI document.
async fn document(stage: &Stage) -> Value {
    let url = format!("{}{}", stage.origin, portcullis_protocol::paths::OPENAPI);
    let text = reqwest::get(url).await.expect("answers").text().await.expect("a document");
    serde_json::from_str(&text).expect("JSON")
}

/// Every operation of a document: method in capitals, path, operation.
fn operations(document: &Value) -> impl Iterator<Item = (String, &str, &Value)> {
    let paths = document["paths"].as_object().expect("paths");
    paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().expect("methods");
        methods.iter().map(|(method, operation)| (method.to_uppercase(), path.as_str(), operation))
    })
}
