//! The browser's cookies.
//!
//! | cookie | set | holds |
//! | --- | --- | --- |
//! | session | at a sign-in, and nowhere else | a random number that the store knows |
//! | form | with the first form that a visitor sees who is not signed in | a random number, so that the form has a token |
//! | known | at a sign-in, for 400 days | which account signed in here, sealed: see [`super::known`] |
//! | flash | when something was done, for a minute | what to say on the next page, sealed: see [`super::kit::flash`] |
//!
//! Every form carries a token made from the session's or the form's cookie (`csrf`), so that no other site can send
//! one. The session is `SameSite=Lax`: it comes along when a person follows a link from another site, and with nothing
//! else that another site can cause. `GET` changes nothing. A visitor whose session did not come along is given a
//! form's cookie, which overwrites nothing.

use super::kit::flash::{self, Flash};
use super::kit::layout::{notice, page};
use super::known::KnownBrowser;
use crate::crypto::secrets::{self, TokenHash, TokenRole};
use crate::http::app::App;
use crate::http::problem::ApiError;
use crate::ops::clock::Timestamp;
use crate::store::{Holder, NewWebSession};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use maud::{Markup, html};
use portcullis_protocol::AccountId;
use portcullis_protocol::encoding::{Octets, base64url};
use subtle::ConstantTimeEq as _;

/// How long a browser stays signed in: a working day. It buys and manages the account; what is sensitive takes the
/// password again ([`super::step_up`]).
const SESSION_SECONDS: u64 = 12 * 3600;
/// How long a browser is known: the longest that browsers keep a cookie, 400 days.
const KNOWN_SECONDS: u64 = 400 * 24 * 3600;

/// Who is at the browser.
pub(crate) struct Visitor {
    session: Option<SignedInBrowser>,
    form: String,
    form_is_new: bool,
    known: Option<KnownBrowser>,
    flash: Option<Flash>,
}

/// A browser session that is good.
#[derive(Clone)]
pub(super) struct SignedInBrowser {
    cookie: String,
    /// Whose.
    pub(super) account: AccountId,
    /// How the store knows it.
    pub(super) token: TokenHash,
    /// When the password was last typed in it.
    pub(super) proven: Timestamp,
}

impl SignedInBrowser {
    /// Its user, for whom the store acts while it is signed in.
    pub(super) const fn holder(&self) -> Holder {
        Holder { account: self.account, browser: self.token }
    }
}

impl FromRequestParts<App> for Visitor {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let is_number = |value: &str| Octets::<32>::parse(value).is_ok();
        let mut session = None;
        if let Some(cookie) = cookie_of(&parts.headers, &Cookie::Session.name(app)).filter(|value| is_number(value)) {
            let token = web_hash(app, cookie);
            let found = app.core.store.web_session(&token).await.map_err(ApiError::internal)?;
            session = found.map(|found| {
                let (cookie, account, proven) = (cookie.to_owned(), found.account, found.proven);
                SignedInBrowser { cookie, account, token, proven }
            });
        }
        let form = cookie_of(&parts.headers, &Cookie::Form.name(app)).filter(|value| is_number(value));
        let known = cookie_of(&parts.headers, &Cookie::Known.name(app));
        let flash = cookie_of(&parts.headers, &Cookie::Flash.name(app));
        let flash = session.as_ref().zip(flash).and_then(|(session, cookie)| Flash::open(app, session, cookie));
        Ok(Self {
            session,
            flash,
            form_is_new: form.is_none(),
            form: form.map_or_else(|| secrets::new_token().to_string(), str::to_owned),
            known: known.and_then(|value| KnownBrowser::open(app, value)),
        })
    }
}

impl Visitor {
    /// Whose browser it is, once signed in.
    pub(super) fn account(&self) -> Option<&AccountId> {
        self.session.as_ref().map(|session| &session.account)
    }

    /// The browser session, once signed in.
    pub(super) const fn session(&self) -> Option<&SignedInBrowser> {
        self.session.as_ref()
    }

    /// Which account signed in here before.
    pub(super) const fn known(&self) -> Option<&KnownBrowser> {
        self.known.as_ref()
    }

    /// What was just done, to be said on this page.
    pub(super) const fn flash(&self) -> Option<Flash> {
        self.flash
    }

    /// Has the next page say what was done.
    pub(super) fn say(&self, app: &App, flash: Flash, mut response: Response) -> Response {
        if let Some(session) = &self.session {
            flash.set(app, session, &mut response);
        }
        response
    }

    /// It was said.
    pub(super) fn forget_flash(&self, app: &App, mut response: Response) -> Response {
        Cookie::Flash.set(app, &mut response, "", 0);
        response
    }

    /// The hidden field that every form has.
    pub(super) fn field(&self, app: &App) -> Markup {
        html! { input type="hidden" name="csrf" value=(self.token(app)); }
    }

