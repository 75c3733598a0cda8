//! What every page has: the frame, the style, and the headers that keep anything else out.

use super::icons;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use base64ct::{Base64, Encoding as _};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};
use std::sync::LazyLock;

/// The style, which stands in every page: nothing else is loaded, and the policy names it by its digest.
const STYLE: &str = include_str!("style.css");

/// Nothing but this page, this style and forms to this very server.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| policy(""));
/// The same, and pictures of this server: see [`super::super::store::cover`].
static POLICY_WITH_COVERS: LazyLock<HeaderValue> = LazyLock::new(|| policy(" img-src 'self';"));

fn policy(more: &str) -> HeaderValue {
    let style = Base64::encode_string(&Sha256::digest(STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}';{more} form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'; form-action 'self'"))
}

/// What a page loads beside its style.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Loads {
    /// Nothing.
    Nothing,
    /// Covers of what is sold.
    Covers,
}

/// A page of one purpose with this title and content: signing in, approving, an error. It offers no way elsewhere but
/// to the store.
pub(in super::super) fn page(status: StatusCode, title: &str, content: &Markup) -> Response {
    let body = html! {
        header.bar { div.in { (mark("Portcullis")) } }
        main id="content" class="in narrow" {
            h1 { (title) }
            (content)
        }
    };
    document(status, title, Loads::Nothing, &body)
}

/// The way to the first page.
pub(super) fn mark(name: &str) -> Markup {
    html! { a.mark href="/" { (icons::mark()) span { (name) } } }
}

/// A whole document with its headers.
pub(super) fn document(status: StatusCode, title: &str, loads: Loads, body: &Markup) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                meta name="color-scheme" content="light dark";
                title { (title) " · Portcullis" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#content" { "Skip to the content" }
                (body)
            }
        }
    };
    let mut response = (status, Html(page.into_string())).into_response();
    guard(response.headers_mut(), loads);
    response
}

/// To another page of this server, by `GET`.
pub(in super::super) fn see_other(path: &str) -> Response {
    let mut response = Redirect::to(path).into_response();
    guard(response.headers_mut(), Loads::Nothing);
    response
}

fn guard(headers: &mut HeaderMap, loads: Loads) {
    let policy = match loads {
        Loads::Nothing => &POLICY,
        Loads::Covers => &POLICY_WITH_COVERS,
    };
    headers.insert(header::CONTENT_SECURITY_POLICY, (**policy).clone());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
}

/// Names the sentence of [`notice`], for fields that it is about.
pub(in super::super) const NOTICE: &str = "notice";

/// A sentence that says what went wrong, read out by screen readers at once.
pub(in super::super) fn notice(text: Option<&str>) -> Markup {
    html! { @if let Some(text) = text { p.notice.bad id=(NOTICE) role="alert" { (text) } } }
}
