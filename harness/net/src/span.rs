//! Measured times as text: `204 ms`, `3.05 s`, `2 h 11 m 15 s`. Reports use it;
//! [`crate::duration`] has the form of scenario files.

use std::time::Duration;

/// A length of time as text: three significant digits below ten seconds, tenths below a
/// minute, whole seconds above.
///
/// ```
/// use std::time::Duration;
/// use halfopen_net::span::human;
/// assert_eq!(human(Duration::from_micros(204_113)), "204 ms");
/// assert_eq!(human(Duration::from_millis(3_052)), "3.05 s");
/// assert_eq!(human(Duration::from_secs(7_875)), "2 h 11 m 15 s");
/// ```
pub fn human(span: Duration) -> String {
    let ns = span.as_nanos();
    // Each unit is chosen after rounding to it, so that 999.6 ms reads `1 s`
    // and never `1000 ms`.
    if ns == 0 {
        return "0 s".into();
    }
    let us = (ns + 500) / 1_000;
    if us < 1_000 {
        return format!("{} us", us.max(1));
    }
    if us < 9_995 {
        return format!("{} ms", decimal((us + 5) / 10, 2));
    }
    let ms = (ns + 500_000) / 1_000_000;
    if ms < 1_000 {
        return format!("{ms} ms");
    }
    if ms < 9_995 {
        return format!("{} s", decimal((ms + 5) / 10, 2));
    }
    let tenths = (ms + 50) / 100;
    if tenths < 600 {
        return format!("{} s", decimal(tenths, 1));
    }
    let seconds = (ms + 500) / 1_000;
    let parts = [
        (seconds / 3_600, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
    ];
    let words: Vec<_> = parts
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, unit)| format!("{n} {unit}"))
        .collect();
    words.join(" ")
}

/// [`human`] of nanoseconds, with a sign when they are negative.
pub fn human_ns(ns: i64) -> String {
    let span = human(Duration::from_nanos(ns.unsigned_abs()));
    if ns < 0 { format!("-{span}") } else { span }
}

/// An interval: `3.05 s`, or `2.8 s to 3.6 s`. Where both ends would read the same, with
/// as many digits as show the width of the interval.
///
/// ```
/// use std::time::Duration;
/// use halfopen_net::span::human_interval;
/// let (from, to) = (Duration::from_millis(925_330), Duration::from_millis(925_364));
/// assert_eq!(human_interval(from, to), "15 m 25.33 s to 15 m 25.36 s");
/// ```
pub fn human_interval(earliest: Duration, latest: Duration) -> String {
    if earliest == latest {
        return human(earliest);
    }
    let words = (human(earliest), human(latest));
    if words.0 != words.1 {
        return format!("{} to {}", words.0, words.1);
    }
    // So many decimals that one unit of the last place is no more than the width.
    let width = latest.abs_diff(earliest).as_nanos();
    let unit: u128 = if latest < Duration::from_secs(1) {
        1_000_000
    } else {
        1_000_000_000
    };
    let fits = |places: &u32| unit / 10u128.pow(*places) <= width;
    let places = (1..=9).find(fits).unwrap_or(9);
    format!("{} to {}", finer(earliest, places), finer(latest, places))
}

/// [`human_interval`] for a narrow column: what both ends begin and end with is
/// written once.
///
/// ```
/// use std::time::Duration;
/// use halfopen_net::span::short_interval;
/// let ms = Duration::from_millis;
/// assert_eq!(short_interval(ms(2_800), ms(3_600)), "2.8..3.6 s");
/// assert_eq!(short_interval(ms(925_330), ms(925_364)), "15 m 25.33..25.36 s");
/// assert_eq!(short_interval(ms(0), ms(5)), "0 s..5 ms");
/// ```
pub fn short_interval(earliest: Duration, latest: Duration) -> String {
    let text = human_interval(earliest, latest);
    let Some((from, to)) = text.split_once(" to ") else {
        return text;
    };
    let (from, to): (Vec<&str>, Vec<&str>) = (from.split(' ').collect(), to.split(' ').collect());
    let is_same_but_for_the_last_number = from.len() == to.len()
        && from.last() == to.last()
        && from[..from.len() - 2] == to[..to.len() - 2];
    if !is_same_but_for_the_last_number {
        return format!("{}..{}", from.join(" "), to.join(" "));
    }
    let (before, number) = from[..from.len() - 1].split_at(from.len() - 2);
    let mut words: Vec<String> = before.iter().map(|word| (*word).to_owned()).collect();
    words.push(format!("{}..{}", number.concat(), to[to.len() - 2]));
    words.push(to[to.len() - 1].to_owned());
    words.join(" ")
}

