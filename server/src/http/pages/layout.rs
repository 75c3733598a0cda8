//! What every page has: the frame, the style, and the headers that keep anything else out.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use base64ct::{Base64, Encoding as _};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};
use std::sync::LazyLock;

/// Borders of fields have a contrast of 3:1 at least (WCAG 2.2, 1.4.11), text of 4.5:1; nothing is wider than 320 px.
const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1c1b1a;--paper:#fbfaf8;--line:#807a70;--accent:#7a3b12;--quiet:#625d55;--bad:#a3241b}\
@media(prefers-color-scheme:dark){:root{--ink:#ece8e1;--paper:#191817;--line:#857f75;--accent:#e0a26f;--quiet:#b0a99e;--bad:#ffa297}}\
*{box-sizing:border-box}\
body{margin:0;background:var(--paper);color:var(--ink);font:17px/1.55 system-ui,sans-serif;overflow-wrap:anywhere}\
main{max-width:32rem;margin:8vh auto 4rem;padding:0 1.25rem}\
header p{margin:0;font-size:.9rem;letter-spacing:.04em}\
header a{color:var(--quiet);text-decoration:none}\
header a:hover{text-decoration:underline}\
h1{font-size:1.6rem;line-height:1.25;margin:.3rem 0 1.2rem}\
h2{font-size:1.15rem;margin:2.6rem 0 .6rem;padding-top:1.2rem;border-top:1px solid color-mix(in srgb,var(--line) 45%,transparent)}\
label{display:block;margin:1rem 0 .3rem;font-weight:600}\
input{width:100%;padding:.6rem .7rem;font:inherit;color:inherit;background:transparent;border:1px solid var(--line);border-radius:.4rem}\
input[aria-invalid=true]{border:2px solid var(--bad)}\
button{margin:1.4rem .6rem 0 0;padding:.6rem 1.3rem;font:inherit;font-weight:600;border-radius:.4rem;border:1px solid var(--accent);background:var(--accent);color:var(--paper);cursor:pointer}\
button.plain{background:transparent;color:var(--accent)}\
:focus-visible{outline:3px solid var(--accent);outline-offset:2px}\
a{color:var(--accent)}\
code,.words{font-family:ui-monospace,monospace}\
.words{font-weight:600;font-size:1.1rem;line-height:1.7;padding:.9rem 1rem;border:1px solid var(--line);border-radius:.4rem}\
.notice{padding:.7rem 1rem;border-left:4px solid var(--accent);background:color-mix(in srgb,var(--accent) 8%,transparent)}\
.error{margin:.35rem 0 0;color:var(--bad)}\
.quiet,.hint{color:var(--quiet);font-size:.9rem}\
.hint{margin:.35rem 0 0}\
.list{list-style:none;margin:0;padding:0}\
.list>li{padding:.9rem 0;border-bottom:1px solid color-mix(in srgb,var(--line) 45%,transparent)}\
.list>li:last-child{border-bottom:0}\
.list p{margin:0}\
.list code{font-size:.9rem}\
time{white-space:nowrap}\
summary{display:inline-block;margin-top:.5rem;padding:.25rem 0;color:var(--accent);text-decoration:underline;cursor:pointer}\
details p{margin:.5rem 0 0}\
details button{margin-top:.8rem}\
dl{display:grid;grid-template-columns:auto minmax(0,1fr);gap:.3rem 1rem}dt{color:var(--quiet)}dd{margin:0}";

/// Nothing but this page, this style and forms to this very server.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let style = Base64::encode_string(&Sha256::digest(STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'; form-action 'self'"))
});

/// A page with this title and content.
pub(super) fn page(status: StatusCode, title: &str, content: &Markup) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                title { (title) " · Portcullis" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    header { p { a href="/" { "Portcullis billing server" } } h1 { (title) } }
                    (content)
                }
            }
        }
    };
    let mut response = (status, Html(page.into_string())).into_response();
    guard(response.headers_mut());
    response
}

/// To another page of this server, by `GET`.
pub(super) fn see_other(path: &str) -> Response {
    let mut response = Redirect::to(path).into_response();
    guard(response.headers_mut());
    response
}

fn guard(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY.clone());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
}

/// Names the sentence of [`notice`], for fields that it is about.
pub(super) const NOTICE: &str = "notice";

/// A sentence that says what went wrong, read out by screen readers at once.
pub(super) fn notice(text: Option<&str>) -> Markup {
    html! { @if let Some(text) = text { p.notice id=(NOTICE) role="alert" { (text) } } }
}
