//! Signs, predictions, calls and packets as text, alike in every report.

use std::time::Duration;

use halfopen_outcome::record::{
    Call, CallResult, DisturbedTry, FaultRecord, FirstSign, KernelEvent, Outcome, ProcessRecord,
    Status, Verdict,
};
pub use halfopen_outcome::states::owner;
use halfopen_outcome::tolerance::Tolerance;
use halfopen_predict::{OtherSign, Prediction};
use halfopen_scenario::case::{Known, Sign, SignKind};

use halfopen_net::span::{human_interval, human_ns};
pub use halfopen_wire::ladder::{counts, label as packet};

/// A kind of sign: `ETIMEDOUT`, `EOF`, `poll hang-up`.
pub fn kind(kind: &SignKind) -> String {
    match kind {
        SignKind::Errno(name) | SignKind::Signal(name) => name.clone(),
        SignKind::Eof => "EOF".into(),
        SignKind::PollHangup => "poll hang-up".into(),
        SignKind::Timeout => "own time limit".into(),
        SignKind::Exited(status) => format!("exit {status}"),
        SignKind::HeartbeatLost => "heartbeat lost".into(),
        SignKind::Unnoticed => "unnoticed".into(),
    }
}

/// A sign that a book or a scenario names: `ETIMEDOUT after 9 m`.
pub fn sign(sign: &Sign) -> String {
    let mut text = kind(&sign.sign);
    if let Some(by) = by(sign.lane.as_deref(), sign.call.as_deref()) {
        text = format!("{text} by {by}");
    }
    if let Some((earliest, latest)) = sign.after {
        text = format!("{text} after {}", human_interval(earliest, latest));
    }
    if let Some((earliest, latest)) = sign.first_byte {
        let time = human_interval(earliest, latest);
        text = format!("{text}, first byte {time} after the heal");
    }
    text
}

/// Which of a lane's processes it is, before what it did: nothing for its first one,
/// `child 2: `, `thread 3 (worker): `.
pub fn process(process: &ProcessRecord) -> String {
    match &process.thread {
        _ if process.number == 0 => String::new(),
        Some(name) => format!("thread {} ({name}): ", process.number),
        None => format!("child {}: ", process.number),
    }
}

/// A trace event: `kernel: inet_sk_error_report ETIMEDOUT`.
pub fn kernel_event(event: &KernelEvent) -> String {
    format!("kernel: {} {}", event.event, event.what)
        .trim_end()
        .to_owned()
}

/// An observed first sign: `ETIMEDOUT by client's read after 3.05 s`.
pub fn first_sign(first: &FirstSign) -> String {
    let mut text = kind(&first.outcome);
    if let Some(by) = by(given(&first.endpoint), given(&first.call)) {
        text = format!("{text} by {by}");
    }
    if let Some(ns) = first.since_fault_ns {
        text = format!("{text} after {}", human_ns(ns));
    }
    text
}

/// A prediction: `ETIMEDOUT by client's read after 3.27 s to 3.35 s`.
pub fn prediction(p: &Prediction) -> String {
    let mut text = kind(&p.sign);
    if let Some(by) = by(p.lane.as_deref(), p.call.as_deref()) {
        text = format!("{text} by {by} after {}", interval(p));
    }
    if let Some(byte) = p.first_byte {
        let time = human_interval(byte.earliest, byte.latest);
        text = format!("{text}, first byte {time} after the heal");
    }
    text.push_str(&share(p.share));
    for other in &p.others {
        let or = other_sign(other);
        text = format!("{text}, or {or}{}", share(other.share));
    }
    text
}

/// The share of runs, where chance decides: ` (93 % of runs)`.
fn share(share: Option<f64>) -> String {
    share.map_or_else(String::new, |share| {
        format!(" ({} of runs)", percent(share))
    })
}

/// A share, 0 to 1: `93 %`.
pub fn percent(share: f64) -> String {
    match share * 100.0 {
        few if few > 0.0 && few < 1.0 => "<1 %".into(),
        percent => format!("{percent:.0} %"),
    }
}

/// A sign that may come instead of the predicted one.
fn other_sign(other: &OtherSign) -> String {
    let text = kind(&other.sign);
    match by(other.lane.as_deref(), other.call.as_deref()) {
        Some(by) => {
            let times = other.at.iter();
            let times: Vec<_> = times
                .map(|s| human_interval(s.earliest, s.latest))
                .collect();
            format!("{text} by {by} after {}", times.join(" or "))
        }
        None => text,
    }
}

/// The time of a predicted sign: `3.27 s to 3.35 s`, with `or` between branches.
pub fn interval(p: &Prediction) -> String {
    let spans: Vec<_> = p
        .intervals()
        .map(|span| human_interval(span.earliest, span.latest))
        .collect();
    spans.join(" or ")
}

