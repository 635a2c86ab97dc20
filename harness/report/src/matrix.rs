//! Runs as a matrix in Markdown: a row for each scenario, a column for each value of
//! its last axis. Below it, for scenarios with programs, what the manual promises, what
//! the program set on its sockets, which call noticed, what was predicted, and what its
//! user saw.
//! docs/real-programs.md is made of it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use halfopen_net::span::human_ns;
use halfopen_outcome::record::{Call, Outcome, ProgramRecord, Status, reference_ns};
use halfopen_scenario::case::{Sign, SignKind};
use indexmap::IndexMap;

use crate::finished::Finished;
use crate::grid::{Content, series};
use crate::markdown::escaped;
use crate::notes::quoted;
use crate::text;

/// How much of a line that a program wrote is shown.
const LINE_LENGTH: usize = 90;

/// The run; `command` is the command line that made it.
pub fn render(run: &Finished<'_>, command: &str) -> String {
    let rows = rows(run.outcomes);
    let mut columns: Vec<&str> = Vec::new();
    for outcome in run.outcomes {
        let column = column(outcome);
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
    let mut text = format!(
        "| | {} |\n|---|{}\n",
        columns.join(" | "),
        "---|".repeat(columns.len())
    );
    for (name, outcomes) in &rows {
        let cells = columns.iter().map(|wanted| {
            let outcome = outcomes.iter().find(|outcome| column(outcome) == *wanted);
            outcome.map_or(String::new(), |outcome| sign(outcome))
        });
        let cells: Vec<String> = cells.collect();
        let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
    }
    let _ = writeln!(
        text,
        "\nMeasured on Linux {} in {} time by `{command}`.",
        series(&run.environment.kernel),
        run.environment.time
    );
    not_run(&mut text, run.outcomes);
    for (name, outcomes) in &rows {
        if outcomes.iter().any(|outcome| !outcome.programs.is_empty()) {
            of_programs(&mut text, name, outcomes);
        }
    }
    text
}

/// The outcomes of each scenario, and of each point of its axes but the last.
fn rows(outcomes: &[Outcome]) -> Vec<(String, Vec<&Outcome>)> {
    let mut rows: Vec<(String, Vec<&Outcome>)> = Vec::new();
    for outcome in outcomes {
        let mut name = outcome.scenario.clone();
        let before_last = outcome.axes.len().saturating_sub(1);
        for value in outcome.axes.values().take(before_last) {
            let _ = write!(name, ", {value}");
        }
        match rows.iter_mut().find(|(known, _)| *known == name) {
            Some((_, row)) => row.push(outcome),
            None => rows.push((name, vec![outcome])),
        }
    }
    rows
}

fn column(outcome: &Outcome) -> &str {
    outcome.axes.values().last().map_or("", String::as_str)
}

fn sign(outcome: &Outcome) -> String {
    let content = Content::of(outcome, None);
    match content {
        Content::Unnoticed { .. } => format!("**{}**", content.full()),
        _ => content.full(),
    }
}

fn not_run(text: &mut String, outcomes: &[Outcome]) {
    let reasons: BTreeSet<&str> = outcomes
        .iter()
        .filter_map(|outcome| match &outcome.status {
            Status::NotRun(why) | Status::Failed(why) => Some(why.as_str()),
            Status::Ran => None,
        })
        .collect();
    for reason in reasons {
        let _ = writeln!(text, "\n- {}", escaped(reason));
    }
}

fn of_programs(text: &mut String, name: &str, outcomes: &[&Outcome]) {
    let _ = writeln!(text, "\n### {name}\n");
    let ran: Vec<&&Outcome> = outcomes
        .iter()
        .filter(|o| o.status == Status::Ran)
        .collect();
    let Some(first) = ran.first() else {
        text.push_str("Not run.\n");
        return;
    };
    for program in first.programs.iter().filter(|program| program.boot == 0) {
        let words: Vec<String> = program
            .command
            .iter()
            .map(|w| without_checkout(w))
            .collect();
        let command = quoted(&words).replace('\n', " ");
        let _ = writeln!(text, "- {}: `{}`", program.lane, shortened(&command, 200));
        let set = detectors(&ran, &program.lane);
        if !set.is_empty() {
            let _ = writeln!(text, "  sets {}", set.join("; "));
        }
    }
    let books: Vec<String> = ran.iter().filter_map(|o| book(o.book.as_ref())).collect();
    if let Some(book) = books.first() {
        let _ = writeln!(text, "- the manual: {book} ({})", first.source.join(", "));
    }
    text.push_str(
        "\n| | first sign | by, having waited | predicted | its user sees | after |\n\
         |---|---|---|---|---|---|\n",
    );
    for outcome in &ran {
        let (seen, after) = match &outcome.user_sees {
            Some(seen) => (
                escaped(&shortened(&without_prefix(&seen.what), LINE_LENGTH)),
                format!("after {}", human_ns(seen.since_fault_ns)),
            ),
            None => ("nothing".to_owned(), String::new()),
        };
        let cells = [
            column(outcome).to_owned(),
            sign(outcome),
            by(outcome),
            predicted(outcome),
            seen,
            after,
        ];
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    let mut reasons: IndexMap<&str, Vec<&str>> = IndexMap::new();
    for outcome in &ran {
        if let Some(why) = &outcome.unpredictable {
            reasons.entry(why).or_default().push(column(outcome));
        }
    }
    for (why, columns) in reasons {
        let _ = write!(text, "\n`?` of {}: {}.\n", columns.join(", "), escaped(why));
    }
}

/// When the sign was predicted, and which if it was another one; `?`: not at all.
fn predicted(outcome: &Outcome) -> String {
    let Some(prediction) = &outcome.prediction else {
        return "?".to_owned();
    };
    let seen = outcome.first_sign.as_ref().map(|first| &first.outcome);
    let noticed = prediction.sign != SignKind::Unnoticed;
    let times = match noticed {
        true => text::short_interval(prediction),
        false => String::new(),
    };
    let kind = match seen == Some(&prediction.sign) && noticed {
        true => String::new(),
        false => text::kind(&prediction.sign),
    };
    format!("{kind} {times}").trim().to_owned()
}

/// What was built for the run is named from `target/` on, wherever the checkout is.
fn without_checkout(word: &str) -> String {
    match word.find("/target/").filter(|_| word.starts_with('/')) {
        Some(at) => word[at + 1..].to_owned(),
        None => word.to_owned(),
    }
}

/// What a lane's program set on its sockets, each once.
fn detectors(outcomes: &[&&Outcome], lane: &str) -> Vec<String> {
    let programs = outcomes.iter().flat_map(|outcome| &outcome.programs);
    let of_lane = programs.filter(|program: &&ProgramRecord| program.lane == lane);
    let set: BTreeSet<&str> = of_lane
        .flat_map(|program| &program.detectors)
        .map(|detector| detector.text.as_str())
        .filter(|text| !text.is_empty())
        .collect();
    set.into_iter().map(str::to_owned).collect()
}

fn book(book: Option<&Sign>) -> Option<String> {
    book.map(|book| match (&book.sign, book.after) {
        (SignKind::Unnoticed, _) => "nothing is promised".to_owned(),
        _ => text::sign(book),
    })
}

/// The call that showed the first sign, and how long it took: `recvfrom 30.4 s`.
fn by(outcome: &Outcome) -> String {
    let Some(first) = &outcome.first_sign else {
        return String::new();
    };
    let Some(since) = first.since_fault_ns else {
        return "nobody".to_owned();
    };
    let end_ns = since + reference_ns(&outcome.faults);
    let lanes = outcome
        .endpoints
        .iter()
        .filter(|e| e.lane == first.endpoint);
    let calls = lanes.flat_map(|e| &e.processes).flat_map(|p| &p.calls);
    let of_it = |call: &&Call| call.call == first.call && call.end_ns == Some(end_ns);
    match calls.clone().find(of_it) {
        Some(call) => {
            let waited = |call: &Call, end_ns: i64| {
                format!("{} {}", call.call, span(end_ns - call.start_ns))
            };
            let by_itself = end_ns - call.start_ns > POLL_BEFORE_NS;
            if by_itself || is_poll(&call.call) {
                return waited(call, end_ns);
            }
            // The poll that the call followed is what had waited.
            let polls = calls.filter(|poll| is_poll(&poll.call));
            let before = polls
                .filter_map(|poll| Some((poll, poll.end_ns?)))
                .filter(|(_, end)| (0..POLL_BEFORE_NS).contains(&(call.start_ns - end)));
            match before.max_by_key(|(_, end)| *end) {
                Some((poll, end)) => format!("{}, {}", first.call, waited(poll, end)),
                None => waited(call, end_ns),
            }
        }
        None => first.call.clone(),
    }
}

/// Minutes in seconds: that is how settings are written.
fn span(ns: i64) -> String {
    match ns {
        60_000_000_000..600_000_000_000 => format!("{:.2} s", ns as f64 / 1e9),
        _ => human_ns(ns),
    }
}

/// How long after a poll() the call may be that it led to.
const POLL_BEFORE_NS: i64 = 100_000_000;

fn is_poll(call: &str) -> bool {
    ["poll", "select", "epoll"]
        .iter()
        .any(|name| call.contains(name))
}

/// A line of a log without its date and time; ports, process numbers and the like are
/// `N`. They are others in a run of another build.
fn without_prefix(text: &str) -> String {
    let is_time = |at: usize| {
        let bytes = text.as_bytes().get(at..at + 8);
        bytes.is_some_and(|bytes| {
            let digit = |index: usize| bytes[index].is_ascii_digit();
            [0, 1, 3, 4, 6, 7].into_iter().all(digit) && bytes[2] == b':' && bytes[5] == b':'
        })
    };
    let rest = match (0..text.len()).find(|at| is_time(*at)) {
        None => text,
        Some(at) => text[at + 8..].trim_start_matches(|c: char| !c.is_alphabetic()),
    };
    let mut result = String::new();
    let mut number = String::new();
    for c in rest.chars().map(Some).chain([None]) {
        match c {
            Some(digit) if digit.is_ascii_digit() => number.push(digit),
            other => {
                match number.len() < 3 {
                    true => result.push_str(&number),
                    false => result.push('N'),
                }
                number.clear();
                result.extend(other);
            }
        }
    }
    result.trim_matches('"').to_owned()
}

fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use halfopen_outcome::testing;

    #[test]
    fn scenarios_by_the_values_of_their_last_axis() {
        let (environment, outcomes) = (testing::environment(), testing::all());
        let run = Finished {
            environment: &environment,
            outcomes: &outcomes,
            interrupted: false,
            elapsed: Duration::from_secs(31),
        };
        insta::assert_snapshot!(render(&run, "halfopen run x.yaml --format matrix"));
    }

    #[test]
    fn what_differs_from_run_to_run_is_left_out() {
        for (text, plain) in [
            (
                "\"read tcp 10.77.1.1:42018: (28)\"",
                "read tcp 10.77.1.1:N: (28)",
            ),
            ("\"153:M 01 Jan 2026 00:02:30.714 - Reading\"", "Reading"),
            (
                "\"2026/01/01 00:02:14 [info] 156#156: *1 recv()\"",
                "info] N#N: *1 recv()",
            ),
            ("exit 1", "exit 1"),
        ] {
            assert_eq!(without_prefix(text), plain);
        }
        assert_eq!(shortened("abcdef", 3), "abc...");
        assert_eq!(
            without_checkout("/home/x/target/programs/y"),
            "target/programs/y"
        );
        assert_eq!(without_checkout("a/target/b"), "a/target/b");
    }
}
