//! Moments, as people read them.

use std::time::{Duration, UNIX_EPOCH};

/// Unix seconds as `2026-11-22 07:30 UTC`: until when something may be done.
pub(crate) fn minute(seconds: u64) -> String {
    let text = date(seconds);
    text.strip_suffix(" UTC").and_then(|text| Some(format!("{} UTC", text.rsplit_once(':')?.0))).unwrap_or(text)
}

/// Unix seconds as `2026-11-22 07:30:00 UTC` (RFC 3339 with a space).
pub(crate) fn date(seconds: u64) -> String {
    let time = UNIX_EPOCH + Duration::from_secs(seconds);
    let text = humantime::format_rfc3339_seconds(time).to_string();
    text.replace('T', " ").replace('Z', " UTC")
}

#[test]
fn moments_read_well() {
    assert_eq!(minute(1_700_000_000), "2023-11-14 22:13 UTC");
    assert_eq!(date(1_700_000_000), "2023-11-14 22:13:20 UTC");
}