/// [`interval`] for a narrow column: `3.27..3.35 s`.
pub fn short_interval(p: &Prediction) -> String {
    let spans: Vec<_> = p
        .intervals()
        .map(|span| halfopen_net::span::short_interval(span.earliest, span.latest))
        .collect();
    spans.join(" or ")
}

/// What a case showed, or why it did not run.
pub fn observed(outcome: &Outcome) -> String {
    match (&outcome.status, &outcome.first_sign) {
        (Status::NotRun(why), _) => format!("not run: {why}"),
        (Status::Failed(why), _) => format!("failed: {why}"),
        (Status::Ran, Some(first)) => first_sign(first),
        (Status::Ran, None) => "no sign was recorded".into(),
    }
}

/// A verdict as text. Those that a reader must not overlook are in capitals,
/// because logs have no colours.
pub fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::AsExpected => "as expected",
        Verdict::Differs => "DIFFERS",
        Verdict::Known => "known",
        Verdict::Observed => "observed",
        Verdict::NotSetUp => "NOT SET UP",
        Verdict::Disturbed => "DISTURBED",
        Verdict::NotRun => "not run",
        Verdict::Failed => "FAILED",
    }
}

/// A try on a disturbed machine: `412 ms late: expected ETIMEDOUT, saw EOF`.
pub fn disturbed_try(of: &DisturbedTry) -> String {
    let late = of.lag_ns.map(|ns| {
        let ns = i64::try_from(ns).unwrap_or(i64::MAX);
        format!("{} late", human_ns(ns))
    });
    let causes: Vec<String> = late.into_iter().chain(of.overflows.clone()).collect();
    format!("{}: {}", causes.join(", "), of.showed)
}

/// The declared reason for a known difference: `the book is too old (bug 12)`.
pub fn known(known: &Known) -> String {
    match &known.bug {
        Some(bug) => format!("{} ({bug})", known.reason),
        None => known.reason.clone(),
    }
}

/// A call and what it returned: `read() = -1 ETIMEDOUT`.
pub fn call(call: &Call) -> String {
    let conn = call
        .conn
        .as_deref()
        .map(|c| format!(" [{c}]"))
        .unwrap_or_default();
    format!("{}(){conn} {}", call.call, result(&call.result))
}

/// What a call returned: `= -1 ETIMEDOUT`.
pub fn result(result: &CallResult) -> String {
    match result {
        CallResult::Value(n) => format!("= {n}"),
        CallResult::Errno(name) => format!("= -1 {name}"),
        CallResult::Ready(events) => format!("= {}", events.join(", ")),
        CallResult::TimedOut => "= 0, time limit".into(),
        CallResult::Blocked => "never returned".into(),
    }
}

/// The fault that times count from: the first one.
pub fn fault(outcome: &Outcome) -> Option<&FaultRecord> {
    outcome.faults.iter().find(|fault| fault.is_fault)
}

/// Whether an observation agrees with what a book or a scenario says: the kind,
/// the call and the lane where they are named, and the time if there is a
/// tolerance.
pub fn agrees(said: &Sign, seen: &FirstSign, tolerance: Option<&Tolerance>) -> bool {
    let named = |said: &Option<String>, seen: &str| said.as_deref().is_none_or(|name| name == seen);
    let in_time = match (tolerance, said.after, seen.since_fault_ns) {
        (Some(tolerance), Some((earliest, latest)), Some(ns)) => tolerance.within(
            Duration::from_nanos(ns.max(0).unsigned_abs()),
            earliest,
            latest,
        ),
        _ => true,
    };
    said.sign == seen.outcome
        && named(&said.call, &seen.call)
        && named(&said.lane, &seen.endpoint)
        && in_time
}

/// What a book says and Linux did otherwise, in kind: the two signs. Times are left out,
/// for scenarios shorten a book's defaults by sysctls.
pub fn against_the_book(outcome: &Outcome) -> Option<(&Sign, &FirstSign)> {
    let (Some(book), Some(seen), Status::Ran) =
        (&outcome.book, &outcome.first_sign, &outcome.status)
    else {
        return None;
    };
    (!agrees(book, seen, None)).then_some((book, seen))
}

