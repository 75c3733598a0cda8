//! `GET /reference`: the interface, for people. It is made from the OpenAPI document, and needs no script.

use super::kit::layout::page;
use super::kit::words::capital;
use crate::http::openapi::Document;
use axum::Extension;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use portcullis_protocol::paths;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Shows every operation, and the form of every body.
pub(crate) async fn show(Extension(document): Extension<Arc<Document>>) -> Response {
    page(StatusCode::OK, "Reference", &content(document.value()))
}

fn content(document: &Value) -> Markup {
    let mut tags: BTreeMap<&str, Vec<(&str, &str, &Value)>> = BTreeMap::new();
    for (path, methods) in members(&document["paths"]) {
        for (method, operation) in members(methods) {
            tags.entry(text(&operation["tags"][0])).or_default().push((path, method, operation));
        }
    }
    html! {
        @for paragraph in text(&document["info"]["description"]).split("\n\n") { p { (prose(paragraph)) } }
        p { "For programs: " a href=(paths::OPENAPI) { "the OpenAPI document" } "." }
        nav aria-label="Contents" {
            ul {
                @for tag in tags.keys() { li { a href={ "#" (anchor(tag)) } { (capital(tag)) } } }
                li { a href="#bodies" { "Bodies" } }
            }
        }
        @for (tag, operations) in &tags {
            h2 id=(anchor(tag)) { (capital(tag)) }
            @for (path, method, operation) in operations { (show_operation(path, method, operation)) }
        }
        h2 id="bodies" { "Bodies" }
        @for (name, schema) in members(&document["components"]["schemas"]) {
            h3 id={ "schema-" (name) } { (name) }
            @if !text(&schema["description"]).is_empty() { p { (prose(text(&schema["description"]))) } }
            (show_schema(schema))
        }
    }
}

fn show_operation(path: &str, method: &str, operation: &Value) -> Markup {
    let access = match text(&operation["x-access"]) {
        "public" => "Everybody may call it.",
        "provider" => "Payment providers call it, with a proof of their own.",
        "proof" => "Needs a proof of possession.",
        "session" => "Needs a proof of possession and a token. The answer is signed.",
        _ => "Needs a proof of possession and the token of an enrolled terminal. The answer is signed.",
    };
    let body = operation["requestBody"]["content"].as_object().and_then(|content| content.iter().next());
    html! {
        section aria-labelledby=(text(&operation["operationId"])) {
            h3 id=(text(&operation["operationId"])) { code { (method.to_uppercase()) " " (path) } }
            p { (prose(text(&operation["summary"]))) " " (prose(text(&operation["description"]))) }
            p.quiet { (access) }
            @if let Some(parameters) = operation["parameters"].as_array() {
                dl {
                    @for parameter in parameters {
                        dt { code { (text(&parameter["name"])) } }
                        dd {
                            (prose(text(&parameter["description"]))) " (" (text(&parameter["in"]))
                            @if parameter["required"] != true { ", may be left out" } ")"
                        }
                    }
                }
            }
            @if let Some((media_type, content)) = body {
                p { "Body: " (form(&content["schema"])) ", as " code { (media_type) } }
            }
            dl {
                @for (status, response) in members(&operation["responses"]) {
                    dt { (status) }
                    dd { (prose(text(&response["description"]))) @if let Some(body) = answer(response) { ": " (form(body)) } }
                }
            }
        }
    }
}

/// The body of an answer: of a signed one, what is signed.
fn answer(response: &Value) -> Option<&Value> {
    let schema = &response["content"].as_object()?.values().next()?["schema"];
    let signed = &schema["properties"]["signed"]["contentSchema"]["properties"]["body"];
    Some(if signed.is_null() { schema } else { signed })
}

fn show_schema(schema: &Value) -> Markup {
    let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
    html! {
        @if members(&schema["properties"]).next().is_none() {
            p { (form(schema)) }
        } @else {
            dl {
                @for (name, member) in members(&schema["properties"]) {
                    dt { code { (name) } @if !required.iter().any(|required| required == name) { " (may be left out)" } }
                    dd { (form(member)) @if !text(&member["description"]).is_empty() { ": " (prose(text(&member["description"]))) } }
                }
            }
        }
    }
}

/// The form of a value in a few words.
fn form(schema: &Value) -> Markup {
    if let Some(name) = schema["$ref"].as_str().and_then(|link| link.rsplit('/').next()) {
        return html! { a href={ "#schema-" (name) } { (name) } };
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        return html! { @for (i, choice) in choices.iter().enumerate() { @if i > 0 { " or " } (form(choice)) } };
    }
    if let Some(values) = schema["enum"].as_array() {
        return html! { @for (i, value) in values.iter().enumerate() { @if i > 0 { ", " } code { (value) } } };
    }
    if schema["type"] == "array" {
        return html! { "a list of " (form(&schema["items"])) };
    }
    match &schema["type"] {
        Value::String(name) => {
            html! { (name) @if let Some(pattern) = schema["pattern"].as_str() { ", " code { (pattern) } } }
        }
        Value::Array(names) => {
            html! { @for (i, name) in names.iter().enumerate() { @if i > 0 { " or " } (text(name)) } }
        }
        _ => html! { "any value" },
    }
}

fn members(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Words in which names stand between grave accents, as in Markdown.
fn prose(text: &str) -> Markup {
    html! { @for (index, piece) in text.split('`').enumerate() { @if index % 2 == 1 { code { (piece) } } @else { (piece) } } }
}

fn anchor(tag: &str) -> String {
    tag.replace(' ', "-")
}
