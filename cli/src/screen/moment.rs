//! Moments, as people read them.

use std::time::{Duration, UNIX_EPOCH};

/// Unix seconds as `2026-11-22 07:30 UTC`: until when something may be done.
pub(crate) fn minute(seconds: u64) -> String {
    let text = date(seconds);
    text.strip_suffix(" UTC").and_then(|text| Some(format!("{} UTC", text.rsplit_once(':')?.0))).unwrap_or(text)
}

/// The last second of the last year that has four digits. What a store says may lie beyond.
const LAST: u64 = 253_402_300_799;

/// Unix seconds as `2026-11-22 07:30:00 UTC` (RFC 3339 with a space).
pub(crate) fn date(seconds: u64) -> String {
    if seconds > LAST {
        return "after the year 9999".to_owned();
    }
    let time = UNIX_EPOCH + Duration::from_secs(seconds);
    let text = humantime::format_rfc3339_seconds(time).to_string();
    text.replace('T', " ").replace('Z', " UTC")
}

#[test]
fn moments_read_well() {
    assert_eq!(minute(1_700_000_000), "2023-11-14 22:13 UTC");
    assert_eq!(date(1_700_000_000), "2023-11-14 22:13:20 UTC");
    assert_eq!(date(LAST), "9999-12-31 23:59:59 UTC");
    for beyond in [LAST + 1, u64::MAX] {
        assert_eq!((date(beyond), minute(beyond)), ("after the year 9999".into(), "after the year 9999".into()));
    }
}
