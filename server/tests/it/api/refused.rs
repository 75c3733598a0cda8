//! What stops a request before or beside its handler: a body that is too slow or too long or of another kind, too many
//! requests, a handler that dies. Programs are told by problem details, people by a page.

use super::operations;
use crate::stage::{Stage, config, start};
use crate::terminal::{Draft, Terminal};
use async_trait::async_trait;
use axum::http::HeaderMap;
use futures::future::join_all;
use portcullis_protocol::Money;
use portcullis_protocol::limits::MAX_REQUEST_BODY;
use portcullis_server::billing::payment::{
    Begun, Charge, Payment, PaymentError, PaymentEvent, PaymentProvider, PaymentState, Payments, RefundState,
    SavedMeans, WebhookRefused,
};
use portcullis_server::ops::clock::Timestamp;
use portcullis_server::ops::faults::FaultPoints;
use portcullis_server::{Parts, pages};
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const FOR_PEOPLE: &str = "text/html,application/xhtml+xml,*/*;q=0.8";

/// A route: its method, its path with `x` in each variable segment, and whether people see it.
struct Route {
    method: Method,
    path: String,
    template: String,
    is_page: bool,
}

/// Every route of a server, for programs and for people.
async fn routes(stage: &Stage) -> Vec<Route> {
    let document = super::document(stage).await;
    let route = |method: &str, template: &str, is_page| {
        let path = template.split('/').map(|part| if part.starts_with('{') { "x" } else { part });
        Route {
            method: method.parse().expect("a method"),
            path: path.collect::<Vec<_>>().join("/"),
            template: template.to_owned(),
            is_page,
        }
    };
    let mut all: Vec<Route> = operations(&document).map(|(method, path, _)| route(&method, path, false)).collect();
    all.extend(pages(stage.running.app()).iter().map(|page| route(page.method, page.path, true)));
    assert!(all.len() > 60, "{} routes", all.len());
    all
}

/// What a response has to be written as: a page for whoever accepts one, else problem details or an OAuth error.
async fn check(route: &Route, accepts: &str, answer: Response) {
    let (method, path, status) = (&route.method, &route.path, answer.status());
    let kind = answer.headers().get(CONTENT_TYPE).map(|kind| kind.to_str().expect("ASCII").to_owned());
    let text = answer.text().await.expect("a body");
    if route.is_page && accepts == FOR_PEOPLE {
        assert_eq!(kind.as_deref(), Some("text/html; charset=utf-8"), "{method} {path}: {status}");
        assert!(text.contains("<h1>"), "{method} {path}: {text}");
        return;
    }
    let body: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{method} {path}: {status} {text}"));
    if kind.as_deref() == Some("application/json") {
        assert!(path.starts_with("/oauth/") && body["error"].is_string(), "{method} {path}: {text}");
        return;
    }
    assert_eq!(kind.as_deref(), Some("application/problem+json"), "{method} {path}: {status}");
    assert_eq!(body["status"], status.as_u16(), "{method} {path}: {text}");
    for member in ["type", "title", "detail", "instance"] {
        assert!(body[member].as_str().is_some_and(|text| !text.is_empty()), "{method} {path}: no {member} in {text}");
    }
}

fn client() -> Client {
    Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client")
}

fn many(config: &mut portcullis_server::ops::config::Config) {
    config.limits.address_burst = 100_000;
    config.limits.address_rate = 100_000;
}

#[tokio::test]
async fn a_body_of_another_kind_or_too_long_is_refused_on_every_page() {
    let stage = Stage::with(many).await;
    let client = client();
    let long = "a".repeat(MAX_REQUEST_BODY + 1);
    let form = "application/x-www-form-urlencoded";
    let (mut kinds, mut lengths) = (0, 0);
    for route in routes(&stage).await.iter().filter(|route| route.method != Method::GET) {
        for accepts in [FOR_PEOPLE, "application/json"] {
            let send = |kind: &str, body: &str| {
                let request = client.request(route.method.clone(), format!("{}{}", stage.origin, route.path));
                request.header(ACCEPT, accepts).header(CONTENT_TYPE, kind).body(body.to_owned()).send()
            };
            if route.is_page {
                let answer = send("text/plain", "x").await.expect("answers");
                assert_eq!(answer.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "{}", route.path);
                check(route, accepts, answer).await;
                kinds += 1;
            }
            // A sealed file may be longer: `api::problems` has it.
            if route.template != portcullis_protocol::paths::RESOURCES {
                let answer = send(form, &long).await.expect("answers");
                let status = answer.status();
                assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{} {}", route.method, route.path);
                check(route, accepts, answer).await;
                lengths += 1;
            }
        }
    }
    assert!(kinds > 20 && lengths > 60, "{kinds} {lengths}");
    stage.stop().await;
}

