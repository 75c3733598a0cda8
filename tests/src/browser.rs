//! What a person does on the server's pages, form by form, as a browser would: cookies kept, hidden fields sent along.

use anyhow::{Context as _, Result, ensure};
use reqwest::header::{COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};

/// A browser at one server.
pub struct Browser {
    client: Client,
    origin: String,
    cookie: Option<String>,
}

impl Browser {
    /// A browser with no cookies.
    ///
    /// # Errors
    /// Where no HTTP client can be made.
    pub fn new(origin: &str) -> Result<Self> {
        let client = Client::builder().redirect(Policy::none()).no_proxy().build()?;
        Ok(Self { client, origin: origin.to_owned(), cookie: None })
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
            let mut request = self.client.get(format!("{}{path}", self.origin));
            if let Some(cookie) = &self.cookie {
                request = request.header(COOKIE, cookie);
            }
            let response = request.send().await?;
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

    async fn submit(&mut self, page: &str, action: &str, fields: &[(&str, &str)]) -> Result<Response> {
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
            .header(COOKIE, self.cookie.as_deref().unwrap_or_default())
            .header("content-type", "application/x-www-form-urlencoded");
        let response = request.body(form.join("&")).send().await?;
        self.keep(&response);
        let status = response.status();
        if status.is_client_error() || status.is_server_error() {
            anyhow::bail!("{action} answered {status}:\n{}", response.text().await?);
        }
        Ok(response)
    }

    fn keep(&mut self, response: &Response) {
        let cookie = response.headers().get(SET_COOKIE).and_then(|value| value.to_str().ok());
        if let Some(pair) = cookie.and_then(|cookie| cookie.split(';').next()) {
            self.cookie = Some(pair.to_owned());
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
