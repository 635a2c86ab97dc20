//! The section on outages that were healed: which connections survived, and how
//! long the first byte took.

use std::fmt::Write as _;

use halfopen_outcome::record::{Outcome, Recovery, reference_ns};
use halfopen_scenario::case::SignKind;

use crate::text;
use halfopen_net::span::{human_interval, human_ns};

/// One line for each case with a heal; empty without any.
pub(super) fn render(outcomes: &[Outcome]) -> String {
    let lines: Vec<(&str, String, String)> = outcomes
        .iter()
        .filter_map(|outcome| {
            let recovery = outcome.recovery.as_ref()?;
            let healed = recovery.healed_ns?;
            let outage = human_ns(healed - reference_ns(&outcome.faults));
            Some((outcome.id.as_str(), outage, result(outcome, recovery)))
        })
        .collect();
    let mut text = String::new();
    if lines.is_empty() {
        return text;
    }
    text.push_str("\nAfter the outage\n\n");
    let width = |of: fn(&(&str, String, String)) -> usize| lines.iter().map(of).max().unwrap_or(0);
    let (ids, outages) = (
        width(|l| l.0.chars().count()),
        width(|l| l.1.chars().count()),
    );
    for (id, outage, result) in &lines {
        let _ = writeln!(text, "  {id:ids$}  {outage:>outages$} away  {result}");
    }
    text
}

fn result(outcome: &Outcome, recovery: &Recovery) -> String {
    let Some(ns) = recovery.since_heal_ns else {
        return match &outcome.first_sign {
            Some(sign) if sign.outcome != SignKind::Unnoticed => {
                format!(
                    "no byte got through any more ({})",
                    text::kind(&sign.outcome)
                )
            }
            _ => "no byte was sent, or got through, before the case ended".into(),
        };
    };
    let read = match recovery.read_since_heal_ns {
        Some(read) if human_ns(read) != human_ns(ns) => {
            format!(", the first read after {}", human_ns(read))
        }
        Some(_) => String::new(),
        None => ", nobody read it".into(),
    };
    let byte = format!("first byte {} after the heal", human_ns(ns));
    if !recovery.lived {
        return format!("{byte}, answered or followed by an RST");
    }
    let predicted = outcome.prediction.as_ref().and_then(|p| p.first_byte);
    let predicted = predicted
        .map(|p| format!(" (predicted {})", human_interval(p.earliest, p.latest)))
        .unwrap_or_default();
    format!("lived, {byte}{predicted}{read}")
}
