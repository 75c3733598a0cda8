//! The interface as an OpenAPI document, made from the routes themselves: what a handler's annotation says, and what
//! follows from who may call it.

use crate::http::app::Server;
use crate::http::route::{Access, BodyClass, Described, Routes};
use axum::Extension;
use axum::http::header;
use axum::response::IntoResponse;
use portcullis_protocol::limits::MAX_REQUEST_BODY;
use portcullis_protocol::wire::{OAuthError, Problem};
use portcullis_protocol::{paths, schemas};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use utoipa::openapi::path::HttpMethod;
use utoipa::{PartialSchema as _, ToSchema as _};

/// The document of one server.
#[derive(Debug)]
pub(crate) struct Document {
    value: Value,
    text: String,
}

impl Document {
    /// The document as JSON.
    #[must_use]
    pub(crate) const fn value(&self) -> &Value {
        &self.value
    }

    pub(crate) fn of(server: &Server, routes: &Routes) -> Self {
        let mut operations = Map::new();
        for route in &routes.described {
            let at = operations.entry(&route.path).or_insert_with(|| json!({}));
            at[method(&route.method)] = operation(server, route);
        }
        let mut components: Map<String, Value> = Map::new();
        let own = [(Problem::name(), Problem::schema()), (OAuthError::name(), OAuthError::schema())];
        let own = own.into_iter().map(|(name, schema)| (name.into_owned(), schema));
        for (name, schema) in routes.schemas.iter().cloned().chain(own).chain(schemas::all()) {
            components.insert(name, serde_json::to_value(schema).unwrap_or_default());
        }
        let mut value = json!({
            "openapi": "3.1.0",
            "info": {
                "title": "Portcullis billing server",
                "version": env!("CARGO_PKG_VERSION"),
                "description": DESCRIPTION,
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": server.origin().to_string()}],
            "paths": operations,
            "components": {"schemas": components, "securitySchemes": security_schemes()},
        });
        plain_words(&mut value);
        let text = value.to_string();
        Self { value, text }
    }
}

/// The interface as an OpenAPI document.
#[utoipa::path(
    get,
    path = paths::OPENAPI,
    tag = "store",
    responses((status = 200, description = "This document", body = Object)),
)]
pub(crate) async fn show(Extension(document): Extension<Arc<Document>>) -> impl IntoResponse {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")];
    (headers, document.text.clone())
}

const DESCRIPTION: &str = "\
What a terminal and a billing server say to each other. The page docs/protocol.md of the project says it byte by byte.

Every error is problem details (RFC 9457). OAuth endpoints answer with the errors of RFC 6749 and RFC 8628 instead, but \
for what stops a request before it reaches them. A decision on a request whose proof passed is signed: of a yes the \
member `signed` holds a JWS whose payload has the `body` that is described here, of a no the problem details have such a \
member `signed`, and only that is believed.";

fn security_schemes() -> Value {
    json!({
        "proof": {
            "type": "apiKey", "in": "header", "name": "DPoP",
            "description": "Proof of possession of a key (RFC 9449), with the claims `bd` and `ik` of docs/protocol.md.",
        },
        "token": {
            "type": "apiKey", "in": "header", "name": "Authorization",
            "description": "`DPoP` and an access token that is bound to the key of the proof.",
        },
    })
}

fn operation(server: &Server, route: &Described) -> Value {
    let mut operation = serde_json::to_value(&route.operation).unwrap_or_default();
    let limits = &server.config.limits;
    operation["operationId"] = operation_id(route).into();
    operation["security"] = match route.access {
        Access::Public | Access::Provider | Access::Visitor | Access::Person => json!([]),
        Access::Proof | Access::Merchant => json!([{"proof": []}]),
        Access::Session | Access::Terminal | Access::Stream => json!([{"proof": [], "token": []}]),
    };
    operation["x-access"] = route.access.word().into();
    operation["x-limits"] = match route.body {
        BodyClass::Small => json!({"body_bytes": MAX_REQUEST_BODY, "body_seconds": limits.request_seconds}),
        BodyClass::Upload => json!({"body_bytes": limits.upload_bytes, "bytes_per_second": limits.upload_rate}),
    };
    let rates: &[&str] = match route.access {
        Access::Public | Access::Provider | Access::Visitor | Access::Person => &["address"],
        Access::Proof | Access::Session | Access::Terminal | Access::Stream | Access::Merchant => &["address", "key"],
    };
    operation["x-limits"]["rates"] = json!(rates);
    if takes_idempotency_key(route) {
        let parameter = json!({
            "name": "Idempotency-Key", "in": "header", "required": true,
            "description": "Names this request: repeated, it is answered again and not done again.",
            "schema": {"type": "string", "pattern": "^[!-~]{16,64}$"},
        });
        match operation["parameters"].as_array_mut() {
            Some(parameters) => parameters.push(parameter),
            None => operation["parameters"] = json!([parameter]),
        }
    }
    if route.access.is_signed() {
        let body = operation.pointer("/responses/200/content/application~1json/schema").cloned();
        operation["responses"]["200"]["content"] = json!({"application/json": {"schema": {
            "type": "object", "required": ["signed"],
            "properties": {"signed": {
                "type": "string", "contentMediaType": "application/jwt",
                "contentSchema": {
                    "type": "object", "required": ["req", "iat", "body"],
                    "properties": {"req": {"type": "string"}, "iat": {"type": "integer"}, "body": body},
                },
            }},
        }}});
    }
    for &(status, description) in common(route) {
        let follows = match status {
            // A variable segment can name what does not exist; so can a key that is no merchant's.
            "404" => route.path.contains('{') || matches!(route.access, Access::Merchant),
            // Of what changes something, or is named by an Idempotency-Key.
            "409" | "422" => route.method != HttpMethod::Get,
            _ => true,
        };
        if follows && operation["responses"].get(status).is_none() {
            operation["responses"][status] = json!({"description": description});
        }
    }
    if let Some(responses) = operation["responses"].as_object_mut() {
        for (status, response) in responses.iter_mut().filter(|(status, _)| status.as_str() >= "400") {
            response["content"] = errors(route.access, status);
        }
    }
    operation
}

