//! What a person does on the server's pages, form by form, as a browser would: cookies kept, hidden fields sent along.

use anyhow::{Context as _, Result, ensure};
use portcullis_protocol::Digest;
use reqwest::header::{ACCEPT, COOKIE, HeaderMap, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use std::collections::BTreeMap;

/// A browser at one server. Cloned, it is two with the same cookies: one of them may have been stolen.
#[derive(Clone)]
pub struct Browser {
    client: Client,
    origin: String,
    /// Where it connects to: the origin, unless it talks to another process of the server.
    address: String,
    cookies: BTreeMap<String, String>,
    headers: Vec<(&'static str, String)>,
}

impl Browser {
    /// A browser with no cookies.
    ///
    /// # Errors
    /// If no HTTP client can be made.
    pub fn new(origin: &str) -> Result<Self> {
        let client = Client::builder().redirect(Policy::none()).no_proxy().build()?;
        Ok(Self {
            client,
            origin: origin.to_owned(),
            address: origin.to_owned(),
            cookies: BTreeMap::new(),
            headers: Vec::new(),
        })
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
    /// If the server does not take it.
    pub async fn sign_up(&mut self, email: &str, password: &str) -> Result<()> {
        self.submit("/sign-up", "/sign-up", &[("email", email), ("password", password)]).await.map(|_| ())
    }

    /// Signs in.
    ///
    /// # Errors
    /// If the server does not take it.
    pub async fn sign_in(&mut self, email: &str, password: &str) -> Result<()> {
        self.submit("/sign-in", "/sign-in", &[("email", email), ("password", password)]).await.map(|_| ())
    }

    /// Approves the terminal that shows `user_code`, after comparing the words on the page with `words`.
    ///
    /// # Errors
    /// If the page shows other words, or the server does not take it.
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
    /// If the server answers with an error.
    pub async fn page(&mut self, path: &str) -> Result<String> {
        let mut path = path.to_owned();
        for _ in 0..5 {
            let request = self.client.get(format!("{}{path}", self.address));
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

    /// Opens the page of an offer and buys it. Returns the way to the order.
    ///
    /// # Errors
    /// If there is no order: with what the page says.
    pub async fn buy(&mut self, offer: &Digest, means: &str) -> Result<String> {
        let path = format!("/buy/{offer}");
        let response = self.submit(&path, &path, &[("means", means)]).await?;
        let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
        Ok(to.context("not an order")?.to_owned())
    }

    /// Opens one page, and takes what it answers, whatever that is.
    ///
    /// # Errors
    /// If the server does not answer.
    pub async fn look(&mut self, path: &str) -> Result<(StatusCode, HeaderMap, String)> {
        let request = self.client.get(format!("{}{path}", self.address)).header(ACCEPT, "text/html");
        let response = self.dressed(request).send().await?;
        self.keep(&response);
        Ok((response.status(), response.headers().clone(), response.text().await?))
    }

    /// What the server has this browser keep.
    #[must_use]
    pub const fn cookies(&self) -> &BTreeMap<String, String> {
        &self.cookies
    }

    /// Puts a cookie there that did not come from the server.
    pub fn plant(&mut self, name: &str, value: &str) {
        self.cookies.insert(name.to_owned(), value.to_owned());
    }

    /// Talks to another process of the same server, at this address.
    #[must_use]
    pub fn at(mut self, address: &str) -> Self {
        self.address = address.to_owned();
        self
    }

    /// Sends a form of `page` that goes to `action`, with its hidden fields.
    pub(crate) async fn send(&mut self, action: &str, page: &str, fields: &[(&str, &str)]) -> Result<Response> {
        let hidden = hidden_fields(page, action);
        ensure!(hidden.iter().any(|(name, _)| *name == "csrf"), "the page has no form");
        let given = |name: &str| fields.iter().any(|(known, _)| *known == name);
        let hidden = hidden.iter().filter(|(name, _)| !given(name));
        let form: Vec<String> =
            fields.iter().chain(hidden).map(|(name, value)| format!("{name}={}", encode(value))).collect();
        let request = self
            .client
            .post(format!("{}{action}", self.address))
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

/// The hidden fields of the first form of a page that goes to `action`; if there is none, of its first form.
fn hidden_fields<'a>(page: &'a str, action: &str) -> Vec<(&'a str, &'a str)> {
    let own = page.split_once(&format!(" action=\"{action}\"")).or_else(|| page.split_once("<form"));
    let form = own.and_then(|(_, rest)| rest.split("</form>").next()).unwrap_or_default();
    let fields = form.split("type=\"hidden\" name=\"").skip(1);
    fields
        .filter_map(|field| field.split_once("\" value=\""))
        .filter_map(|(name, rest)| Some((name, rest.split('"').next()?)))
        .collect()
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