/// The same as [`human`], with this many decimals of a second, or of a
/// millisecond where it is less than a second.
fn finer(span: Duration, places: u32) -> String {
    let rounded = |ns: u128| (ns + 10u128.pow(9 - places) / 2) / 10u128.pow(9 - places);
    if span < Duration::from_secs(1) {
        let parts = rounded(span.as_nanos() * 1_000);
        return format!("{} ms", decimal(parts, places));
    }
    let scale = 10u128.pow(places);
    let parts = rounded(span.as_nanos());
    let (minutes, parts) = (parts / scale / 60, parts % (60 * scale));
    let mut words = String::new();
    for (n, unit) in [(minutes / 60, "h"), (minutes % 60, "m")] {
        if n > 0 {
            words.push_str(&format!("{n} {unit} "));
        }
    }
    format!("{words}{} s", decimal(parts, places))
}

/// Reads what [`human`] writes: numbers and units, each set off by a space.
/// None for anything else, so that a plain word, a bare number or `3s` (as a
/// file's author writes it) is never taken for a measured time.
pub fn parse(text: &str) -> Option<Duration> {
    let mut words = text.split(' ').peekable();
    words.peek()?;
    let mut total = Duration::ZERO;
    while let Some(number) = words.next() {
        if !number.chars().all(|c| c.is_ascii_digit() || c == '.') {
            return None;
        }
        let number: f64 = number.parse().ok()?;
        let seconds = match words.next()? {
            "us" => number / 1e6,
            "ms" => number / 1e3,
            "s" => number,
            "m" => number * 60.0,
            "h" => number * 3_600.0,
            _ => return None,
        };
        total = total.checked_add(Duration::try_from_secs_f64(seconds).ok()?)?;
    }
    Some(total)
}

/// `value` tenths or hundredths as a decimal without trailing zeros.
fn decimal(value: u128, places: u32) -> String {
    let scale = 10u128.pow(places);
    let fraction = format!("{:0width$}", value % scale, width = places as usize);
    match fraction.trim_end_matches('0') {
        "" => format!("{}", value / scale),
        kept => format!("{}.{kept}", value / scale),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_change_where_rounding_says_so() {
        let cases: [(u64, &str); 16] = [
            (0, "0 s"),
            (1, "1 us"),
            (73_400, "73 us"),
            (999_600, "1 ms"),
            (1_234_000, "1.23 ms"),
            (9_996_000, "10 ms"),
            (204_113_000, "204 ms"),
            (999_600_000, "1 s"),
            (3_052_000_000, "3.05 s"),
            (3_000_000_000, "3 s"),
            (9_996_000_000, "10 s"),
            (12_340_000_000, "12.3 s"),
            (59_960_000_000, "1 m"),
            (75_000_000_000, "1 m 15 s"),
            (540_000_000_000, "9 m"),
            (7_875_000_000_000, "2 h 11 m 15 s"),
        ];
        for (ns, words) in cases {
            assert_eq!(human(Duration::from_nanos(ns)), words, "{ns} ns");
        }
        assert_eq!(human_ns(-1_500_000_000), "-1.5 s");
    }

    #[test]
    fn narrow_intervals_keep_two_ends() {
        let cases: [(u64, u64, &str); 6] = [
            (10_420, 10_448, "10.42 s to 10.45 s"),
            (3_051, 3_053, "3.051 s to 3.053 s"),
            (925_330, 925_364, "15 m 25.33 s to 15 m 25.36 s"),
            (3_600_010, 3_600_012, "1 h 0.01 s to 1 h 0.012 s"),
            (2_800, 3_600, "2.8 s to 3.6 s"),
            (3_050, 3_050, "3.05 s"),
        ];
        for (from, to, words) in cases {
            let ms = Duration::from_millis;
            assert_eq!(human_interval(ms(from), ms(to)), words);
        }
        let (from, to) = (
            Duration::from_micros(204_110),
            Duration::from_micros(204_390),
        );
        assert_eq!(human_interval(from, to), "204.1 ms to 204.4 ms");
        assert_eq!(parse("15 m 25.33 s"), Some(Duration::from_millis(925_330)));
    }

    #[test]
    fn what_is_written_is_read_again() {
        for ms in [
            1, 7, 204, 999, 1_000, 3_050, 12_300, 61_000, 540_000, 7_875_000,
        ] {
            let span = Duration::from_millis(ms);
            assert_eq!(parse(&human(span)), Some(span), "{ms} ms");
        }
    }

    #[test]
    fn other_text_is_no_time() {
        for text in [
            "",
            "ETIMEDOUT",
            "3s",
            "3",
            "3 x",
            "-3 s",
            "3 s ",
            "s",
            "1e3 s",
            "EOF",
            "inf s",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
