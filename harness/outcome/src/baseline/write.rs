//! Writes baselines as YAML.

use std::fmt::{self, Display, Write as _};
use std::time::Duration;

use super::{Baseline, CaseResult, Entry, Observation, SavedRun, Setting, VERSION};
use halfopen_scenario::case::{Known, Sign, SignKind};

const HEAD: &str = "\
# What halfopen saw, to compare with: `halfopen run --against THIS`, `halfopen diff`.
# `halfopen run --save THIS` writes it again; what has not changed stays as it is.
# A case that is known to differ may get `known: { reason: ..., bug: ... }`.
";

impl Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let none = if self.runs.is_empty() { " []" } else { "" };
        write!(f, "{HEAD}version: {VERSION}\nruns:{none}\n")?;
        for run in &self.runs {
            f.write_str(&saved_run(run))?;
        }
        Ok(())
    }
}

fn saved_run(run: &SavedRun) -> String {
    let Setting {
        kernel,
        hz,
        clock,
        halfopen,
        sysctls,
        overrides,
    } = &run.setting;
    let mut text = String::new();
    let mut line = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    line(format!("- clock: {}", block(clock)));
    line(format!("  halfopen: {}", block(halfopen)));
    if let Some(hz) = hz {
        line(format!("  hz: {hz}"));
    }
    line(format!("  kernel: {}", block(kernel)));
    if !overrides.is_empty() {
        line("  overrides:".into());
        for (host, set) in overrides {
            line(format!("    {}:", block(host)));
            for (key, value) in set {
                line(format!("      {}: {}", block(key), block(value)));
            }
        }
    }
    if !sysctls.is_empty() {
        line("  sysctls:".into());
        for (key, value) in sysctls {
            line(format!("    {}: {}", block(key), block(value)));
        }
    }
    if run.cases.is_empty() {
        line("  cases: {}".into());
    } else {
        line("  cases:".into());
    }
    for (id, entry) in &run.cases {
        line(format!("    {}:", block(id)));
        entry_lines(entry, &mut line);
    }
    text
}

fn entry_lines(entry: &Entry, line: &mut impl FnMut(String)) {
    line(format!("      definition: {}", quoted(&entry.definition)));
    match &entry.result {
        CaseResult::Failed(why) => line(format!("      failed: {}", block(why))),
        CaseResult::NotRun(_) | CaseResult::Ran(_) => {}
    }
    if let Some(known) = &entry.known {
        line(format!("      known: {}", known_map(known)));
    }
    match &entry.result {
        CaseResult::NotRun(why) => line(format!("      not_run: {}", block(why))),
        CaseResult::Failed(_) => {}
        CaseResult::Ran(ran) => {
            let Observation { sign, states, wire } = ran.as_ref();
            line(format!("      sign: {}", sign_map(sign)));
            let states: Vec<String> = states.iter().map(|s| flow(s)).collect();
            line(format!("      states: [{}]", states.join(", ")));
            if let Some(wire) = wire {
                line(format!("      wire: {}", map(wire.iter())));
            }
        }
    }
}

fn map<V: Display>(entries: impl Iterator<Item = (impl AsRef<str>, V)>) -> String {
    let entries: Vec<String> = entries
        .map(|(key, value)| format!("{}: {value}", flow(key.as_ref())))
        .collect();
    if entries.is_empty() {
        "{}".into()
    } else {
        format!("{{ {} }}", entries.join(", "))
    }
}

fn sign_map(sign: &Sign) -> String {
    let (kind, value) = match &sign.sign {
        SignKind::Errno(name) => ("errno", flow(name)),
        SignKind::Signal(name) => ("signal", flow(name)),
        SignKind::Eof => ("eof", "true".into()),
        SignKind::PollHangup => ("hangup", "true".into()),
        SignKind::Timeout => ("timeout", "true".into()),
        SignKind::Exited(status) => ("exit", status.to_string()),
        SignKind::HeartbeatLost => ("heartbeat_lost", "true".into()),
        SignKind::Unnoticed => ("unnoticed", "true".into()),
    };
    let mut keys = vec![(kind, value)];
    keys.extend(sign.call.as_deref().map(|call| ("call", flow(call))));
    keys.extend(sign.lane.as_deref().map(|lane| ("lane", flow(lane))));
    keys.extend(
        sign.after
            .map(|(earliest, latest)| ("after", interval(earliest, latest))),
    );
    let byte = sign.first_byte;
    keys.extend(byte.map(|(earliest, latest)| ("first_byte", interval(earliest, latest))));
    map(keys.into_iter())
}

fn known_map(known: &Known) -> String {
    let bug = known.bug.as_deref().map(|bug| ("bug", flow(bug)));
    let shows = known.shows.as_ref().map(|sign| ("shows", sign_map(sign)));
    let reason = ("reason", flow(&known.reason));
    map([reason].into_iter().chain(bug).chain(shows))
}

/// `3.052s`, or `3.052s..3.3s`.
pub fn interval(earliest: Duration, latest: Duration) -> String {
    if earliest == latest {
        duration_text(earliest)
    } else {
        format!("{}..{}", duration_text(earliest), duration_text(latest))
    }
}

/// `397ms`, `3.052s`, `2h11m15.004113s`: a duration as scenario files write it,
/// to the microsecond.
pub fn duration_text(span: Duration) -> String {
    let us = span.as_micros();
    let decimal = |whole: u128, part: u128, digits: usize| {
        let part = format!("{part:0digits$}");
        match part.trim_end_matches('0') {
            "" => whole.to_string(),
            part => format!("{whole}.{part}"),
        }
    };
    if us < 1_000_000 {
        return format!("{}ms", decimal(us / 1_000, us % 1_000, 3));
    }
    let seconds = us / 1_000_000;
    let mut text = String::new();
    for (n, unit) in [(seconds / 3600, 'h'), (seconds / 60 % 60, 'm')] {
        if n > 0 {
            let _ = write!(text, "{n}{unit}");
        }
    }
    let last = decimal(seconds % 60, us % 1_000_000, 6);
    if last != "0" || text.is_empty() {
        let _ = write!(text, "{last}s");
    }
    text
}

/// A scalar in block style, on a line of its own.
fn block(text: &str) -> String {
    if plain(text, "_./=+-, ") {
        text.to_owned()
    } else {
        quoted(text)
    }
}

/// A scalar in flow style, between `{ }` or `[ ]`.
fn flow(text: &str) -> String {
    if plain(text, "_./=+- ") {
        text.to_owned()
    } else {
        quoted(text)
    }
}

/// Whether YAML reads it as this text without quotes.
fn plain(text: &str, marks: &str) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric() || marks.contains(c);
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !text.ends_with(' ')
        && text.chars().all(inside)
        && !text.eq_ignore_ascii_case("null")
}

/// JSON strings are valid YAML strings.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use halfopen_scenario::internal::scalar::duration;

    #[test]
    fn durations_are_read_as_they_were_written() {
        for us in [
            0,
            61,
            397_000,
            397_123,
            1_000_000,
            3_052_100,
            60_000_000,
            7_875_004_113,
            3_600_000_000,
        ] {
            let span = Duration::from_micros(us);
            assert_eq!(
                duration(&duration_text(span)),
                Ok(span),
                "{}",
                duration_text(span)
            );
        }
        assert_eq!(
            duration_text(Duration::from_micros(7_875_004_113)),
            "2h11m15.004113s"
        );
    }
}
