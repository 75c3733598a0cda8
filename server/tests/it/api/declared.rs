//! Every status that a terminal of the tests is answered with is one that its route declares: in every test, not in
//! one.

use reqwest::{Method, StatusCode};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

/// A route as `docs/protocol.md` has it, which the test `document` holds to the server's own document.
struct Declared {
    method: String,
    path: String,
    statuses: BTreeSet<u16>,
}

static DECLARED: LazyLock<Vec<Declared>> = LazyLock::new(|| {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/protocol.md");
    let page = std::fs::read_to_string(page).expect("docs/protocol.md");
    let table = page.split(super::document::BEGIN).nth(1).expect("the table of routes");
    let table = table.split(super::document::END).next().expect("its end");
    let declared = table.lines().filter_map(|line| {
        let (route, rest) = line.strip_prefix("| `")?.split_once("` | ")?;
        let (method, path) = route.split_once(' ')?;
        let statuses = rest.split_once(" | ")?.1.split_whitespace().filter_map(|status| status.parse().ok());
        Some(Declared { method: method.to_owned(), path: path.to_owned(), statuses: statuses.collect() })
    });
    declared.collect()
});

fn fits(template: &str, path: &str) -> bool {
    let (template, path) = (template.split('/'), path.split('/'));
    template.clone().count() == path.clone().count()
        && template.zip(path).all(|(wanted, part)| wanted == part || wanted.starts_with('{'))
}

/// What is wrong with this status of this route, if anything is.
fn undeclared(method: &str, path: &str, status: u16) -> Option<String> {
    let path = path.split('?').next().unwrap_or(path);
    let at: Vec<&Declared> = DECLARED.iter().filter(|route| fits(&route.path, path)).collect();
    // A page, or nothing at all.
    if at.is_empty() {
        return None;
    }
    let may = match at.iter().find(|route| route.method == method) {
        Some(route) => route.statuses.contains(&status),
        None => [405, 429].contains(&status),
    };
    if may { None } else { Some(format!("{method} {path} answered {status}, which it does not declare")) }
}

/// Fails the test that is running if a route answered what it does not declare.
pub(crate) fn check(method: &Method, path: &str, status: StatusCode) {
    if let Some(wrong) = undeclared(method.as_str(), path, status.as_u16()) {
        panic!("{wrong}");
    }
}

#[test]
fn what_is_not_declared_is_found() {
    assert!(DECLARED.len() > 30, "{}", DECLARED.len());
    assert_eq!(undeclared("GET", "/v1/account", 200), None);
    assert_eq!(undeclared("GET", "/v1/search?q=lake", 200), None);
    assert_eq!(undeclared("GET", "/v1/account/receipts/3", 404), None);
    assert_eq!(undeclared("PATCH", "/v1/account", 405), None);
    assert_eq!(undeclared("GET", "/sign-in", 500), None, "no route of the interface");
    for (method, path, status) in [("GET", "/v1/account", 418), ("GET", "/v1/search", 402), ("PUT", "/v1/account", 200)]
    {
        assert!(undeclared(method, path, status).is_some(), "{method} {path} {status}");
    }
}
