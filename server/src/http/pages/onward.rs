//! Where a visitor is on the way to: only ever to a page of this server, so that no link leads elsewhere.

use crate::http::oauth::UserCode;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use maud::{Markup, html};
use std::convert::Infallible;
use url::form_urlencoded;

/// The page that a person wanted before signing in or up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Onward {
    /// The first page.
    #[default]
    Home,
    /// The account.
    Account,
    /// The approval of a terminal.
    Device(UserCode),
}

/// The value of `to` that leads to the account.
const ACCOUNT: &str = "account";

impl Onward {
    /// Reads what a link or a form says. Whatever it is not leads to the first page.
    pub(super) fn read(code: &str, to: &str) -> Self {
        match code.parse() {
            Ok(code) => Self::Device(code),
            Err(_) if to == ACCOUNT => Self::Account,
            Err(_) => Self::Home,
        }
    }

    /// The page itself.
    pub(super) fn path(&self) -> String {
        match self {
            Self::Home => "/".to_owned(),
            Self::Account => "/account".to_owned(),
            Self::Device(code) => format!("/device?code={code}"),
        }
    }

    /// Another page, on the way there.
    pub(super) fn by(&self, page: &str) -> String {
        match self {
            Self::Home => page.to_owned(),
            Self::Account => format!("{page}?to={ACCOUNT}"),
            Self::Device(code) => format!("{page}?code={code}"),
        }
    }

    /// The hidden field of a form on the way there.
    pub(super) fn field(&self) -> Markup {
        html! {
            @match self {
                Self::Home => {}
                Self::Account => { input type="hidden" name="to" value=(ACCOUNT); }
                Self::Device(code) => { input type="hidden" name="code" value=(code); }
            }
        }
    }
}

/// The first value that a query has for a name, if it has one.
pub(super) fn query_value(parts: &Parts, name: &str) -> Option<String> {
    let query = parts.uri.query().unwrap_or_default();
    form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

impl<S: Sync> FromRequestParts<S> for Onward {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let value = |name| query_value(parts, name).unwrap_or_default();
        Ok(Self::read(&value("code"), &value("to")))
    }
}
