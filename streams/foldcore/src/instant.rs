//! Instants as microseconds since 1970, UTC: RFC 3339 in and out, by the proleptic Gregorian calendar.

use std::io::Write;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400;
const DAY_HOURS: i64 = 24;
const LONGEST: usize = "YYYY-MM-DDTHH:MM:SS.ffffff+hh:mm".len();

/// Seconds since 1970 of the calendar's first and last second, years 1 and 9999.
const FIRST: i64 = -62_135_596_800;
const LAST: i64 = 253_402_300_799;

/// `YYYY-MM-DDTHH:MM:SS[.f{1,6}](Z|±hh:mm)` → microseconds since 1970; `None` for everything else.
///
/// An offset may carry it beyond the calendar by up to a day, as it may in Python.
#[inline]
pub fn parse(text: &[u8]) -> Option<i64> {
    if text.len() < 20 || text.len() > LONGEST {
        return None;
    }
    if (text[4], text[7], text[10], text[13], text[16]) != (b'-', b'-', b'T', b':', b':') {
        return None;
    }
    let year = pair(text, 0)? * 100 + pair(text, 2)?;
    let (month, day) = (pair(text, 5)?, pair(text, 8)?);
    let (hour, minute, second) = (pair(text, 11)?, pair(text, 14)?, pair(text, 17)?);
    if year == 0 || !(1..=12).contains(&month) || day == 0 || day > days_in(year, month) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (rest, zone) = fraction(&text[19..])?;
    let second = days(year, month, day) * DAY + hour * 3600 + minute * 60 + second - offset(zone)?;
    Some(second * SECOND + rest)
}

#[inline]
fn digit(byte: u8) -> Option<i64> {
    let value = byte.wrapping_sub(b'0');
    (value < 10).then_some(i64::from(value))
}

#[inline]
fn pair(text: &[u8], at: usize) -> Option<i64> {
    Some(digit(*text.get(at)?)? * 10 + digit(*text.get(at + 1)?)?)
}

/// What follows the seconds → microseconds, and what follows them.
#[inline]
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    if text[0] != b'.' {
        return Some((0, text));
    }
    let (mut value, mut unit, mut at) = (0, SECOND, 1);
    while let Some(digit) = text.get(at).copied().and_then(digit) {
        unit /= 10; // the seventh digit would be rounded, so it is none of ours
        value += (unit > 0).then_some(digit * unit)?;
        at += 1;
    }
    (at > 1).then_some((value, &text[at..]))
}

/// Seconds by which the clock of this zone is ahead of UTC.
#[inline]
fn offset(zone: &[u8]) -> Option<i64> {
    if zone == b"Z" {
        return Some(0);
    }
    if zone.len() != 6 || zone[3] != b':' {
        return None;
    }
    let (hour, minute) = (pair(zone, 1)?, pair(zone, 4)?);
    let ahead = (hour < 24 && minute < 60).then_some(hour * 3600 + minute * 60)?;
    match zone[0] {
        b'+' => Some(ahead),
        b'-' => Some(-ahead),
        _ => None,
    }
}

#[inline]
fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970 of a civil date: March is the first month, so that the leap day is a year's last.
#[inline]
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The civil date of a day since 1970: year, month, day.
#[inline]
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let (era, of_era) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march = (5 * of_year + 2) / 153;
    let month = if march < 10 { march + 3 } else { march - 9 };
    let day = of_year - (153 * march + 2) / 5 + 1;
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// Appends an instant (µs since 1970) as RFC 3339 with `Z` and microseconds, or none at all if it has none; beyond
/// the calendar its first or last instant.
pub fn write(at: i64, into: &mut Vec<u8>) {
    let start = into.len();
    if write_full(at, into).is_none() {
        let end: &[u8] = if at < 0 { b"0001-01-01T00:00:00Z" } else { b"9999-12-31T23:59:59.999999Z" };
        return into.extend_from_slice(end);
    }
    if at.rem_euclid(SECOND) == 0 {
        into.truncate(start + "YYYY-MM-DDTHH:MM:SS".len());
        into.push(b'Z');
    }
}

