//! What a person does on the server's pages, form by form, as a browser would: cookies kept, hidden fields sent along.

use anyhow::{Context as _, Result, ensure};
use reqwest::header::{COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response};
use std::collections::BTreeMap;

/// A browser at one server. Cloned, it is two with the same cookies: one of them may have been stolen.
#[derive(Clone)]
pub struct Browser {
    client: Client,
    origin: String,
    cookies: BTreeMap<String, String>,
    headers: Vec<(&'static str, String)>,
}

impl Browser {
    /// A browser with no cookies.
    ///
    /// # Errors
    /// Where no HTTP client can be made.
    pub fn new(origin: &str) -> Result<Self> {
        let client = Client::builder().redirect(Policy::none()).no_proxy().build()?;
        Ok(Self { client, origin: origin.to_owned(), cookies: BTreeMap::new(), headers: Vec::new() })
    }

    /// Sends this header with every request, as a proxy on the way would, or somebody who plays one.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Makes an account and stays signed in.
    ///
    /// # Errors
    /// Where the server does not take it.
    pub async fn sign_up(&mut self, email: &str, password: &str) -> Result<()> {
        self.submit("/sign-up", "/sign-up", &[("email", email), ("password", password)]).await.map(|_| ())
    }

    /// Signs in.
    ///
    /// # Errors
    /// Where the server does not take it.
    pub async fn sign_in(&mut self, email: &str, password: &str) -> Result<()> {
        self.submit("/sign-in", "/sign-in", &[("email", email), ("password", password)]).await.map(|_| ())
    }

    /// Approves the terminal that shows `user_code`, after comparing the words on the page with `words`.
    ///
    /// # Errors
    /// Where the page shows other words, or the server does not take it.
    pub async fn approve(&mut self, user_code: &str, words: &str) -> Result<()> {
        let page = self.page(&format!("/device?code={user_code}")).await?;
        ensure!(page.contains(words), "the page does not show the words of the terminal");
        let fields = [("code", user_code), ("decision", "approve")];
        let done = self.send("/device", &page, &fields).await?.text().await?;
        ensure!(done.contains("Approved"), "the terminal was not approved:\n{done}");
        Ok(())
    }

    /// Opens a page, following redirects within the server.
    ///
    /// # Errors
    /// Where the server answers with an error.
    pub async fn page(&mut self, path: &str) -> Result<String> {
        let mut path = path.to_owned();
        for _ in 0..5 {
            let request = self.client.get(format!("{}{path}", self.origin));
            let response = self.dressed(request).send().await?;
            self.keep(&response);
            if response.status().is_redirection() {
                let to = response.headers().get(LOCATION).context("a redirect to nowhere")?.to_str()?;
                path = to.strip_prefix(&self.origin).unwrap_or(to).to_owned();
                continue;
            }
            let status = response.status();
            let text = response.text().await?;
            ensure!(status.is_success(), "{path} answered {status}:\n{text}");
            return Ok(text);
        }
        anyhow::bail!("{path} redirects without end")
    }

    /// Opens `page` and sends the form of it that goes to `action`.
    ///
    /// # Errors
    /// If the server does not take it: with its status and what it says.
    pub async fn submit(&mut self, page: &str, action: &str, fields: &[(&str, &str)]) -> Result<Response> {
        let page = self.page(page).await?;
        self.send(action, &page, fields).await
    }

    /// Sends a form of `page`, with its hidden token.
    async fn send(&mut self, action: &str, page: &str, fields: &[(&str, &str)]) -> Result<Response> {
        let token = page.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
        let token = token.context("the page has no form")?;
        let form: Vec<String> =
            fields.iter().chain(&[("csrf", token)]).map(|(name, value)| format!("{name}={}", encode(value))).collect();
        let request = self
            .client
            .post(format!("{}{action}", self.origin))
            .header(ORIGIN, &self.origin)
            .header("content-type", "application/x-www-form-urlencoded");
        let response = self.dressed(request).body(form.join("&")).send().await?;
        self.keep(&response);
        let status = response.status();
        if status.is_client_error() || status.is_server_error() {
            anyhow::bail!("{action} answered {status}:\n{}", response.text().await?);
        }
        Ok(response)
    }

    /// With its cookies and headers.
    fn dressed(&self, request: RequestBuilder) -> RequestBuilder {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = request.header(COOKIE, cookies.join("; "));
        self.headers.iter().fold(request, |request, (name, value)| request.header(*name, value))
    }

    fn keep(&mut self, response: &Response) {
        for cookie in response.headers().get_all(SET_COOKIE) {
            let Some(cookie) = cookie.to_str().ok() else { continue };
            let Some((name, value)) = cookie.split(';').next().and_then(|pair| pair.split_once('=')) else { continue };
            if cookie.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

/// Percent-encodes everything but unreserved characters (RFC 3986 section 2.3).
fn encode(value: &str) -> String {
    value
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}
