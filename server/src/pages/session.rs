//! The browser's cookie: a random number, and after sign-in another one that the store knows.
//!
//! Every form carries a token made from the cookie (`csrf`), so that no other site can send one, and the number changes
//! at every sign-in, so that nobody can plant one beforehand.

use super::layout::{notice, page};
use crate::app::App;
use crate::problem::Fault;
use crate::secrets::{self, TokenHash, TokenRole};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use maud::{Markup, html};
use portcullis_protocol::AccountId;
use portcullis_protocol::encoding::{Octets, base64url};
use subtle::ConstantTimeEq as _;

/// How long a browser stays signed in: a working day. Approving terminals is all it is for.
const SESSION_SECONDS: u64 = 12 * 3600;

/// Who is at the browser.
pub(crate) struct Visitor {
    cookie: String,
    fresh: bool,
    account: Option<AccountId>,
}

impl FromRequestParts<App> for Visitor {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Fault> {
        let Some(cookie) = cookie_of(&parts.headers, cookie_name(app)) else {
            return Ok(Self { cookie: secrets::new_token().to_string(), fresh: true, account: None });
        };
        let session = app.core.store.web_session(&web_hash(app, &cookie)).await.map_err(Fault::internal)?;
        Ok(Self { cookie, fresh: false, account: session.map(|session| session.account) })
    }
}

impl Visitor {
    /// Whose browser it is, once signed in.
    pub(super) const fn account(&self) -> Option<&AccountId> {
        self.account.as_ref()
    }

    /// The hidden field that every form has.
    pub(super) fn field(&self, app: &App) -> Markup {
        html! { input type="hidden" name="csrf" value=(self.token(app)); }
    }

    fn token(&self, app: &App) -> String {
        base64url(app.core.secrets.hash_token(TokenRole::Form, &self.cookie).as_bytes())
    }

    /// Whether a form came from a page that this server gave this browser.
    pub(super) fn sent(&self, app: &App, csrf: &str, headers: &HeaderMap) -> Result<(), Forged> {
        let own_origin =
            headers.get(header::ORIGIN).is_none_or(|origin| origin.as_bytes() == app.origin().as_str().as_bytes());
        let own_token: bool = self.token(app).as_bytes().ct_eq(csrf.as_bytes()).into();
        if own_origin && own_token && !self.fresh { Ok(()) } else { Err(Forged) }
    }

    /// Gives a new visitor its cookie.
    pub(super) fn keep(&self, app: &App, mut response: Response) -> Response {
        if self.fresh {
            set_cookie(app, &mut response, &self.cookie, SESSION_SECONDS);
        }
        response
    }

    /// Signs in: a new number, whatever the browser brought.
    pub(super) async fn sign_in(
        &self,
        app: &App,
        account: AccountId,
        mut response: Response,
    ) -> Result<Response, Fault> {
        self.forget(app).await?;
        let cookie = secrets::new_token();
        let begun = app.core.store.create_web_session(web_hash(app, &cookie), account, SESSION_SECONDS);
        begun.await.map_err(Fault::internal)?;
        set_cookie(app, &mut response, &cookie, SESSION_SECONDS);
        Ok(response)
    }

    /// Signs out.
    pub(super) async fn sign_out(&self, app: &App, mut response: Response) -> Result<Response, Fault> {
        self.forget(app).await?;
        set_cookie(app, &mut response, "", 0);
        Ok(response)
    }

    async fn forget(&self, app: &App) -> Result<(), Fault> {
        if self.account.is_some() {
            app.core.store.end_web_session(&web_hash(app, &self.cookie)).await.map_err(Fault::internal)?;
        }
        Ok(())
    }
}

/// The form did not come from a page of this server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Forged;

impl Forged {
    pub(super) fn page(self) -> Response {
        let content = html! {
            (notice(Some("This form is out of date, or did not come from this server. Nothing was changed.")))
            p { a href="/" { "Begin again" } }
        };
        page(StatusCode::FORBIDDEN, "Not accepted", &content)
    }
}

/// With TLS a name that no other host of the domain can set (RFC 6265bis section 4.1.3.2).
fn cookie_name(app: &App) -> &'static str {
    if app.origin().is_plain_http() { "portcullis" } else { "__Host-portcullis" }
}

fn web_hash(app: &App, cookie: &str) -> TokenHash {
    app.core.secrets.hash_token(TokenRole::Web, cookie)
}

fn cookie_of(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, value)| *key == name && Octets::<32>::parse(value).is_ok())
        .map(|(_, value)| value.to_owned())
}

fn set_cookie(app: &App, response: &mut Response, value: &str, seconds: u64) {
    let secure = if app.origin().is_plain_http() { "" } else { "; Secure" };
    let name = cookie_name(app);
    let cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}");
    if let Ok(mut cookie) = HeaderValue::try_from(cookie) {
        cookie.set_sensitive(true);
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}
