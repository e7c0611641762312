//! The API's timestamps: UTC `yyyy-MM-ddTHH:mm:ssZ` and unix milliseconds.
//!
//! Owns the conversion both ways. Never reads a clock. Called by the signing code, the answers and
//! the policies.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// First second of the year 0000, the earliest that four digits can say.
const SECONDS_MIN: i64 = -62_167_219_200;
/// Last second of the year 9999.
const SECONDS_MAX: i64 = 253_402_300_799;

/// Unix milliseconds of exactly `yyyy-MM-ddTHH:mm:ssZ`; `None` for any other text or a date that
/// does not exist.
#[must_use]
pub fn parse(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if bytes.len() != 20 || bytes.get(10) != Some(&b'T') || bytes.last() != Some(&b'Z') {
        return None;
    }
    let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    moment.unix_timestamp().checked_mul(1000)
}

/// `yyyy-MM-ddTHH:mm:ssZ` of unix milliseconds, rounded down to the second; held within the years
/// 0000 to 9999.
#[must_use]
pub fn format(unix_ms: i64) -> String {
    let seconds = unix_ms.div_euclid(1000).clamp(SECONDS_MIN, SECONDS_MAX);
    let moment = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        moment.year(),
        u8::from(moment.month()),
        moment.day(),
        moment.hour(),
        moment.minute(),
        moment.second()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_survives_the_way_there_and_back() {
        for (text, unix_ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1969-12-31T23:59:59Z", -1000),
            ("2026-11-24T02:16:11Z", 1_795_486_571_000),
            ("2024-02-29T12:00:00Z", 1_709_208_000_000),
            ("0000-01-01T00:00:00Z", SECONDS_MIN * 1000),
            ("9999-12-31T23:59:59Z", SECONDS_MAX * 1000),
        ] {
            assert_eq!(parse(text), Some(unix_ms), "{text}");
            assert_eq!(format(unix_ms), text);
        }
    }

    #[test]
    fn only_the_documented_form_is_read() {
        for text in [
            "",
            "2026-11-24",
            "2026-11-24 02:16:11Z",
            "2026-11-24t02:16:11Z",
            "2026-11-24T02:16:11z",
            "2026-11-24T02:16:11.0Z",
            "2026-11-24T02:16:11+00:00",
            "2026-02-30T02:16:11Z",
            "2026-11-24T25:16:11Z",
            "2026-11-24T0é:16:1Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn milliseconds_are_rounded_down_and_extremes_are_held() {
        assert_eq!(format(1999), "1970-01-01T00:00:01Z");
        assert_eq!(format(-1), "1969-12-31T23:59:59Z");
        assert_eq!(format(i64::MAX), "9999-12-31T23:59:59Z");
        assert_eq!(format(i64::MIN), "0000-01-01T00:00:00Z");
    }
}
