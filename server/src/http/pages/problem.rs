//! A problem as a page: what a person with a browser is shown instead of problem details.

use super::kit::layout::page;
use super::kit::words::capital;
use crate::ops::log::RequestId;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use maud::html;
use portcullis_protocol::wire::Problem;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The first segments of the paths that programs ask: they get problem details, whatever they accept.
#[derive(Debug, Clone)]
pub(crate) struct ForPrograms(Arc<BTreeSet<String>>);

impl ForPrograms {
    /// Of these paths.
    pub(crate) fn of<'a>(paths: impl IntoIterator<Item = &'a str>) -> Self {
        Self(Arc::new(paths.into_iter().map(|path| first_segment(path).to_owned()).collect()))
    }

    fn has(&self, path: &str) -> bool {
        self.0.contains(first_segment(path))
    }
}

fn first_segment(path: &str) -> &str {
    path.trim_start_matches('/').split('/').next().unwrap_or_default()
}

/// Puts pages in the place of problem details for those who rather have them.
pub(crate) async fn instead_of_problems(
    State(for_programs): State<ForPrograms>,
    request: Request,
    next: Next,
) -> Response {
    let wanted = !for_programs.has(request.uri().path()) && prefers_pages(request.headers());
    let number = request.extensions().get::<RequestId>().cloned();
    let mut response = next.run(request).await;
    if !wanted {
        return response;
    }
    let Some(problem) = response.extensions_mut().remove::<Problem>() else { return response };
    let mut page = show(response.status(), response.headers(), &problem.detail, number.as_ref());
    for name in [header::ALLOW, header::RETRY_AFTER] {
        if let Some(value) = response.headers_mut().remove(&name) {
            page.headers_mut().insert(name, value);
        }
    }
    // The log reads them.
    page.extensions_mut().extend(std::mem::take(response.extensions_mut()));
    page
}

/// Whether pages are accepted, and JSON is not accepted rather (RFC 9110 section 12.5.1).
fn prefers_pages(headers: &HeaderMap) -> bool {
    let (mut html, mut json) = (0.0_f32, 0.0_f32);
    for line in headers.get_all(header::ACCEPT) {
        for range in line.to_str().unwrap_or_default().split(',') {
            let mut parameters = range.split(';').map(str::trim);
            let kind = parameters.next().unwrap_or_default().to_ascii_lowercase();
            let quality =
                parameters.find_map(|parameter| parameter.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0_f32);
            match kind.as_str() {
                "text/html" | "application/xhtml+xml" => html = html.max(quality),
                "application/json" | "application/problem+json" => json = json.max(quality),
                _ => {}
            }
        }
    }
    html > 0.0 && html >= json
}

fn show(status: StatusCode, headers: &HeaderMap, detail: &str, number: Option<&RequestId>) -> Response {
    let retry_after = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse::<u32>().ok());
    let (title, text) = match status {
        StatusCode::NOT_FOUND => ("Page not found", "There is no page at this address.".to_owned()),
        StatusCode::METHOD_NOT_ALLOWED => {
            ("Not possible here", "This address does not take that kind of request. Nothing was changed.".to_owned())
        }
        StatusCode::PAYLOAD_TOO_LARGE => ("Too long", "What was sent is too long. Nothing was changed.".to_owned()),
        // It was read, and the texts of these say why it was not done.
        StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY => ("Not accepted", format!("{}.", capital(detail))),
        StatusCode::TOO_MANY_REQUESTS => ("Too many requests", wait(retry_after)),
        status if status.is_server_error() => {
            ("The server failed", "Nothing was decided. Try again in a moment.".to_owned())
        }
        _ => ("Not accepted", "The server could not read what was sent. Nothing was changed.".to_owned()),
    };
    let content = html! {
        p { (text) }
        @if status.is_server_error() && let Some(RequestId(number)) = number {
            p.quiet { "If it happens again, tell the operator this number: " code { (number) } }
        }
        p { a href="/" { "Go to the first page" } }
    };
    page(status, title, &content)
}

/// When to try again, in words.
pub(super) fn wait(seconds: Option<u32>) -> String {
    match seconds {
        None => "Try again later.".to_owned(),
        Some(0..=1) => "Try again in a second.".to_owned(),
        Some(seconds @ 2..=90) => format!("Try again in {seconds} seconds."),
        Some(seconds) => format!("Try again in {} minutes.", seconds.div_ceil(60)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[tokio::test]
    async fn a_page_says_why_what_was_read_is_not_done() {
        for status in [StatusCode::CONFLICT, StatusCode::UNPROCESSABLE_ENTITY] {
            let page = show(status, &HeaderMap::new(), "the password is <another>: sign in again", None);
            assert_eq!(page.status(), status);
            let body = axum::body::to_bytes(page.into_body(), 1 << 16).await.expect("a page");
            let text = String::from_utf8_lossy(&body);
            assert!(text.contains("The password is &lt;another&gt;: sign in again."), "{text}");
            assert!(!text.contains("could not read"), "{text}");
        }
    }

    #[test]
    fn browsers_get_pages_and_programs_do_not() {
        let accepts = |text: &'static str| {
            prefers_pages(&HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(text))]))
        };
        assert!(accepts("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"));
        assert!(accepts("application/json;q=0.5, Text/HTML"));
        assert!(!accepts("*/*") && !accepts("application/json") && !accepts("application/json, text/html;q=0.9"));
        assert!(!accepts("text/html;q=0") && !prefers_pages(&HeaderMap::new()));
        let programs = ForPrograms::of(["/v1/search", "/oauth/token", "/openapi.json"]);
        assert!(!programs.has("/") && !programs.has("/device") && !programs.has("/v1x"));
        assert!(programs.has("/v1/nothing") && programs.has("/oauth") && programs.has("//v1/"));
    }
}
