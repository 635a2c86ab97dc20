//! [`expect_errno!`](crate::expect_errno): an assertion about how a call fails, and when.

use std::error::Error;
use std::fmt::{Debug, Display};
use std::io;
use std::ops::Range;
use std::time::{Duration, Instant};

pub use nix::errno::Errno;

use halfopen_net::span::human;

/// Asserts that a call fails with an errno, and, if that is given, after a time in a range
/// of `ms`, `s`, `min` or `h`. Returns how long the call took.
///
/// The call's result may be of any error type: the errno is that of the first error in its
/// chain of sources that has one, so that it works for errors of reqwest or tonic as well
/// as for those of std. A time limit of the client's own (`TcpStream::connect_timeout`, tokio's
/// `timeout`) has none. The panic says what was seen instead. The call is made where the macro
/// stands, so `?` and `.await` may be part of it: `expect_errno!(host.block_on(ask())?, ETIMEDOUT)`.
///
/// ```no_run
/// # use std::io::Read;
/// # fn example(stream: &mut std::net::TcpStream) {
/// use halfopen_lab::expect_errno;
///
/// expect_errno!(stream.read(&mut [0]), ETIMEDOUT);
/// expect_errno!(stream.read(&mut [0]), ETIMEDOUT, within 12.0..12.3 s);
/// // `stream.read(&mut [0])`: expected ETIMEDOUT after 12 s to 12.3 s, got EPIPE after 3.05 s
/// # }
/// ```
///
/// Timers of the kernel never expire early. In real time a busy machine can be late by any
/// time: an upper end that has to hold everywhere is far away, an exact one is for virtual
/// time.
#[macro_export]
macro_rules! expect_errno {
    ($call:expr, $errno:ident $(,)?) => {
        $crate::expect::expect(
            ::core::stringify!($call),
            $crate::expect::Errno::$errno,
            ::core::option::Option::None,
            ::std::time::Instant::now(),
            $call,
        )
    };
    ($call:expr, $errno:ident, within $from:literal .. $to:literal $unit:ident $(,)?) => {
        $crate::expect::expect(
            ::core::stringify!($call),
            $crate::expect::Errno::$errno,
            ::core::option::Option::Some(
                $crate::expect::unit::$unit($from as f64)..$crate::expect::unit::$unit($to as f64),
            ),
            ::std::time::Instant::now(),
            $call,
        )
    };
}

/// What the macro writes after its numbers.
pub mod unit {
    use std::time::Duration;

    /// Milliseconds.
    pub fn ms(count: f64) -> Duration {
        s(count / 1e3)
    }

    /// Seconds.
    pub fn s(count: f64) -> Duration {
        Duration::from_secs_f64(count)
    }

    /// Minutes.
    pub fn min(count: f64) -> Duration {
        s(count * 60.0)
    }

    /// Hours.
    pub fn h(count: f64) -> Duration {
        s(count * 3600.0)
    }
}

/// What the macro expands to.
///
/// # Panics
/// When the call does not do what is expected.
#[track_caller]
pub fn expect<T: Debug, E: Into<Box<dyn Error>>>(
    call: &str,
    errno: Errno,
    within: Option<Range<Duration>>,
    start: Instant,
    result: Result<T, E>,
) -> Duration {
    let took = start.elapsed();
    if let Err(why) = judge(errno, within.as_ref(), result.map_err(Into::into), took) {
        panic!("`{call}`: {why}");
    }
    took
}

fn judge(
    errno: Errno,
    within: Option<&Range<Duration>>,
    result: Result<impl Debug, Box<dyn Error>>,
    took: Duration,
) -> Result<(), String> {
    let when =
        within.map(|Range { start, end }| format!(" after {} to {}", human(*start), human(*end)));
    let expected = format!("expected {errno:?}{}", when.unwrap_or_default());
    let but = |got: &dyn Display| Err(format!("{expected}, got {got} after {}", human(took)));
    let error = match result {
        Ok(value) => return but(&format_args!("Ok({value:?})")),
        Err(error) => error,
    };
    match errno_of(error.as_ref()) {
        Some(got) if got == errno => match within {
            Some(range) if !range.contains(&took) => but(&format_args!("{got:?}")),
            _ => Ok(()),
        },
        Some(got) => but(&format_args!("{got:?}")),
        None => but(&format_args!(
            "an error without an errno ({})",
            chain(error.as_ref())
        )),
    }
}

/// The errno of the first error that has one.
fn errno_of(error: &(dyn Error + 'static)) -> Option<Errno> {
    if let Some(errno) = error.downcast_ref::<Errno>() {
        return Some(*errno);
    }
    if let Some(io) = error.downcast_ref::<io::Error>() {
        if let Some(number) = io.raw_os_error() {
            return Some(Errno::from_raw(number));
        }
        // What is wrapped in an io::Error is not among its sources.
        return io.get_ref().and_then(|wrapped| errno_of(wrapped));
    }
    error.source().and_then(errno_of)
}

fn chain(error: &(dyn Error + 'static)) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(errno: Errno) -> io::Result<u8> {
        Err(io::Error::from_raw_os_error(errno as i32))
    }

    /// As libraries wrap what the kernel said.
    #[derive(Debug, thiserror::Error)]
    #[error("request failed")]
    struct Wrapped(#[source] io::Error);

    #[test]
    fn the_errno_is_found_in_what_wraps_it() {
        expect_errno!(fails(Errno::EPIPE), EPIPE);
        expect_errno!(fails(Errno::EAGAIN), EWOULDBLOCK, within 0..600 s);
        let io = || io::Error::from_raw_os_error(Errno::ECONNRESET as i32);
        expect_errno!(Err::<(), _>(Wrapped(io())), ECONNRESET);
        let host = || Ok::<_, Box<dyn Error>>(Err::<u8, _>(io()));
        let asked =
            || -> Result<Duration, Box<dyn Error>> { Ok(expect_errno!(host()?, ECONNRESET)) };
        assert!(asked().is_ok());
        let twice = io::Error::other(Wrapped(io::Error::other(io())));
        expect_errno!(Err::<(), Box<dyn Error>>(twice.into()), ECONNRESET);
        expect_errno!(Err::<(), _>(Errno::ETIMEDOUT), ETIMEDOUT, within 0.0..1.5 h,);
    }

    #[test]
    fn what_was_seen_instead_is_said() {
        let s = Duration::from_secs_f64;
        let range = s(12.0)..s(12.3);
        let said = |result: io::Result<u8>, took| {
            judge(
                Errno::ETIMEDOUT,
                Some(&range),
                result.map_err(Into::into),
                s(took),
            )
            .expect_err("it is not as expected")
        };
        assert_eq!(
            said(fails(Errno::EPIPE), 3.05),
            "expected ETIMEDOUT after 12 s to 12.3 s, got EPIPE after 3.05 s"
        );
        for took in [11.9, 12.3] {
            assert!(said(fails(Errno::ETIMEDOUT), took).contains("got ETIMEDOUT after 1"));
        }
        assert!(said(Ok(7), 12.1).contains("got Ok(7)"));
        let other = said(Err(io::Error::other("odd")), 12.1);
        assert!(other.contains("without an errno (odd)"), "{other}");
    }
}
