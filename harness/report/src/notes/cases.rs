//! The sections that show single cases with their evidence: cases that differ, are
//! outside their prediction, are known to differ, or failed.

use std::fmt::Write as _;

use crate::finished::verdict;
use crate::ladder;
use crate::text::{self, counted};
use halfopen_outcome::record::{ComparedWith, Outcome, Status, Verdict};

/// Before what belongs to a case.
const INDENT: &str = "    ";

fn with_verdict(outcomes: &[Outcome], wanted: Verdict) -> Vec<&Outcome> {
    outcomes
        .iter()
        .filter(|outcome| verdict(outcome) == wanted)
        .collect()
}

pub(super) fn differences(text: &mut String, outcomes: &[Outcome], width: u16) {
    let cases = with_verdict(outcomes, Verdict::Differs);
    if cases.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "\n{} not as expected",
        counted(cases.len(), "case", "cases")
    );
    for case in cases {
        let _ = writeln!(text, "\n  {}", case.id);
        if let Some(expect) = &case.expect {
            let _ = writeln!(text, "    expected  {}", text::sign(expect));
        }
        let _ = writeln!(text, "    observed  {}", text::observed(case));
        if let Some(book) = &case.book {
            let _ = writeln!(text, "    book      {}", text::sign(book));
        }
        for surprise in &case.surprises {
            let _ = writeln!(text, "    surprise  {surprise}");
        }
        predicted(text, case);
        evidence(text, case, width);
    }
}

/// Cases that went as expected but not as predicted: the expectation or the rules
/// are wrong about the kernel.
pub(super) fn outside_prediction(text: &mut String, outcomes: &[Outcome], width: u16) {
    let cases: Vec<_> = outcomes
        .iter()
        .filter(|case| {
            let shown_elsewhere = matches!(
                verdict(case),
                Verdict::Differs | Verdict::Known | Verdict::Disturbed
            );
            case.outside.is_some() && !shown_elsewhere
        })
        .collect();
    if cases.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "\n{} outside the prediction",
        counted(cases.len(), "case", "cases")
    );
    for case in cases {
        let _ = writeln!(text, "\n  {}", case.id);
        let _ = writeln!(text, "    observed  {}", text::observed(case));
        predicted(text, case);
        evidence(text, case, width);
    }
}

/// Cases in which something was wrong before the fault struck, and what.
pub(super) fn not_set_up(text: &mut String, outcomes: &[Outcome]) {
    let cases = with_verdict(outcomes, Verdict::NotSetUp);
    if cases.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "\n{} not set up: what they show is not the fault's effect alone",
        counted(cases.len(), "case", "cases")
    );
    for case in cases {
        let _ = writeln!(text, "\n  {}", case.id);
        let _ = writeln!(text, "    observed  {}", text::observed(case));
        for wrong in &case.surprises {
            let _ = writeln!(text, "    before    {wrong}");
        }
    }
}

/// Cases whose machine was disturbed in every try: what it showed, and how late the
/// machine was.
pub(super) fn disturbed(text: &mut String, outcomes: &[Outcome]) {
    let cases = with_verdict(outcomes, Verdict::Disturbed);
    if cases.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "\n{} disturbed: the machine was not quiet in any try, so they show nothing",
        counted(cases.len(), "case", "cases")
    );
    for case in cases {
        let _ = writeln!(text, "\n  {}", case.id);
        for (number, of) in (1..).zip(&case.disturbed_tries) {
            let _ = writeln!(text, "    try {number}     {}", text::disturbed_try(of));
        }
    }
}

/// The prediction, and how the observation lies outside it.
pub(crate) fn predicted(text: &mut String, case: &Outcome) {
    let Some(prediction) = &case.prediction else {
        return;
    };
    // In virtual time the judged interval is narrower: that of the surprise below.
    let judged = match case.compared_with {
        Some(ComparedWith::Moments) => " (from the case alone)",
        _ => "",
    };
    let _ = writeln!(
        text,
        "    predicted {}{judged}",
        text::prediction(prediction)
    );
    let _ = writeln!(text, "    because   {}", prediction.because);
    if let Some(outside) = &case.outside {
        let _ = writeln!(text, "    surprise  {outside}");
    }
}

/// The ladder of a case from the fault on.
fn evidence(text: &mut String, case: &Outcome, width: u16) {
    let view = ladder::View {
        width: ladder::EVIDENCE
            .width
            .min(usize::from(width).saturating_sub(INDENT.len())),
        ..ladder::EVIDENCE
    };
    for line in ladder::render(case, &view).lines() {
        let _ = writeln!(text, "{INDENT}{line}");
    }
    if case.wire.lost_by_capture > 0 {
        let lost = counted(
            usize::try_from(case.wire.lost_by_capture).unwrap_or(usize::MAX),
            "packet is",
            "packets are",
        );
        let _ = writeln!(text, "    the capture was too slow: {lost} missing above");
    }
}

/// Known differences with their reasons, and those that no longer occur.
pub(super) fn known(text: &mut String, outcomes: &[Outcome]) {
    let known = |case: &Outcome| case.expect.as_ref()?.known.clone();
    let cases = with_verdict(outcomes, Verdict::Known);
    if !cases.is_empty() {
        let _ = writeln!(
            text,
            "\n{}",
            counted(cases.len(), "known difference", "known differences")
        );
    }
    for case in cases {
        let _ = writeln!(text, "\n  {}", case.id);
        if let Some(expect) = &case.expect {
            let _ = writeln!(text, "    expected  {}", text::sign(expect));
        }
        let _ = writeln!(text, "    observed  {}", text::observed(case));
        if let Some(known) = known(case) {
            let _ = writeln!(text, "    known     {}", text::known(&known));
        }
    }
    let resolved: Vec<_> = with_verdict(outcomes, Verdict::AsExpected)
        .into_iter()
        .filter(|case| known(case).is_some())
        .collect();
    if !resolved.is_empty() {
        let _ = writeln!(
            text,
            "\nNo longer differs: remove `known` from its scenario"
        );
    }
    for case in resolved {
        let _ = writeln!(text, "  {}", case.id);
    }
}

pub(super) fn failures(text: &mut String, outcomes: &[Outcome], width: u16) {
    let cases = with_verdict(outcomes, Verdict::Failed);
    if cases.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "\n{} failed: halfopen could not carry it out",
        counted(cases.len(), "case", "cases")
    );
    for case in cases {
        let _ = writeln!(text, "\n  {}", case.id);
        if let Status::Failed(why) = &case.status {
            for line in why.lines() {
                let _ = writeln!(text, "    {line}");
            }
        }
        if !case.endpoints.is_empty() {
            evidence(text, case, width);
        }
    }
}
