//! What a person does on the store's pages.

use reqwest::Client;
use reqwest::header::{COOKIE, ORIGIN, SET_COOKIE};
use reqwest::redirect::Policy;

/// Makes an account and approves the terminal that shows this code and these words.
pub(crate) async fn approve(origin: &str, email: &str, code: &str, words: &str) {
    let client = Client::builder().redirect(Policy::none()).no_proxy().build().expect("client");
    let password = "correct horse battery";
    let mut cookie = String::new();
    let page = open(&client, origin, "/sign-up", &mut cookie).await;
    if !send(&client, origin, "/sign-up", &page, &[("email", email), ("password", password)], &mut cookie).await {
        // The account is there already.
        let page = open(&client, origin, "/sign-in", &mut cookie).await;
        assert!(
            send(&client, origin, "/sign-in", &page, &[("email", email), ("password", password)], &mut cookie).await
        );
    }
    let page = open(&client, origin, &format!("/device?code={code}"), &mut cookie).await;
    assert!(page.contains(words), "the page shows the words of the terminal");
    assert!(page.contains(email) && page.contains("private window"), "for whom it asks, and how to be somebody else");
    assert!(send(&client, origin, "/device", &page, &[("code", code), ("decision", "approve")], &mut cookie).await);
}

async fn open(client: &Client, origin: &str, path: &str, cookie: &mut String) -> String {
    let answer = client.get(format!("{origin}{path}")).header(COOKIE, cookie.as_str()).send().await.expect("an answer");
    keep(&answer, cookie);
    answer.text().await.expect("a page")
}

async fn send(
    client: &Client,
    origin: &str,
    path: &str,
    page: &str,
    fields: &[(&str, &str)],
    cookie: &mut String,
) -> bool {
    let token = page.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a form");
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(fields).append_pair("csrf", token);
    let request = client.post(format!("{origin}{path}")).header(ORIGIN, origin).header(COOKIE, cookie.as_str());
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(form.finish());
    let answer = request.send().await.expect("an answer");
    keep(&answer, cookie);
    answer.status().is_success() || answer.status().is_redirection()
}

fn keep(answer: &reqwest::Response, cookie: &mut String) {
    if let Some(value) = answer.headers().get(SET_COOKIE).and_then(|value| value.to_str().ok()) {
        value.split(';').next().unwrap_or_default().clone_into(cookie);
    }
}
