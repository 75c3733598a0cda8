//! Sealed files over HTTP: whole, or one range of them (RFC 9110 section 14). The same bytes for everybody, for ever.

use crate::catalogue::objects::{Objects, StorageError};
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use portcullis_protocol::Digest;

/// What of a file is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Whole,
    /// From the first byte, so many.
    Part {
        start: u64,
        length: u64,
    },
    Unsatisfiable,
}

/// Answers `GET` or `HEAD` of the file of the resource `digest`, which has `size` bytes.
///
/// # Errors
/// If the file cannot be read.
pub(crate) async fn serve(
    objects: &Objects,
    (digest, size): (&Digest, u64),
    method: &Method,
    asked: &HeaderMap,
) -> Result<Response, StorageError> {
    let etag = format!("\"{digest}\"");
    if asked.get(header::IF_NONE_MATCH).is_some_and(|value| names(value, &etag)) {
        return Ok((StatusCode::NOT_MODIFIED, common(&etag)).into_response());
    }
    let (status, start, length) = match wanted(asked, &etag, size) {
        Wanted::Whole => (StatusCode::OK, 0, size),
        Wanted::Part { start, length } => (StatusCode::PARTIAL_CONTENT, start, length),
        Wanted::Unsatisfiable => {
            let range = [(header::CONTENT_RANGE, format!("bytes */{size}"))];
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, common(&etag), range).into_response());
        }
    };
    let body = if *method == Method::HEAD {
        Body::empty()
    } else {
        Body::from_stream(objects.read(digest, start..start + length).await?)
    };
    let mut response = (status, common(&etag), body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/wasm"));
    headers.insert(header::CONTENT_LENGTH, length.into());
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {start}-{}/{size}", start + length - 1);
        // Digits, a dash and a slash.
        headers.extend(HeaderValue::try_from(range).map(|range| (header::CONTENT_RANGE, range)));
    }
    Ok(response)
}

fn common(etag: &str) -> [(header::HeaderName, String); 4] {
    [
        (header::ETAG, etag.to_owned()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable".to_owned()),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox".to_owned()),
    ]
}

fn names(value: &HeaderValue, etag: &str) -> bool {
    value.to_str().is_ok_and(|text| {
        text.split(',').map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
    })
}

/// What a request asks for. A `Range` that is no single byte range is ignored, as RFC 9110 section 14.2 allows.
fn wanted(asked: &HeaderMap, etag: &str, size: u64) -> Wanted {
    let Some(range) = asked.get(header::RANGE).and_then(|value| value.to_str().ok()) else {
        return Wanted::Whole;
    };
    // Only a strong match continues a download (RFC 9110 section 13.1.5); there are no dates here.
    if asked.get(header::IF_RANGE).is_some_and(|value| value.as_bytes() != etag.as_bytes()) {
        return Wanted::Whole;
    }
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|range| range.trim().split_once('-')) else {
        return Wanted::Whole;
    };
    let (Ok(from), Ok(to)) = (number(first), number(last)) else {
        return Wanted::Whole;
    };
    match (from, to) {
        (None, None) => Wanted::Whole,
        (None, Some(0)) => Wanted::Unsatisfiable,
        (None, Some(_)) if size == 0 => Wanted::Unsatisfiable,
        (None, Some(suffix)) => {
            let length = suffix.min(size);
            Wanted::Part { start: size - length, length }
        }
        (Some(start), Some(end)) if end < start => Wanted::Whole,
        (Some(start), _) if start >= size => Wanted::Unsatisfiable,
        (Some(start), end) => {
            let end = end.unwrap_or(u64::MAX).min(size - 1);
            Wanted::Part { start, length: end - start + 1 }
        }
    }
}

/// An end of a range, if it is given. A number too large for any file counts as one.
fn number(text: &str) -> Result<Option<u64>, NotDigits> {
    match text {
        "" => Ok(None),
        _ if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(Some(text.parse().unwrap_or(u64::MAX))),
        _ => Err(NotDigits),
    }
}

struct NotDigits;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(range: &'static str) -> Wanted {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, HeaderValue::from_static(range));
        wanted(&headers, "\"e\"", 100)
    }

    #[test]
    fn single_ranges_are_read_as_rfc_9110_has_them() {
        assert_eq!(of("bytes=0-0"), Wanted::Part { start: 0, length: 1 });
        assert_eq!(of("bytes=10-"), Wanted::Part { start: 10, length: 90 });
        assert_eq!(of("bytes=90-200"), Wanted::Part { start: 90, length: 10 });
        assert_eq!(of("bytes=-10"), Wanted::Part { start: 90, length: 10 });
        assert_eq!(of("bytes=-1000"), Wanted::Part { start: 0, length: 100 });
        assert_eq!(of("bytes=100-"), Wanted::Unsatisfiable);
        assert_eq!(of("bytes=-0"), Wanted::Unsatisfiable);
        assert_eq!(of("bytes=99999999999999999999999-"), Wanted::Unsatisfiable);
        for ignored in ["bytes=-", "bytes=5-2", "bytes=1-2,4-5", "items=0-1", "bytes=a-b", "bytes=+1-2"] {
            assert_eq!(of(ignored), Wanted::Whole, "{ignored}");
        }
    }

    #[test]
    fn if_range_continues_only_the_same_bytes() {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, HeaderValue::from_static("bytes=10-"));
        headers.insert(header::IF_RANGE, HeaderValue::from_static("\"e\""));
        assert_eq!(wanted(&headers, "\"e\"", 100), Wanted::Part { start: 10, length: 90 });
        assert_eq!(wanted(&headers, "\"f\"", 100), Wanted::Whole);
        assert_eq!(wanted(&headers, "W/\"e\"", 100), Wanted::Whole);
    }
}
