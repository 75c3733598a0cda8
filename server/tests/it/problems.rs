//! What goes wrong in a browser is a page; what goes wrong for a program is problem details.

use crate::browser::Browser;
use crate::stage::Stage;
use reqwest::header::ACCEPT;
use reqwest::{Client, Method, StatusCode};

const FOR_PEOPLE: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

#[tokio::test]
async fn a_browser_is_shown_pages() {
    let stage = Stage::with(|config| (config.limits.address_burst, config.limits.address_rate) = (30, 1)).await;
    let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let form = "application/x-www-form-urlencoded";
    let long = "a".repeat(200_000);
    let cases = [
        (Method::GET, "/nothing-here", "", "", StatusCode::NOT_FOUND),
        (Method::GET, "/account/password", "", "", StatusCode::METHOD_NOT_ALLOWED),
        (Method::PUT, "/sign-in", form, "", StatusCode::METHOD_NOT_ALLOWED),
        (Method::POST, "/sign-in", "text/plain", "a", StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (Method::POST, "/sign-in", form, "email=a", StatusCode::BAD_REQUEST),
        (Method::POST, "/sign-in", form, long.as_str(), StatusCode::PAYLOAD_TOO_LARGE),
    ];
    for (method, path, kind, body, status) in cases {
        let request = || {
            let request = client.request(method.clone(), format!("{}{path}", stage.origin)).body(body.to_owned());
            if kind.is_empty() { request } else { request.header("content-type", kind) }
        };
        let page = request().header(ACCEPT, FOR_PEOPLE).send().await.expect("answers");
        assert_eq!(page.status(), status, "{method} {path}");
        assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8", "{method} {path}");
        assert!(page.headers()["content-security-policy"].to_str().is_ok_and(|policy| policy.contains("'none'")));
        assert_eq!(page.headers().contains_key("allow"), status == StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        let text = page.text().await.expect("a page");
        assert!(text.contains("<h1>") && text.contains("href=\"/\""), "{text}");

        let problem = request().header(ACCEPT, "application/json").send().await.expect("answers");
        assert_eq!(problem.status(), status, "{method} {path}");
        assert_eq!(problem.headers()["content-type"], "application/problem+json", "{method} {path}");
    }
    // Programs' addresses never answer with pages.
    for path in ["/v1/nothing", "/v1/search?page=x", "/oauth/token", "/.well-known/nothing"] {
        let answer =
            client.get(format!("{}{path}", stage.origin)).header(ACCEPT, FOR_PEOPLE).send().await.expect("answers");
        assert!(answer.status().is_client_error(), "{path}");
        let kind = answer.headers().get("content-type").map(|kind| kind.to_str().expect("ASCII").to_owned());
        assert!(!kind.is_some_and(|kind| kind.starts_with("text/html")), "{path}");
    }
    let mut browser = Browser::new(&stage.origin);
    let mut page = browser.get("/").await;
    for _ in 0..40 {
        page = browser.get("/").await;
    }
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(
        page.text.contains("<h1>Too many requests</h1>") && page.headers.contains_key("retry-after"),
        "{}",
        page.text
    );
    stage.stop().await;
}

#[tokio::test]
async fn a_visitor_without_his_cookie_is_given_none_that_overwrites_it() {
    let stage = Stage::open().await;
    let browser = stage.person("ada@example.org").await;
    // As a browser sends it from another site in the eyes of a stricter policy: without the session.
    let mut bare = Browser::new(&stage.origin);
    for path in ["/", "/sign-in", "/sign-up", "/device", "/account"] {
        bare.get(path).await;
    }
    for name in bare.cookies.keys() {
        assert!(!browser.cookies.contains_key(name) || name.ends_with("-form"), "{name} is overwritten");
    }
    let mut merged = browser.clone();
    merged.cookies.extend(bare.cookies);
    assert_eq!(merged.get("/account").await.status, StatusCode::OK, "still signed in");
    stage.stop().await;
}