/// Appends an instant (µs since 1970) as RFC 3339 with `Z` and microseconds; None, and nothing, beyond the calendar.
pub fn write_full(at: i64, into: &mut Vec<u8>) -> Option<()> {
    let (second, rest) = (at.div_euclid(SECOND), at.rem_euclid(SECOND));
    if !(FIRST..=LAST).contains(&second) {
        return None;
    }
    let (day, time) = (second.div_euclid(DAY), second.rem_euclid(DAY));
    let mut text = *b"YYYY-MM-DDTHH:MM:SS.ffffffZ";
    date(day, &mut text);
    put(&mut text, 11, time / 3600);
    put(&mut text, 14, time / 60 % 60);
    put(&mut text, 17, time % 60);
    put(&mut text, 20, rest / 10_000);
    put(&mut text, 22, rest / 100 % 100);
    put(&mut text, 24, rest % 100);
    into.extend_from_slice(&text);
    Some(())
}

/// Appends the day of an hour since 1970, UTC, as `YYYY-MM-DD`: of any hour, also beyond the calendar.
pub fn write_day(hour: i64, into: &mut Vec<u8>) {
    let day = hour.div_euclid(DAY_HOURS);
    if (FIRST..=LAST).contains(&day.saturating_mul(DAY)) {
        let mut text = *b"YYYY-MM-DD";
        date(day, &mut text);
        into.extend_from_slice(&text);
    } else {
        let (year, month, day) = civil(day);
        // Writing into a vector cannot fail.
        let _ = write!(into, "{:04}-{:02}-{:02}", year, month, day);
    }
}

/// The date of a day of years 0 to 9999 into the first ten bytes.
#[inline]
fn date(day: i64, text: &mut [u8]) {
    let (year, month, day) = civil(day);
    put(text, 0, year / 100);
    put(text, 2, year % 100);
    put(text, 5, month);
    put(text, 8, day);
}

#[inline]
fn put(text: &mut [u8], at: usize, value: i64) {
    text[at] = b'0' + (value / 10) as u8;
    text[at + 1] = b'0' + (value % 10) as u8;
}

#[cfg(test)]
mod tests {
    use super::{parse, write, write_day, DAY, FIRST, LAST, SECOND};

    fn written(at: i64) -> String {
        let mut text = Vec::new();
        write(at, &mut text);
        String::from_utf8(text).expect("text")
    }

    #[test]
    fn each_day_of_the_calendar_is_written_and_read_and_follows_the_last() {
        let mut last = String::new();
        for day in FIRST / DAY..=LAST / DAY {
            let at = day * DAY * SECOND + 123_456;
            let text = written(at);
            assert_eq!(parse(text.as_bytes()), Some(at));
            let mut date = Vec::new();
            write_day(day * 24 + 23, &mut date);
            assert_eq!(date, text.as_bytes()[..10]);
            assert!(text > last);
            last = text;
        }
        assert_eq!(last, "9999-12-31T00:00:00.123456Z");
    }

    #[test]
    fn beyond_the_calendar_stand_its_ends() {
        assert_eq!(written(FIRST * SECOND), "0001-01-01T00:00:00Z");
        assert_eq!(written(i64::MIN), "0001-01-01T00:00:00Z");
        assert_eq!(written(LAST * SECOND + 999_999), "9999-12-31T23:59:59.999999Z");
        assert_eq!(written(i64::MAX), "9999-12-31T23:59:59.999999Z");
    }

    #[test]
    fn zones_and_fractions_are_taken_into_account() {
        assert_eq!(parse(b"1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(parse(b"1970-01-01T01:30:00.5+01:30"), Some(500_000));
        assert_eq!(parse(b"1969-12-31T23:59:59.000001-00:01"), Some(59 * SECOND + 1));
        for text in [
            "1970-01-01T00:00:00",
            "1970-01-01T00:00:00.Z",
            "1970-01-01T00:00:00.1234567Z",
            "1970-01-01t00:00:00Z",
            "1970-01-01T00:00:60Z",
            "1970-01-01T24:00:00Z",
            "1970-02-29T00:00:00Z",
            "0000-01-01T00:00:00Z",
            "1970-01-01T00:00:00+24:00",
            "1970-01-01T00:00:00+0100",
            "1970-01-01T00:00:00ZZ",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{}", text);
        }
    }
}
