//! Durations as they are written in scenario files and on the command line: `1m30s`.

use std::time::Duration;

/// Why a text is refused, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl Refusal {
    /// A refusal without `help`.
    pub fn new(message: impl Into<String>) -> Self {
        Refusal {
            message: message.into(),
            help: None,
        }
    }

    /// A refusal that says what to write instead.
    pub fn with(message: impl Into<String>, help: impl Into<String>) -> Self {
        Refusal {
            message: message.into(),
            help: Some(help.into()),
        }
    }
}

/// Units of time from the largest to the smallest, in nanoseconds.
const UNITS: [(&str, u128); 6] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
];

/// What a duration looks like, for messages.
pub const DURATION: &str = "a duration such as `500ms`, `2.5s` or `1m30s`";

/// A duration: numbers with units, largest first, `1m30s`. A bare number is
/// refused, because seconds and milliseconds are both plausible; a negative
/// one, because nothing here can wait a negative time.
///
/// # Errors
///
/// A [`Refusal`] that says what to write instead.
pub fn parse(text: &str) -> Result<Duration, Refusal> {
    let shown = format!("`{text}`");
    if text.starts_with('-') {
        return Err(Refusal::new(format!(
            "a duration cannot be negative: {shown}"
        )));
    }
    if text.parse::<f64>().is_ok() && text.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Err(Refusal::with(
            format!("the duration {shown} has no unit"),
            format!("write `{text}s` for seconds, `{text}ms` for milliseconds"),
        ));
    }
    let mut rest = text;
    let mut total: u128 = 0;
    let mut next_unit = 0;
    if rest.is_empty() {
        return Err(Refusal::new("this duration is empty"));
    }
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let letters = after
            .find(|c: char| !c.is_alphabetic())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        if number.is_empty() || number.starts_with('.') || number.ends_with('.') {
            let help = (text.contains(' ')).then(|| format!("write `{}`", text.replace(' ', "")));
            return Err(Refusal {
                message: format!("{shown} is not a duration"),
                help,
            });
        }
        if unit.is_empty() {
            return Err(Refusal::with(
                format!("`{number}` in {shown} has no unit"),
                "the units are us, ms, s, m, h, d",
            ));
        }
        let Some(index) = UNITS.iter().position(|(name, _)| *name == unit) else {
            let meant = match unit {
                "sec" | "secs" | "second" | "seconds" | "S" => Some("s"),
                "min" | "mins" | "minute" | "minutes" | "M" => Some("m"),
                "hr" | "hrs" | "hour" | "hours" | "H" => Some("h"),
                "day" | "days" | "D" => Some("d"),
                "msec" | "msecs" | "millis" => Some("ms"),
                "usec" | "usecs" | "µs" | "μs" => Some("us"),
                _ => None,
            };
            let help = meant.map_or_else(
                || "the units are us, ms, s, m, h, d".to_owned(),
                |meant| format!("write `{number}{meant}`"),
            );
            return Err(Refusal::with(
                format!("unknown unit `{unit}` in {shown}"),
                help,
            ));
        };
        if index < next_unit {
            return Err(Refusal::with(
                format!("the units of {shown} are out of order"),
                "from the largest to the smallest, each once: `1m30s`",
            ));
        }
        next_unit = index + 1;
        let nanos = nanoseconds(number, UNITS[index].1).ok_or_else(|| {
            Refusal::new(format!("{shown} is finer than a nanosecond, or too long"))
        })?;
        total = total.saturating_add(nanos);
        rest = after;
    }
    u64::try_from(total)
        .map(Duration::from_nanos)
        .map_err(|_| Refusal::new(format!("{shown} is too long")))
}

/// A decimal number of units as nanoseconds, exactly; None when it is not one.
fn nanoseconds(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let mut nanos = whole.parse::<u128>().ok()?.checked_mul(unit)?;
    if !fraction.is_empty() {
        let scale = 10u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        let part = fraction.parse::<u128>().ok()?.checked_mul(unit)?;
        if part % scale != 0 {
            return None;
        }
        nanos = nanos.checked_add(part / scale)?;
    }
    Some(nanos)
}

/// A duration in the form that [`parse`] reads.
pub fn text(duration: Duration) -> String {
    let mut left = duration.as_nanos();
    let mut text = String::new();
    for (name, unit) in UNITS {
        if left >= unit {
            text.push_str(&format!("{}{name}", left / unit));
            left %= unit;
        }
    }
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text
    }
}

/// [`parse`], for a duration that must be more than 0.
///
/// # Errors
///
/// As [`parse`], and 0.
pub fn positive(text: &str) -> Result<Duration, Refusal> {
    let duration = parse(text)?;
    if duration.is_zero() {
        return Err(Refusal::new("this must be more than 0"));
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_exact() {
        let ms = Duration::from_millis;
        for (text, want) in [
            ("500ms", ms(500)),
            ("1m30s", ms(90_000)),
            ("2.8s", ms(2800)),
            ("0s", ms(0)),
            ("2h11m15s", ms(7_875_000)),
            ("250us", Duration::from_micros(250)),
            ("1d", ms(86_400_000)),
        ] {
            assert_eq!(parse(text), Ok(want), "{text}");
        }
    }

    #[test]
    fn durations_that_are_none_are_refused_with_advice() {
        for (text, help) in [
            (
                "90",
                Some("write `90s` for seconds, `90ms` for milliseconds"),
            ),
            (
                "1.5",
                Some("write `1.5s` for seconds, `1.5ms` for milliseconds"),
            ),
            ("-1s", None),
            ("1m 30s", Some("write `1m30s`")),
            (
                "30s1m",
                Some("from the largest to the smallest, each once: `1m30s`"),
            ),
            (
                "1s1s",
                Some("from the largest to the smallest, each once: `1m30s`"),
            ),
            ("5sec", Some("write `5s`")),
            ("5parsec", Some("the units are us, ms, s, m, h, d")),
            ("", None),
            ("s", None),
            ("1m30", Some("the units are us, ms, s, m, h, d")),
            ("0.0000000001s", None),
            ("99999999999999999999d", None),
        ] {
            let refusal = parse(text).expect_err(text);
            assert_eq!(refusal.help.as_deref(), help, "{text}: {}", refusal.message);
        }
    }

    #[test]
    fn text_can_be_read_back() {
        for written in ["500ms", "1m30s", "2h11m15s", "0s", "1d1us"] {
            assert_eq!(text(parse(written).expect("a duration")), written);
        }
    }
}
