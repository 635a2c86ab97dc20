//! Settings as people write them down: sysctls, socket options in several
//! languages, configuration of programs. What cannot be said somewhere is said
//! in a comment there.

use std::fmt::Write as _;

use serde::Serialize;

use crate::{Keepalive, Settings, Without};

mod language;
mod program;

/// Where settings are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Target {
    Sysctl,
    C,
    Rust,
    Go,
    Python,
    Java,
    Libpq,
    Redis,
    Nginx,
}

impl Target {
    /// All of them, in order.
    pub const ALL: [Target; 9] = [
        Target::Sysctl,
        Target::C,
        Target::Rust,
        Target::Go,
        Target::Python,
        Target::Java,
        Target::Libpq,
        Target::Redis,
        Target::Nginx,
    ];

    /// Its heading.
    pub fn title(self) -> &'static str {
        match self {
            Target::Sysctl => "sysctl",
            Target::C => "C",
            Target::Rust => "Rust (socket2, with its feature `all`)",
            Target::Go => "Go (1.23, golang.org/x/sys/unix)",
            Target::Python => "Python",
            Target::Java => "Java (11, Linux)",
            Target::Libpq => "libpq (PostgreSQL)",
            Target::Redis => "Redis",
            Target::Nginx => "nginx",
        }
    }

    /// The settings there.
    pub fn write(self, settings: &Settings, without: &Without) -> String {
        match self {
            Target::Sysctl => sysctl(settings, without),
            Target::C => language::c(settings),
            Target::Rust => language::rust(settings),
            Target::Go => language::go(settings),
            Target::Python => language::python(settings),
            Target::Java => language::java(settings, without),
            Target::Libpq => program::libpq(settings),
            Target::Redis => program::redis(settings, without),
            Target::Nginx => program::nginx(settings, without),
        }
    }
}

fn user_timeout(settings: &Settings) -> Option<u128> {
    settings.user_timeout.map(|limit| limit.as_millis())
}

fn rto_max(settings: &Settings) -> Option<u128> {
    settings.rto_max.map(|limit| limit.as_millis())
}

/// net.ipv4.tcp_rto_max_ms, for those who cannot set the option.
fn rto_max_line(settings: &Settings, text: &mut String, comment: &str) {
    if let Some(ms) = rto_max(settings) {
        let _ = writeln!(
            text,
            "{comment} and the sysctl net.ipv4.tcp_rto_max_ms = {ms}, or TCP_RTO_MAX_MS by setsockopt()"
        );
    }
}

fn sysctl(settings: &Settings, without: &Without) -> String {
    let mut text = String::new();
    if settings.keepalive.is_some() {
        match without.keepalive {
            Some(Keepalive {
                idle,
                interval,
                count,
            }) => {
                text.push_str(
                    "# for sockets with SO_KEEPALIVE and no values of their own, in each network \
                     namespace\n",
                );
                let _ = writeln!(text, "net.ipv4.tcp_keepalive_time = {idle}");
                let _ = writeln!(text, "net.ipv4.tcp_keepalive_intvl = {interval}");
                let _ = writeln!(text, "net.ipv4.tcp_keepalive_probes = {count}");
            }
            None => {
                text.push_str("# no tcp_keepalive_* keeps both promises without TCP_USER_TIMEOUT\n")
            }
        }
    }
    if settings.user_timeout.is_some() {
        match without.retries2 {
            Some(n) => {
                let _ = writeln!(
                    text,
                    "# for sockets without TCP_USER_TIMEOUT, which has no sysctl\n\
                     net.ipv4.tcp_retries2 = {n}"
                );
            }
            None => text.push_str(
                "# no tcp_retries2 keeps both promises: set TCP_USER_TIMEOUT, which has no sysctl\n",
            ),
        }
    }
    if let Some(ms) = rto_max(settings) {
        let _ = writeln!(text, "net.ipv4.tcp_rto_max_ms = {ms}");
    }
    text
}

/// A program that cannot set it, and what is left.
fn no_user_timeout(text: &mut String, who: &str, without: &Without, comment: &str) {
    let _ = writeln!(
        text,
        "{who} has no TCP_USER_TIMEOUT; for data that is under way"
    );
    let _ = match without.retries2 {
        Some(n) => writeln!(
            text,
            "{comment} net.ipv4.tcp_retries2 = {n} keeps both promises."
        ),
        None => writeln!(
            text,
            "{comment} it cannot keep both promises, and neither can any tcp_retries2."
        ),
    };
}

#[cfg(test)]
mod tests;
