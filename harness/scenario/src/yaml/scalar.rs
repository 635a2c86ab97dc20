//! Reads scalars: text to values with their units.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

pub use halfopen_net::duration::{DURATION, Refusal, parse as duration, positive, text as words};

/// `9m` or `5s..6.2s`: earliest and latest.
///
/// # Errors
///
/// As [`duration`] for either end; an interval that ends before it begins.
pub fn interval(text: &str) -> Result<(Duration, Duration), Refusal> {
    let Some((from, to)) = text.split_once("..") else {
        return duration(text).map(|exactly| (exactly, exactly));
    };
    let (from, to) = (duration(from.trim())?, duration(to.trim())?);
    if from > to {
        return Err(Refusal::with(
            format!("the interval `{text}` ends before it begins"),
            format!("write `{}..{}`", words(to), words(from)),
        ));
    }
    Ok((from, to))
}

/// A whole number within bounds.
///
/// # Errors
///
/// Not a whole number; out of bounds, with the bounds.
pub fn whole<T>(text: &str, least: T, most: T) -> Result<T, Refusal>
where
    T: FromStr + PartialOrd + Display,
{
    let bounds = format!("from {least} to {most}");
    if text.trim_start_matches('-').is_empty()
        || !text
            .trim_start_matches('-')
            .chars()
            .all(|c| c.is_ascii_digit())
    {
        return Err(Refusal {
            message: format!("`{text}` is not a whole number {bounds}"),
            help: in_bytes(text).map(|bytes| format!("write `{bytes}`")),
        });
    }
    match text.parse::<T>() {
        Ok(number) if number >= least && number <= most => Ok(number),
        _ => Err(Refusal::new(format!(
            "{text} is out of range: it must be {bounds}"
        ))),
    }
}

/// The number that `20kB` or `1MiB` stands for.
fn in_bytes(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "b" => 1,
        "k" | "kb" => 1000,
        "kib" => 1 << 10,
        "m" | "mb" => 1_000_000,
        "mib" => 1 << 20,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// `true` or `false`.
///
/// # Errors
///
/// Anything else.
pub fn truth(text: &str) -> Result<bool, Refusal> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        "yes" | "on" | "1" => Err(Refusal::with(
            format!("`{text}` is not true or false"),
            "write `true`",
        )),
        "no" | "off" | "0" => Err(Refusal::with(
            format!("`{text}` is not true or false"),
            "write `false`",
        )),
        _ => Err(Refusal::new(format!("`{text}` is not true or false"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_have_two_ends_in_order() {
        assert_eq!(
            interval("9m"),
            Ok((Duration::from_secs(540), Duration::from_secs(540)))
        );
        assert_eq!(
            interval("2s..3s"),
            Ok((Duration::from_secs(2), Duration::from_secs(3)))
        );
        assert_eq!(
            interval("3s..2s").expect_err("reversed").help.as_deref(),
            Some("write `2s..3s`")
        );
    }

    #[test]
    fn whole_numbers_know_their_bounds() {
        assert_eq!(whole("127", 1u32, 127), Ok(127));
        for text in ["0", "128", "-1", "1.5", "", "x", "99999999999999999999"] {
            assert!(whole(text, 1u32, 127).is_err(), "{text}");
        }
        let meant = |text| whole(text, 1u32, 127).expect_err(text).help;
        assert_eq!(meant("20MB").as_deref(), Some("write `20000000`"));
        assert_eq!(meant("4 KiB").as_deref(), Some("write `4096`"));
        assert_eq!(meant("5 apples"), None);
    }
}