/// Announces a body, and never sends it: what comes back, head and body.
async fn hold_back(address: &str, route: &Route, accepts: &str) -> (u16, String) {
    let mut line = TcpStream::connect(address).await.expect("connects");
    let kind = if route.is_page || route.path.starts_with("/oauth/") {
        "application/x-www-form-urlencoded"
    } else {
        "application/json"
    };
    let head = format!(
        "{} {} HTTP/1.1\r\nHost: {address}\r\nAccept: {accepts}\r\nContent-Type: {kind}\r\nContent-Length: 9\r\n\
         Connection: close\r\n\r\na",
        route.method, route.path
    );
    line.write_all(head.as_bytes()).await.expect("written");
    let mut answer = Vec::new();
    line.read_to_end(&mut answer).await.expect("it ends");
    let text = String::from_utf8(answer).expect("text");
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_does_not_come_is_told_so_on_every_route() {
    let stage = Stage::with(|config| {
        many(config);
        config.limits.request_seconds = 1;
    })
    .await;
    let address = stage.origin.as_str().trim_start_matches("http://").to_owned();
    let routes = routes(&stage).await;
    let cases = routes
        .iter()
        .filter(|route| route.method != Method::GET)
        .flat_map(|route| [FOR_PEOPLE, "application/json"].map(|accepts| (route, accepts)));
    let cases: Vec<_> = cases.collect();
    let answers = join_all(cases.iter().map(|(route, accepts)| hold_back(&address, route, accepts))).await;
    let mut otherwise = BTreeSet::new();
    for ((route, accepts), (status, text)) in cases.iter().zip(answers) {
        let wanted = if route.is_page && *accepts == FOR_PEOPLE { "text/html" } else { "application/problem+json" };
        assert!(text.contains(wanted), "{} {}: {text}", route.method, route.path);
        if status != 408 {
            otherwise.insert((route.template.clone(), status));
        }
    }
    // Of an upload, which may be long, the proof is checked before its body is waited for.
    assert_eq!(otherwise, BTreeSet::from([(portcullis_protocol::paths::RESOURCES.to_owned(), 401)]));
    stage.stop().await;
}

#[tokio::test]
async fn too_many_requests_are_told_so_on_every_route() {
    let stage = Stage::with(many).await;
    let routes = routes(&stage).await;
    stage.stop().await;
    let stage = Stage::with(|config| {
        config.limits.address_burst = 1;
        config.limits.address_rate = 1;
    })
    .await;
    let client = client();
    for route in &routes {
        for accepts in [FOR_PEOPLE, "application/json"] {
            let mut seen = None;
            // One is let through now and then.
            for _ in 0..5 {
                let request = client.request(route.method.clone(), format!("{}{}", stage.origin, route.path));
                let answer = request.header(ACCEPT, accepts).send().await.expect("answers");
                if answer.status() == StatusCode::TOO_MANY_REQUESTS {
                    seen = Some(answer);
                    break;
                }
            }
            let answer = seen.unwrap_or_else(|| panic!("{} {} is not limited", route.method, route.path));
            assert!(answer.headers().contains_key("retry-after"), "{}", route.path);
            check(route, accepts, answer).await;
        }
    }
    stage.stop().await;
}

#[tokio::test]
async fn another_method_is_told_so_on_every_page_and_who_may_see_it_is_so() {
    let stage = Stage::with(many).await;
    let client = client();
    for page in pages(stage.running.app()) {
        let path = page.path.split('/').map(|part| if part.starts_with('{') { "x" } else { part });
        let path = path.collect::<Vec<_>>().join("/");
        let url = format!("{}{path}", stage.origin);
        let route = Route { method: Method::PUT, path, template: page.path.to_owned(), is_page: true };
        for accepts in [FOR_PEOPLE, "application/json"] {
            let answer = client.put(&url).header(ACCEPT, accepts).send().await.expect("answers");
            assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{}", page.path);
            assert!(answer.headers().contains_key("allow"), "{}", page.path);
            check(&route, accepts, answer).await;
        }
        if page.method == "GET" {
            let answer = client.get(&url).header(ACCEPT, FOR_PEOPLE).send().await.expect("answers");
            let to = answer.headers().get("location").map(|to| to.to_str().expect("ASCII").to_owned());
            let sent_to_sign_in = to.is_some_and(|to| to.starts_with("/sign-in"));
            // What names nothing that there is may be said to be nothing at once.
            let is_nothing = page.path.contains('{') && answer.status() == StatusCode::NOT_FOUND;
            assert!(sent_to_sign_in == page.is_personal || is_nothing, "{}: {}", page.path, answer.status());
        }
    }
    stage.stop().await;
}

/// A provider whose every call ends in a panic.
struct Panicking;

#[async_trait]
impl PaymentProvider for Panicking {
    fn name(&self) -> &str {
        "sandbox"
    }

    fn title(&self) -> &str {
        "Panics"
    }

    async fn begin(&self, _: &Charge) -> Result<Begun, PaymentError> {
        panic!("a provider that dies")
    }

    async fn charge_saved(&self, _: &SavedMeans, _: &Charge) -> Result<Begun, PaymentError> {
        panic!("a provider that dies")
    }

    async fn look_up(&self, _: &Payment) -> Result<PaymentState, PaymentError> {
        Ok(PaymentState::Pending)
    }

    fn webhook(&self, _: &HeaderMap, _: &[u8], _: Timestamp) -> Result<Vec<PaymentEvent>, WebhookRefused> {
        panic!("a provider that dies")
    }

    async fn refund(&self, _: &Payment, _: Money) -> Result<RefundState, PaymentError> {
        panic!("a provider that dies")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_panics_is_a_failure_of_the_server_and_takes_nothing_else_along() {
    let parts = Parts { payments: Some(Arc::new(|_| Payments::none().with(Panicking))), ..Parts::default() };
    let stage = start(parts, config).await;
    let mut browser = stage.person("ada@example.org").await;
    let mut terminal = stage.terminal_of(&mut browser).await;
    // Of a program.
    let top_up = serde_json::json!({"amount": {"minor_units": 500, "currency": "EUR"},
        "payment": {"provider": "sandbox", "token": "ok"}});
    let answer = terminal.send(&Draft::post(portcullis_protocol::paths::TOP_UPS, &top_up)).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{}", answer.text());
    let problem = answer.problem().expect("problem details");
    assert!(problem.signed.is_none() && problem.instance.is_some(), "{}", answer.text());
    assert!(!answer.text().contains("a provider that dies"), "why is the log's: {}", answer.text());
    let hook = client().post(format!("{}/webhooks/sandbox", stage.origin)).body("{}").send().await.expect("answers");
    assert_eq!(hook.status(), StatusCode::INTERNAL_SERVER_ERROR);
    // Of a person.
    let page = browser.get("/account/balance").await;
    let (csrf, key) = (page.csrf(), page.input("key").unwrap_or_default());
    let fields =
        [("csrf", csrf.as_str()), ("key", &key), ("amount", "6.00"), ("currency", "EUR"), ("means", "sandbox")];
    let page = browser.post("/account/balance", &fields).await;
    assert_eq!(page.status, StatusCode::INTERNAL_SERVER_ERROR, "{}", page.text);
    assert!(page.text.contains("<h1>The server failed</h1>") && !page.text.contains("dies"), "{}", page.text);
    // The server goes on.
    assert_eq!(browser.get("/account").await.status, StatusCode::OK);
    assert_eq!(terminal.send(&Draft::get(portcullis_protocol::paths::ACCOUNT)).await.status, StatusCode::OK);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_panics_after_its_handler_is_problem_details_on_every_signed_route() {
    let faults = FaultPoints::watched_by(|point| {
        assert!(point != "answer.before-send", "an answer that dies");
        Ok(())
    });
    let stage = start(Parts { faults, ..Parts::default() }, |folder| {
        let mut config = config(folder);
        many(&mut config);
        config.limits.terminal_burst = 100_000;
        config
    })
    .await;
    let mut browser = stage.person("ada@example.org").await;
    // Enrolled, and the answer lost.
    let mut terminal: Terminal = stage.signed_in(&mut browser).await;
    let enrolment = terminal.enrolment("desk");
    assert_eq!(terminal.send(&enrolment).await.status, StatusCode::INTERNAL_SERVER_ERROR);
    let mut died = 0;
    for route in routes(&stage).await.iter().filter(|route| route.template.starts_with("/v1/account") && !route.is_page)
    {
        let draft = match route.method {
            Method::GET => Draft::get(route.path.replace('x', "0")),
            _ => continue,
        };
        let answer = terminal.send(&draft).await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{}", route.path);
        answer.problem().expect("problem details");
        died += 1;
    }
    assert!(died > 8, "{died}");
    stage.stop().await;
}
