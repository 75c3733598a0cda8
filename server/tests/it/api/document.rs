//! The OpenAPI document, the page about it, and `docs/protocol.md` say the same.

use super::{document, operations};
use crate::stage::Stage;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

pub(super) const BEGIN: &str = "<!-- routes: written by the test `document` from the server's OpenAPI document -->\n";
pub(super) const END: &str = "<!-- end of routes -->\n";

/// The table of `docs/protocol.md`, from the document.
fn table(document: &Value) -> String {
    let mut table = String::from("| route | authentication | statuses |\n| --- | --- | --- |\n");
    for (method, path, operation) in operations(document) {
        let statuses: Vec<&str> =
            operation["responses"].as_object().expect("responses").keys().map(String::as_str).collect();
        let access = operation["x-access"].as_str().expect("an access");
        writeln!(table, "| `{method} {path}` | {access} | {} |", statuses.join(" ")).expect("written");
    }
    table
}

fn links<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str));
            members.values().for_each(|member| links(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| links(item, found)),
        _ => {}
    }
}

/// The routes that the page's prose names, with variable segments as `{}`.
fn named(prose: &str) -> BTreeSet<String> {
    let route = regex::Regex::new(r"`(GET|POST|PUT|DELETE) (/[^`\s?]*)[^`]*`(, `…/\{page\}`)?").expect("a pattern");
    let mut named = BTreeSet::new();
    for found in route.captures_iter(prose) {
        let path = plain(&found[2]);
        if found.get(3).is_some() {
            named.insert(format!("{} {path}/{{}}", &found[1]));
        }
        named.insert(format!("{} {path}", &found[1]));
    }
    named
}

fn plain(path: &str) -> String {
    let segments = path.split('/').map(|segment| if segment.starts_with('{') { "{}" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn the_document_and_the_page_of_the_protocol_agree() {
    let stage = Stage::open().await;
    let document = document(&stage).await;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/protocol.md");
    let page = std::fs::read_to_string(&file).expect("docs/protocol.md");
    let (prose, rest) = page.split_once(BEGIN).expect("docs/protocol.md has the table of routes");
    let (written, after) = rest.split_once(END).expect("the table ends");
    let wanted = table(&document);
    if std::env::var_os("PORTCULLIS_UPDATE").is_some() {
        std::fs::write(&file, format!("{prose}{BEGIN}{wanted}{END}{after}")).expect("written");
    } else {
        assert_eq!(written, wanted, "run this test with PORTCULLIS_UPDATE=1");
    }
    // Beyond the table: each route is explained, and nothing is explained that is not there.
    let there: BTreeSet<String> =
        operations(&document).map(|(method, path, _)| format!("{method} {}", plain(path))).collect();
    assert_eq!(named(&format!("{prose}{after}")), there, "left: docs/protocol.md in words; right: the server");
    stage.stop().await;
}

#[tokio::test]
async fn the_document_is_whole() {
    let stage = Stage::open().await;
    let document = document(&stage).await;
    assert_eq!(document["servers"][0]["url"], stage.origin.as_str());
    let mut found = Vec::new();
    links(&document, &mut found);
    assert!(found.len() > 50, "{}", found.len());
    for link in found {
        let pointer = link.strip_prefix('#').expect("a link into the document");
        assert!(document.pointer(pointer).is_some(), "{link} leads nowhere");
    }
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        assert!(ids.insert(operation["operationId"].as_str().expect("an id")), "{method} {path}");
        assert!(operation["summary"].as_str().is_some_and(|text| text.ends_with('.')), "{method} {path}");
        for segment in path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}')) {
            let parameters = operation["parameters"].as_array().expect("parameters");
            assert!(
                parameters.iter().any(|parameter| parameter["name"] == segment && parameter["in"] == "path"),
                "{path}"
            );
        }
    }
    stage.stop().await;
}

#[tokio::test]
async fn the_reference_page_needs_no_script_and_no_other_host() {
    let stage = Stage::open().await;
    let document = document(&stage).await;
    let answer = reqwest::get(format!("{}/reference", stage.origin)).await.expect("answers");
    assert_eq!(answer.status(), 200);
    let policy = answer.headers()["content-security-policy"].to_str().expect("ASCII").to_owned();
    assert!(policy.contains("default-src 'none'") && !policy.contains("script"), "{policy}");
    let page = answer.text().await.expect("a page");
    assert!(!page.contains("<script") && !page.contains("src=") && !page.contains("style="));
    for (method, path, operation) in operations(&document) {
        assert!(page.contains(&format!("{method} {path}")), "{method} {path}");
        let id = operation["operationId"].as_str().expect("an id");
        assert!(page.contains(&format!("id=\"{id}\"")), "{id}");
    }
    // Each link within the page leads somewhere.
    for link in page.split("href=\"#").skip(1).map(|rest| rest.split('"').next().expect("a link")) {
        assert!(page.contains(&format!("id=\"{link}\"")), "{link} leads nowhere");
    }
    stage.stop().await;
}
