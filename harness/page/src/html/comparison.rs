//! What has changed between two runs, two baselines, or by a change of sysctls.

use maud::{Markup, PreEscaped, html};

use halfopen_outcome::compare::{ChangeKind, ComparedCase};
use halfopen_outcome::comparison::Comparison;
use halfopen_report::comparison::{result_text, title, totals_text};

use super::Page;
use crate::axis::WHOLE;
use crate::plot::{self, Was};

pub(super) fn section(page: &Page<'_>) -> Markup {
    if page.comparisons.is_empty() {
        return html! {};
    }
    html! {
        section #changes {
            h2 { "Changes" }
            @for ignored in page.ignored {
                p { code { (ignored.key) } " is not part of it: " (ignored.why) }
            }
            @for comparison in page.comparisons { (one(page, comparison)) }
        }
    }
}

fn one(page: &Page<'_>, comparison: &Comparison) -> Markup {
    let totals = comparison.totals();
    let mut shown: Vec<&ComparedCase> = comparison
        .cases
        .iter()
        .filter(|case| !matches!(case.kind, ChangeKind::Unchanged | ChangeKind::NotRun))
        .collect();
    shown.sort_by_key(|case| case.kind);
    html! {
        h3 { (title(comparison)) }
        p.totals { (totals_text(&totals)) }
        @if !comparison.environment.is_empty() {
            table.rows {
                caption { "The environment" }
                thead { tr { th scope="col" { "what" } th scope="col" { "before" } th scope="col" { "now" } } }
                tbody { @for d in &comparison.environment { tr { th scope="row" { (d.what) } td { (d.old) } td { (d.new) } } } }
            }
        }
        @if shown.is_empty() { p { "No case has changed." } }
        @else { (changes(page, &shown)) }
    }
}

fn changes(page: &Page<'_>, cases: &[&ComparedCase]) -> Markup {
    let (words, height) = plot::axis();
    let axis = format!(
        "<svg viewBox=\"0 0 {WHOLE:.0} {height:.0}\" width=\"{WHOLE:.0}\" height=\"{height:.0}\" aria-hidden=\"true\">{words}</svg>"
    );
    let has = |id: &str| {
        page.runs
            .iter()
            .any(|run| run.outcomes.iter().any(|o| o.id == id))
    };
    html! {
        p.legend {
            span { (PreEscaped("<svg class=\"sample\" width=\"24\" height=\"14\" aria-hidden=\"true\"><circle class=\"was\" cx=\"12\" cy=\"7\" r=\"4.2\"/></svg>")) " before" }
            span { (PreEscaped("<svg class=\"sample\" width=\"24\" height=\"14\" aria-hidden=\"true\"><circle class=\"o\" cx=\"12\" cy=\"7\" r=\"3.2\"/></svg>")) " now" }
        }
        div.scroll { table.changes {
            thead { tr {
                th scope="col" { "case" }
                th.plot scope="col" { span.sr { "plot" } (PreEscaped(axis)) }
                th scope="col" { "before" }
                th scope="col" { "now" }
                th scope="col" { "likeliest cause" }
                th scope="col" { "change" }
            } }
            tbody {
                @for case in cases {
                    @let then = case.old.as_ref().map(|e| &e.result);
                    @let now = case.new.as_ref().map(|e| &e.result);
                    @let (marks, height) = plot::changed(&Was { then, now });
                    tr {
                        th scope="row" {
                            @if has(&case.id) { a href={ "#case=" (case.id) } { (case.id) } } @else { (case.id) }
                        }
                        td.plot { (PreEscaped(format!("<svg viewBox=\"0 0 {WHOLE:.0} {height:.0}\" width=\"{WHOLE:.0}\" height=\"{height:.0}\" aria-hidden=\"true\">{marks}</svg>"))) }
                        td { @if let Some(result) = then { (result_text(result)) } @else { "-" } }
                        td { @if let Some(result) = now { (result_text(result)) } @else { "-" } }
                        td {
                            @if let Some(known) = &case.known { "known: " (known.reason) " " }
                            @if let Some(cause) = &case.cause { (cause) }
                            @if case.unsteady { " varies from run to run" }
                        }
                        td { span class={ "verdict " (class(case)) } { (kind(case)) } }
                    }
                }
            }
        } }
    }
}

fn class(case: &ComparedCase) -> &'static str {
    match case.kind {
        ChangeKind::Changed | ChangeKind::Gone => "bad",
        ChangeKind::Known | ChangeKind::NotRun => "warn",
        ChangeKind::New | ChangeKind::Unchanged => "plain",
    }
}

fn kind(case: &ComparedCase) -> &'static str {
    match case.kind {
        ChangeKind::Changed => "changed",
        ChangeKind::Known => "known",
        ChangeKind::New => "new",
        ChangeKind::Gone => "gone",
        ChangeKind::NotRun => "not run",
        ChangeKind::Unchanged => "unchanged",
    }
}
