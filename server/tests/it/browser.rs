//! A browser written for the tests: cookies, forms, no scripts.

use portcullis_protocol::Origin;
use reqwest::header::{ACCEPT, COOKIE, HeaderMap, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Client, StatusCode};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// One person's browser.
#[derive(Clone)]
pub(crate) struct Browser {
    http: Client,
    pub(crate) origin: Origin,
    pub(crate) cookies: BTreeMap<String, String>,
    forwarded: Option<(&'static str, String)>,
    at: Option<SocketAddr>,
}

/// A page as it arrived.
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Page {
    /// The value of the first hidden or visible input named so.
    pub(crate) fn input(&self, name: &str) -> Option<String> {
        let start = self.text.find(&format!("name=\"{name}\""))?;
        let tag_end = start + self.text[start..].find('>')?;
        let tag_start = self.text[..start].rfind('<')?;
        let tag = &self.text[tag_start..tag_end];
        let value = tag.split("value=\"").nth(1)?;
        Some(value.split('"').next().unwrap_or_default().to_owned())
    }

    pub(crate) fn csrf(&self) -> String {
        self.input("csrf").unwrap_or_else(|| panic!("no form on the page: {}", self.text))
    }

    pub(crate) fn location(&self) -> Option<&str> {
        self.headers.get(LOCATION).and_then(|v| v.to_str().ok())
    }
}

impl Browser {
    pub(crate) fn new(origin: &Origin) -> Self {
        let http = Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
        Self::with(http, origin)
    }

    /// The same by way of a client that follows no redirect.
    pub(crate) fn with(http: Client, origin: &Origin) -> Self {
        Self { http, origin: origin.clone(), cookies: BTreeMap::new(), forwarded: None, at: None }
    }

    async fn send(&mut self, request: reqwest::RequestBuilder) -> Page {
        let cookies: Vec<String> = self.cookies.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let request = if cookies.is_empty() { request } else { request.header(COOKIE, cookies.join("; ")) };
        let request = match &self.forwarded {
            Some((name, value)) => request.header(*name, value),
            None => request,
        };
        let request = request.header(ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8");
        let response = request.send().await.expect("the server answers");
        let headers = response.headers().clone();
        for cookie in headers.get_all(SET_COOKIE) {
            let text = cookie.to_str().expect("ASCII");
            let (name, value) = text.split(';').next().and_then(|pair| pair.split_once('=')).expect("a cookie");
            if text.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        Page { status: response.status(), headers, text: response.text().await.expect("text") }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Page {
        let request = self.http.get(self.url(path));
        self.send(request).await
    }

    /// Posts a form as the page itself would.
    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let origin = self.origin.to_string();
        self.post_from(&origin, path, fields).await
    }

    /// Posts a form from a page of another origin.
    pub(crate) async fn post_from(&mut self, from: &str, path: &str, fields: &[(&str, &str)]) -> Page {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self
            .http
            .post(self.url(path))
            .header(ORIGIN, from)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        self.send(request).await
    }

    /// Makes an account where sign-up is open, which signs in.
    pub(crate) async fn sign_up(&mut self, email: &str, password: &str) -> Page {
        let csrf = self.get("/sign-up").await.csrf();
        self.post("/sign-up", &[("csrf", &csrf), ("email", email), ("password", password)]).await
    }

    /// Signs in.
    pub(crate) async fn sign_in(&mut self, email: &str, password: &str) -> Page {
        let csrf = self.get("/sign-in").await.csrf();
        self.post("/sign-in", &[("csrf", &csrf), ("email", email), ("password", password)]).await
    }

    /// Signs out.
    pub(crate) async fn sign_out(&mut self) {
        let csrf = self.get("/").await.csrf();
        assert_eq!(self.post("/sign-out", &[("csrf", &csrf)]).await.status, 303);
    }

    /// Sends what the form of the account page with this action sends.
    pub(crate) async fn account(&mut self, action: &str, fields: &[(&str, &str)]) -> Page {
        let csrf = self.get("/account").await.csrf();
        self.post(action, &[&[("csrf", csrf.as_str())], fields].concat()).await
    }

    /// Another process of the same server, which listens at this address.
    pub(crate) fn at(&self, address: SocketAddr) -> Self {
        Self { at: Some(address), ..self.clone() }
    }

    fn url(&self, path: &str) -> String {
        self.at.map_or_else(|| format!("{}{path}", self.origin), |address| format!("http://{address}{path}"))
    }

    /// Every request of it comes through a proxy that says so of it.
    pub(crate) fn through_proxy(&mut self, name: &'static str, value: &str) {
        self.forwarded = Some((name, value.to_owned()));
    }

    /// Opens the device page of a user code.
    pub(crate) async fn device(&mut self, user_code: &str) -> Page {
        self.get(&format!("/device?code={user_code}")).await
    }

    /// Decides about a terminal, and types the password if the page wants it.
    pub(crate) async fn decide(&mut self, user_code: &str, decision: &str) -> Page {
        let page = self.device(user_code).await;
        let csrf = page.csrf();
        let mut fields = vec![("csrf", csrf.as_str()), ("code", user_code), ("decision", decision)];
        if page.text.contains("name=\"current-password\"") {
            fields.push(("current-password", crate::stage::PASSWORD));
        }
        self.post("/device", &fields).await
    }
}
