//! Reads names of errnos and signals.

use std::str::FromStr;

use nix::errno::Errno;

use crate::yaml::{Refusal, name};
use nix::sys::signal::Signal;

/// The name of an errno (errno(3)).
///
/// # Errors
///
/// A name that Linux does not have.
pub fn errno(text: &str) -> Result<String, Refusal> {
    let known: Vec<String> = (1..134)
        .map(Errno::from_raw)
        .filter(|errno| *errno != Errno::UnknownErrno)
        .map(|errno| format!("{errno:?}"))
        .collect();
    if known.iter().any(|name| name == text) {
        return Ok(text.to_owned());
    }
    let help = match text {
        "EWOULDBLOCK" => Some("on Linux it is `EAGAIN`".to_owned()),
        _ if text.parse::<i32>().is_ok() => {
            let number = text.parse().map_or(Errno::UnknownErrno, Errno::from_raw);
            (number != Errno::UnknownErrno).then(|| format!("write `{number:?}`"))
        }
        _ => name::did_you_mean(text, known.iter().map(String::as_str)),
    };
    Err(Refusal {
        message: format!("unknown errno `{text}`"),
        help,
    })
}

/// Reads the name of a signal with or without `SIG`; returns it without.
///
/// # Errors
///
/// A name that is not in signal(7).
pub fn signal(text: &str) -> Result<String, Refusal> {
    let short = text.strip_prefix("SIG").unwrap_or(text);
    if Signal::from_str(&format!("SIG{short}")).is_ok() {
        return Ok(short.to_owned());
    }
    let known: Vec<String> = Signal::iterator()
        .map(|signal| signal.as_str().to_owned())
        .collect();
    let meant = name::nearest(
        &format!("SIG{}", short.to_uppercase()),
        known.iter().map(String::as_str),
    );
    let help = meant.map(|name| {
        format!(
            "did you mean `{}`?",
            if text.starts_with("SIG") {
                name
            } else {
                &name[3..]
            }
        )
    });
    Err(Refusal {
        message: format!("unknown signal `{text}`"),
        help,
    })
}