/// What an error is written as.
fn errors(access: Access, status: &str) -> Value {
    let problem = json!({"schema": {"$ref": "#/components/schemas/Problem"}});
    let oauth = json!({"schema": {"$ref": "#/components/schemas/OAuthError"}});
    match (access, status) {
        // Too many requests of one address, a slow body and what is not routed never reach the endpoint.
        (Access::Proof, "408") => json!({"application/problem+json": problem}),
        (Access::Proof, _) => json!({"application/json": oauth, "application/problem+json": problem}),
        _ => json!({"application/problem+json": problem}),
    }
}

/// The answers that follow from who may call a route.
fn common(route: &Described) -> &'static [(&'static str, &'static str)] {
    const PUBLIC: &[(&str, &str)] = &[
        ("404", "No such thing"),
        ("408", "The body did not arrive in time"),
        ("413", "The body is too long"),
        ("429", "Too many requests"),
        ("500", "The server failed; nothing was decided"),
    ];
    const PROOF: &[(&str, &str)] = &[
        ("400", "Not a request of this interface, or the sign-in does not go on"),
        ("401", "No valid proof, or one without the server's nonce"),
        ("408", "The body did not arrive in time"),
        ("413", "The body is too long"),
        ("429", "Too many requests"),
        ("500", "The server failed; nothing was decided"),
    ];
    const SIGNED: &[(&str, &str)] = &[
        ("400", "Not a request of this interface"),
        ("401", "No valid proof, or nobody is signed in"),
        ("403", "Not allowed"),
        ("404", "No such thing"),
        ("408", "The body did not arrive in time"),
        ("409", "In progress, taken, or bound to something else"),
        ("413", "The body is too long"),
        ("422", "Understood, and not acceptable"),
        ("429", "Too many requests"),
        ("500", "The server failed; nothing was decided"),
    ];
    match route.access {
        Access::Public | Access::Provider | Access::Visitor | Access::Person => PUBLIC,
        Access::Proof => PROOF,
        Access::Session | Access::Terminal | Access::Stream | Access::Merchant => SIGNED,
    }
}

fn takes_idempotency_key(route: &Described) -> bool {
    route.access.is_signed() && route.method != HttpMethod::Get
}

fn operation_id(route: &Described) -> String {
    let words = route.path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    std::iter::once(method(&route.method)).chain(words).collect::<Vec<_>>().join("-")
}

const fn method(method: &HttpMethod) -> &'static str {
    match method {
        HttpMethod::Get => "get",
        HttpMethod::Post => "post",
        HttpMethod::Put => "put",
        HttpMethod::Delete => "delete",
        HttpMethod::Options => "options",
        HttpMethod::Head => "head",
        HttpMethod::Patch => "patch",
        HttpMethod::Trace => "trace",
    }
}

/// Descriptions are the code's doc comments: what links into the code there is a plain name here.
fn plain_words(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if name == "description" || name == "summary" => *text = unlinked(text),
                    member => plain_words(member),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(plain_words),
        _ => {}
    }
}

fn unlinked(text: &str) -> String {
    let text = text.replace("[`crate::", "`").replace("[`", "`").replace("`]", "`");
    // A link with an address of its own: the name alone stays.
    let mut plain = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("`(crate::") {
        plain.push_str(before);
        plain.push('`');
        rest = after.split_once(')').map_or("", |(_, rest)| rest);
    }
    plain + rest
}

#[test]
fn links_into_the_code_become_names() {
    let text = "At most [`MAX_BALANCES`](crate::limits::MAX_BALANCES). Compact [`crate::Offer`]s.";
    assert_eq!(unlinked(text), "At most `MAX_BALANCES`. Compact `Offer`s.");
}
