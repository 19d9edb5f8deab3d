//! Numbers and times for people.

use std::time::Duration;

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A size: `104.86 MiB`.
pub fn bytes(size: u64) -> String {
    humansize::format_size(size, humansize::BINARY)
}

/// An average rate: `80.31 MiB/s`.
pub fn rate(size: u64, took: Duration) -> String {
    let nanos = took.as_nanos().max(1);
    let per_second = u128::from(size) * 1_000_000_000 / nanos;
    format!("{}/s", bytes(u64::try_from(per_second).unwrap_or(u64::MAX)))
}

/// A time in the past: `5 s ago`, `3 min ago`; `now` for the future.
pub fn age(then_ms: i64, now_ms: i64) -> String {
    let seconds = now_ms.saturating_sub(then_ms) / 1000;
    match seconds {
        ..=0 => "now".into(),
        1..=119 => format!("{seconds} s ago"),
        120..=7_199 => format!("{} min ago", seconds / 60),
        7_200..=172_799 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// A moment: `2026-11-21T14:02:33Z`.
pub fn instant(ms: i64) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(ms.div_euclid(1000)).ok();
    moment.and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_else(|| format!("{ms} ms"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(157_286_400), "150 MiB");
        assert_eq!(rate(1 << 20, Duration::from_millis(500)), "2 MiB/s");
        assert_eq!(rate(1, Duration::ZERO), "953.67 MiB/s");
        assert_eq!(
            [age(0, 5_000), age(0, 200_000), age(0, 7_200_000), age(0, 999_999_999), age(9, 0)],
            ["5 s ago", "3 min ago", "2 h ago", "11 days ago", "now"]
        );
        assert_eq!(instant(1_763_733_753_123), "2025-11-21T14:02:33Z");
        assert_eq!(instant(i64::MAX), format!("{} ms", i64::MAX));
    }
}
