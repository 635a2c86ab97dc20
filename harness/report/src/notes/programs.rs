//! The section on unmodified programs: what their users see first, and what they
//! set on their connections.

use std::fmt::Write as _;

use halfopen_net::span::human_ns;
use halfopen_outcome::record::{ObserverCost, Outcome, ProgramRecord};

/// The cases with programs; empty without any.
pub(super) fn render(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    for outcome in outcomes
        .iter()
        .filter(|outcome| !outcome.programs.is_empty())
    {
        if text.is_empty() {
            text.push_str("\nPrograms\n");
        }
        let _ = writeln!(text, "\n  {}", outcome.id);
        for program in outcome.programs.iter().filter(|program| program.boot == 0) {
            of_program(&mut text, program);
        }
        let seen = match &outcome.user_sees {
            Some(seen) => format!(
                "{} by {} after {}",
                seen.what,
                seen.lane,
                human_ns(seen.since_fault_ns)
            ),
            None => "nothing".to_owned(),
        };
        let _ = writeln!(text, "    its user sees {seen}");
    }
    text
}

fn of_program(text: &mut String, program: &ProgramRecord) {
    let _ = writeln!(text, "    {}: {}", program.lane, quoted(&program.command));
    let mut shown: Vec<&str> = Vec::new();
    for detector in &program.detectors {
        // A server sets the same on each connection.
        if detector.text.is_empty() || shown.contains(&detector.text.as_str()) {
            continue;
        }
        shown.push(&detector.text);
        let conn = detector.conn.as_deref().unwrap_or("a socket");
        let _ = writeln!(text, "      detector on {conn}: {}", detector.text);
    }
    if shown.is_empty() {
        text.push_str("      detector: it set none\n");
    }
    let ObserverCost { stops, held_ns } = program.observer;
    if stops > 0 {
        let held = human_ns(i64::try_from(held_ns).unwrap_or(i64::MAX));
        let _ = writeln!(text, "      observer: {stops} stops, which took it {held}");
    }
}

/// A command with quotes around words that a shell would split.
pub(crate) fn quoted(command: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    let words = command.iter().map(|word| match word.chars().all(plain) {
        true if !word.is_empty() => word.clone(),
        _ => format!("'{}'", word.replace('\'', "'\\''")),
    });
    words.collect::<Vec<_>>().join(" ")
}
