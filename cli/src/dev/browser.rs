//! What the user does in a browser, done for him at the throw-away server: make an account, approve the terminal.

use portcullis_protocol::Origin;
use reqwest::header::{COOKIE, ORIGIN, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};

use crate::failure::{Failure, OrFail as _, Outcome};

const FIX: &str = "this is a fault of Portcullis itself: tell its authors";

/// A browser at one server.
pub(crate) struct Browser {
    client: Client,
    origin: Origin,
    cookie: String,
}

impl Browser {
    /// Without cookies. It speaks to this machine only, so no proxy is asked.
    pub(crate) fn new(origin: Origin) -> Outcome<Self> {
        let client = Client::builder().redirect(Policy::none()).no_proxy().build();
        Ok(Self { client: client.or_fail("start an HTTP client", FIX)?, origin, cookie: String::new() })
    }

    /// Makes an account and stays signed in.
    pub(crate) async fn sign_up(&mut self, email: &str, password: &str) -> Outcome {
        let page = self.page("/sign-up").await?;
        self.send("/sign-up", &page, &[("email", email), ("password", password)]).await.map(|_| ())
    }

    /// Approves a terminal, after comparing the words on the page with its own.
    pub(crate) async fn approve(&mut self, user_code: &str, words: &str) -> Outcome {
        let page = self.page(&format!("/device?code={user_code}")).await?;
        if !page.contains(words) {
            return Err(Failure::new("the approval page shows other words than the terminal", FIX));
        }
        self.send("/device", &page, &[("code", user_code), ("decision", "approve")]).await.map(|_| ())
    }

    async fn page(&mut self, path: &str) -> Outcome<String> {
        let request = self.client.get(format!("{}{path}", self.origin)).header(COOKIE, &self.cookie);
        let response = request.send().await.or_fail(format_args!("open {path}"), FIX)?;
        self.take(response, path).await
    }

    async fn send(&mut self, path: &str, page: &str, fields: &[(&str, &str)]) -> Outcome<String> {
        let token = page.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields).append_pair("csrf", token.unwrap_or_default());
        let request = self
            .client
            .post(format!("{}{path}", self.origin))
            .header(ORIGIN, self.origin.as_str())
            .header(COOKIE, &self.cookie)
            .header("content-type", "application/x-www-form-urlencoded");
        let response =
            request.body(form.finish()).send().await.or_fail(format_args!("send the form of {path}"), FIX)?;
        self.take(response, path).await
    }

    async fn take(&mut self, response: Response, path: &str) -> Outcome<String> {
        let cookie = response.headers().get(SET_COOKIE).and_then(|cookie| cookie.to_str().ok());
        if let Some(cookie) = cookie.and_then(|cookie| cookie.split(';').next()) {
            cookie.clone_into(&mut self.cookie);
        }
        let status = response.status();
        if status.is_client_error() || status.is_server_error() {
            return Err(Failure::new(format!("the throw-away server answers {status} to {path}"), FIX));
        }
        response.text().await.or_fail(format_args!("read {path}"), FIX)
    }
}