/// `1 case`, `2 cases`.
pub fn counted(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// `client's read`, or the one of the two that is known.
fn by(lane: Option<&str>, call: Option<&str>) -> Option<String> {
    match (lane, call) {
        (Some(lane), Some(call)) => Some(format!("{lane}'s {call}")),
        (Some(only), None) | (None, Some(only)) => Some(only.to_owned()),
        (None, None) => None,
    }
}

fn given(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// Writes a paragraph of at most 96 columns: its first line is indented by
/// `first`, the others by `rest`.
pub fn wrapped(text: &mut String, paragraph: &str, first: &str, rest: &str) {
    const WIDTH: usize = 96;
    wrapped_to(text, paragraph, first, rest, WIDTH);
}

fn wrapped_to(text: &mut String, paragraph: &str, first: &str, rest: &str, width: usize) {
    let mut line = first.to_owned();
    let mut fresh = true;
    let paragraph = unbroken(paragraph);
    for word in words(&paragraph) {
        if !fresh && line.chars().count() + 1 + word.chars().count() > width {
            text.push_str(&broken(&line));
            text.push('\n');
            line = rest.to_owned();
            fresh = true;
        }
        if !fresh {
            line.push(' ');
        }
        line.push_str(word);
        fresh = false;
    }
    text.push_str(&broken(&line));
    text.push('\n');
}

/// Lines at most `width` columns wide: longer ones go on below, indented to the text
/// after their label (`    observed  `) or by two more. Drawings, which have lifelines,
/// stay as they are.
pub(crate) fn fitted(text: &str, width: usize) -> String {
    let mut out = String::new();
    for line in text.lines() {
        if line.chars().count() <= width || line.contains('|') {
            out.push_str(line);
            out.push('\n');
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let label = line.trim_start().find("  ").map(|end| indent + end);
        let label = label.filter(|end| *end < LONGEST_LABEL);
        let after = label.map(|end| end + line[end..].len() - line[end..].trim_start().len());
        let rest = " ".repeat(after.unwrap_or(indent + 2));
        let (first, paragraph) = line.split_at(after.unwrap_or(indent));
        wrapped_to(&mut out, paragraph, first, &rest, width);
    }
    out
}

/// A label at a line's beginning is shorter, with its indentation.
const LONGEST_LABEL: usize = 16;

/// A no-break space: lines are not broken there.
const NO_BREAK: char = '\u{a0}';

/// Text whose durations are not to be broken across lines: the spaces in them are
/// no-break spaces. [`broken`] restores them once the lines are made.
pub(crate) fn unbroken(text: &str) -> String {
    const UNITS: [&str; 5] = ["us", "ms", "s", "m", "h"];
    let is_number = |word: &str| {
        let digits = word.trim_start_matches(['(', '-']);
        digits.starts_with(|c: char| c.is_ascii_digit())
            && digits.chars().all(|c| c.is_ascii_digit() || c == '.')
    };
    let is_unit = |word: &str| UNITS.contains(&word.trim_end_matches([',', ';', '.', ')', ':']));
    let mut joined = String::new();
    let mut before = "";
    for word in text.split(' ') {
        if !joined.is_empty() {
            // Within a duration of several parts, `2 h 11 m`, too.
            let (before, word) = (end_of_interval(before, 1), end_of_interval(word, 0));
            let within =
                is_number(before) && is_unit(word) || UNITS.contains(&before) && is_number(word);
            joined.push(if within { NO_BREAK } else { ' ' });
        }
        joined.push_str(word);
        before = word;
    }
    joined
}

/// Of `s..5` in `0 s..5 ms`, the part before or after the dots.
fn end_of_interval(word: &str, end: usize) -> &str {
    match word.split_once("..") {
        None => word,
        Some((from, to)) => [from, to][end],
    }
}

/// The words of [`unbroken`] text: what lines may be broken between.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([' ', '\n', '\t'])
        .filter(|word| !word.is_empty())
}

/// Lines as they are printed.
pub(crate) fn broken(lines: &str) -> String {
    lines.replace(NO_BREAK, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_go_on_below_their_text() {
        let text = "  case: it takes 2 h 11 m to be noticed by this one\n\
                    \x20   because   the peer says nothing at all\n\
                    \x20   |------------- a drawing that is wide ------------>|\n";
        let lines = fitted(text, 30);
        let lines: Vec<&str> = lines.lines().collect();
        assert_eq!(lines[0], "  case: it takes 2 h 11 m to");
        assert_eq!(lines[1], "    be noticed by this one");
        assert_eq!(lines[2], "    because   the peer says");
        assert_eq!(lines[3], "              nothing at all");
        assert!(lines[4].ends_with(">|"), "{lines:?}");
    }

    #[test]
    fn durations_stay_on_one_line() {
        let text = unbroken("after 2 h 11 m 15 s, or 3.27 s to 3.35 s (HZ=250) of 5 cases");
        let parts: Vec<&str> = words(&text).collect();
        assert_eq!(parts[1], "2\u{a0}h\u{a0}11\u{a0}m\u{a0}15\u{a0}s,");
        assert_eq!(parts[3..6], ["3.27\u{a0}s", "to", "3.35\u{a0}s"]);
        assert_eq!(parts[8..], ["5", "cases"]);
        let interval = unbroken("as 0 s..5 ms or 2.8..3.6 s");
        assert_eq!(words(&interval).count(), 4, "{interval}");
        assert_eq!(broken(&text).matches('\u{a0}').count(), 0);
    }
}