    fn token(&self, app: &App) -> String {
        let number = self.session.as_ref().map_or(&self.form, |session| &session.cookie);
        base64url(app.core.secrets.hash_token(TokenRole::Form, number).as_bytes())
    }

    /// Whether a form came from a page that this server gave this browser.
    pub(super) fn sent(&self, app: &App, csrf: &str, headers: &HeaderMap) -> Result<(), Forged> {
        let own_origin =
            headers.get(header::ORIGIN).is_none_or(|origin| origin.as_bytes() == app.origin().as_str().as_bytes());
        let own_site =
            headers.get("sec-fetch-site").is_none_or(|site| matches!(site.as_bytes(), b"same-origin" | b"none"));
        let own_token: bool = self.token(app).as_bytes().ct_eq(csrf.as_bytes()).into();
        let has_cookie = self.session.is_some() || !self.form_is_new;
        if own_origin && own_site && own_token && has_cookie { Ok(()) } else { Err(Forged) }
    }

    /// Gives a new visitor the cookie of its forms.
    pub(super) fn keep(&self, app: &App, mut response: Response) -> Response {
        if self.session.is_none() && self.form_is_new {
            Cookie::Form.set(app, &mut response, &self.form, SESSION_SECONDS);
        }
        response
    }

    /// Signs in: a new number, whatever the browser brought. `password` is the stored one that was matched.
    pub(super) async fn sign_in(
        &self,
        app: &App,
        account: AccountId,
        password: String,
        mut response: Response,
    ) -> Result<Response, ApiError> {
        self.begin(app, account, password, &mut response).await?;
        Ok(response)
    }

    /// Goes on under a new number after the owner has proved himself by the password, and has the next page say why:
    /// whoever copied the cookie before has nothing.
    pub(super) async fn sign_in_again(
        &self,
        app: &App,
        account: AccountId,
        password: String,
        flash: Flash,
        mut response: Response,
    ) -> Result<Response, ApiError> {
        let session = self.begin(app, account, password, &mut response).await?;
        flash.set(app, &session, &mut response);
        Ok(response)
    }

    async fn begin(
        &self,
        app: &App,
        account: AccountId,
        password: String,
        response: &mut Response,
    ) -> Result<SignedInBrowser, ApiError> {
        self.forget(app).await?;
        let known = self.known.as_ref().filter(|known| known.is_of(&account, &password));
        let known = known.cloned().unwrap_or_else(|| KnownBrowser::new(account, &password));
        let cookie = secrets::new_token().to_string();
        let token = web_hash(app, &cookie);
        let session = NewWebSession { token, account, password, life: SESSION_SECONDS };
        if !app.core.store.create_web_session(session).await.map_err(ApiError::internal)? {
            return Err(ApiError::Conflict("the password was changed a moment ago: sign in again".into()));
        }
        Cookie::Session.set(app, response, &cookie, SESSION_SECONDS);
        Cookie::Known.set(app, response, &known.seal(app), KNOWN_SECONDS);
        Ok(SignedInBrowser { cookie, account, token, proven: app.core.clock.now() })
    }

    /// Signs out.
    pub(super) async fn sign_out(&self, app: &App, mut response: Response) -> Result<Response, ApiError> {
        self.forget(app).await?;
        Cookie::Session.set(app, &mut response, "", 0);
        Ok(response)
    }

    async fn forget(&self, app: &App) -> Result<(), ApiError> {
        if let Some(session) = &self.session {
            app.core.store.end_web_session(&session.token).await.map_err(ApiError::internal)?;
        }
        Ok(())
    }
}

impl Flash {
    fn set(self, app: &App, session: &SignedInBrowser, response: &mut Response) {
        Cookie::Flash.set(app, response, &self.seal(app, session), flash::SECONDS);
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

#[derive(Clone, Copy)]
enum Cookie {
    Session,
    Form,
    Known,
    Flash,
}

impl Cookie {
    /// With TLS a name that no other host of the domain can set (RFC 6265bis section 4.1.3.2). Without, one of this
    /// port: servers on other ports of this machine have the same cookies.
    fn name(self, app: &App) -> String {
        let what = match self {
            Self::Session => "",
            Self::Form => "-form",
            Self::Known => "-known",
            Self::Flash => "-flash",
        };
        if app.origin().is_plain_http() {
            let port = app.origin().as_str().rsplit(':').next().filter(|port| port.bytes().all(|b| b.is_ascii_digit()));
            format!("portcullis-{}{what}", port.unwrap_or("80"))
        } else {
            format!("__Host-portcullis{what}")
        }
    }

    fn set(self, app: &App, response: &mut Response, value: &str, seconds: u64) {
        let secure = if app.origin().is_plain_http() { "" } else { "; Secure" };
        let name = self.name(app);
        let cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}");
        if let Ok(mut cookie) = HeaderValue::try_from(cookie) {
            cookie.set_sensitive(true);
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
}

fn web_hash(app: &App, cookie: &str) -> TokenHash {
    app.core.secrets.hash_token(TokenRole::Web, cookie)
}

fn cookie_of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}
