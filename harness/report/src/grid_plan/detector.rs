//! The detectors of the grid: Linux's defaults, common settings, and a fast setting
//! of each kind.
//!
//! The fast ones notice within 30 s, so that they can be compared, and all of them
//! survive an outage of 10 s. Keepalive sends its first probe after 15 s of silence,
//! and three probes have to stay unanswered. TCP_USER_TIMEOUT is the sum of these
//! times, so that it does not change keepalive's own limit (tcp_keepalive_timer()).
//! A heartbeat is sent every 10 s, and two more are due before the peer counts as
//! dead.

use super::yaml;
use halfopen_scenario::case;

/// A way to notice that the peer is dead: settings of the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detector {
    /// Its name on the command line and in the cases' ids.
    pub name: String,
    /// A heading for wide columns.
    pub title: String,
    /// Its description, in one line.
    pub about: String,
    /// Its settings in the scenario language.
    pub yaml: String,
    /// Sysctls of the client's host that belong to it.
    pub sysctls: &'static [(&'static str, &'static str)],
    /// Which ends have it.
    pub ends: Ends,
}

/// Which ends have a detector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ends {
    /// Only the client.
    Client,
    /// Both: a heartbeat needs a sender and a receiver.
    Both,
}

struct Row {
    name: &'static str,
    title: &'static str,
    about: &'static str,
    yaml: &'static str,
    sysctls: &'static [(&'static str, &'static str)],
    ends: Ends,
}

const fn row(
    name: &'static str,
    title: &'static str,
    about: &'static str,
    yaml: &'static str,
    ends: Ends,
) -> Row {
    Row {
        name,
        title,
        about,
        yaml,
        sysctls: &[],
        ends,
    }
}

const ROWS: [Row; 13] = [
    row(
        "none",
        "no detector",
        "a plain socket; Linux's defaults (tcp_retries2 = 15)",
        "{}",
        Ends::Client,
    ),
    Row {
        sysctls: &[("net.ipv4.tcp_retries2", "8")],
        ..row(
            "retries2-8",
            "tcp_retries2 = 8",
            "a plain socket; net.ipv4.tcp_retries2 = 8, RFC 1122's least (100 s)",
            "{}",
            Ends::Client,
        )
    },
    row(
        "keepalive-default",
        "keepalive, Linux's defaults",
        "SO_KEEPALIVE with Linux's defaults: 2 h, 75 s, 9 probes",
        "{ keepalive: { idle: 2h, interval: 75s, count: 9 } }",
        Ends::Client,
    ),
    row(
        "keepalive-windows",
        "keepalive as Windows has it",
        "SO_KEEPALIVE as Windows has it: 2 h, 1 s, 10 probes",
        "{ keepalive: { idle: 2h, interval: 1s, count: 10 } }",
        Ends::Client,
    ),
    row(
        "keepalive-fast",
        "fast keepalive",
        "SO_KEEPALIVE: 15 s, 5 s, 3 probes",
        "{ keepalive: { idle: 15s, interval: 5s, count: 3 } }",
        Ends::Client,
    ),
    row(
        "user-timeout",
        "user timeout",
        "TCP_USER_TIMEOUT: 30 s",
        "{ user_timeout: 30s }",
        Ends::Client,
    ),
    row(
        "fast-pair",
        "fast keepalive and user timeout",
        "SO_KEEPALIVE: 15 s, 5 s, 3 probes; and TCP_USER_TIMEOUT: 30 s",
        "{ keepalive: { idle: 15s, interval: 5s, count: 3 }, user_timeout: 30s }",
        Ends::Client,
    ),
    row(
        "read-timeout",
        "read timeout",
        "SO_RCVTIMEO: 30 s",
        "{ read_timeout: 30s }",
        Ends::Client,
    ),
    row(
        "poll-limit",
        "poll with a limit",
        "poll() before each read(), with a limit of 30 s",
        "{ poll: 30s }",
        Ends::Client,
    ),
    row(
        "beats-sent",
        "beats, unanswered",
        "the client beats every 10 s, and nobody answers",
        "{ heartbeat: { every: 10s, timeout: 30s } }",
        Ends::Both,
    ),
    row(
        "beats-heard",
        "the server's beats",
        "the server beats every 10 s; the client wants one in 30 s",
        "{ heartbeat: { every: 10s, timeout: 30s, from: server } }",
        Ends::Both,
    ),
    row(
        "beats-answered",
        "answered heartbeat",
        "the client beats every 10 s and wants the answer within 20 s",
        "{ heartbeat: { every: 10s, timeout: 20s, answered: true } }",
        Ends::Both,
    ),
    row(
        "beats-both",
        "beats both ways",
        "both beat every 10 s, and want the other's within 30 s",
        "{ heartbeat: { every: 10s, timeout: 30s, from: both } }",
        Ends::Both,
    ),
];

/// The built-in detectors.
pub fn built_in() -> Vec<Detector> {
    let detector = |row: &Row| Detector {
        name: row.name.to_owned(),
        title: row.title.to_owned(),
        about: row.about.to_owned(),
        yaml: row.yaml.to_owned(),
        sysctls: row.sysctls,
        ends: row.ends,
    };
    ROWS.iter().map(detector).collect()
}

/// A detector that is declared in a file.
pub fn declared(name: &str, detector: &case::Detector) -> Detector {
    let yaml = yaml::detector(detector);
    Detector {
        name: name.to_owned(),
        title: name.to_owned(),
        about: yaml
            .trim_start_matches("{ ")
            .trim_end_matches(" }")
            .to_owned(),
        yaml,
        sysctls: &[],
        ends: match detector.heartbeat {
            Some(_) => Ends::Both,
            None => Ends::Client,
        },
    }
}
