//! The top of the page: totals, what needs a look, where it ran.

use maud::{Markup, html};

use halfopen_net::span::human;
use halfopen_outcome::environment::Environment;
use halfopen_outcome::record::{Outcome, Status};
use halfopen_report::finished::{Finished, Totals, needs_a_look, verdict};
use halfopen_report::{kernels, text};

use super::{Page, findings};

pub(super) fn section(page: &Page<'_>) -> Markup {
    html! {
        section #overview {
            h2 { "Overview" }
            (totals(page.runs))
            (look(page.runs))
            (findings::section(page))
            (environments(page.runs))
        }
    }
}

fn totals(runs: &[Finished<'_>]) -> Markup {
    html! {
        div.scroll { table.totals {
            thead { tr {
                th scope="col" { "kernel" }
                th scope="col" { "cases" }
                th scope="col" { "as expected" }
                th scope="col" { "observed" }
                th scope="col" { "differ" }
                th scope="col" { "known" }
                th scope="col" { "failed" }
                th scope="col" { "disturbed" }
                th scope="col" { "not run" }
                th scope="col" { "outside prediction" }
                th scope="col" { "not predicted" }
                th scope="col" { "took" }
            } }
            tbody {
                @for run in runs {
                    @let totals = Totals::of(run.outcomes);
                    tr {
                        th scope="row" { "Linux " (kernels::short(&run.environment.kernel)) }
                        td { (totals.cases) }
                        td { (totals.as_expected) }
                        td { (totals.observed) }
                        td.bad[totals.differ > 0] { (totals.differ) }
                        td { (totals.known) }
                        td.bad[totals.failed > 0] { (totals.failed) }
                        td { (totals.disturbed) }
                        td { (totals.not_run) }
                        td.bad[totals.outside > 0] { (totals.outside) }
                        td { (not_predicted(run.outcomes)) }
                        td { (human(run.elapsed)) @if run.interrupted { ", interrupted" } }
                    }
                }
            }
        } }
    }
}

/// How many cases ran of which nobody had said what they would show.
fn not_predicted(outcomes: &[Outcome]) -> usize {
    let ran = outcomes.iter().filter(|o| o.status == Status::Ran);
    ran.filter(|o| o.prediction.is_none()).count()
}

/// The cases that somebody should look at before the others.
fn look(runs: &[Finished<'_>]) -> Markup {
    let cases: Vec<_> = runs
        .iter()
        .flat_map(|run| {
            run.outcomes
                .iter()
                .map(move |outcome| (run.environment, outcome))
        })
        .filter(|(_, outcome)| needs_a_look(outcome))
        .collect();
    html! {
        h3 { "What needs a look" }
        @if cases.is_empty() {
            p { "Nothing: no case differs from what was expected or predicted." }
        } @else {
            ul.look {
                @for (environment, case) in &cases {
                    li {
                        span class={ "verdict " (class_of(case)) } { (text::verdict(verdict(case))) }
                        " " a href={ "#case=" (case.id) } { (case.id) }
                        @if runs.len() > 1 { " on " (kernels::short(&environment.kernel)) }
                        ": " (text::observed(case))
                        @if let Some(expect) = &case.expect { "; expected " (text::sign(expect)) }
                        @if let Some(outside) = &case.outside { "; " (outside) }
                    }
                }
            }
        }
    }
}

/// The class of a verdict's badge.
pub(super) fn class_of(outcome: &Outcome) -> &'static str {
    use halfopen_outcome::record::Verdict;
    match verdict(outcome) {
        Verdict::Differs | Verdict::NotSetUp | Verdict::Failed => "bad",
        _ if outcome.outside.is_some() => "bad",
        Verdict::AsExpected => "good",
        Verdict::Known | Verdict::Disturbed | Verdict::NotRun => "warn",
        Verdict::Observed => "plain",
    }
}

fn environments(runs: &[Finished<'_>]) -> Markup {
    html! {
        details {
            summary { "Environment" }
            @for run in runs { (environment(run.environment)) }
        }
    }
}

fn environment(e: &Environment) -> Markup {
    html! {
        h3 { (e.kernel) }
        dl.facts {
            dt { "clock" } dd { (e.time) " time" }
            dt { "HZ" } dd { (e.hz.map_or("unknown".to_owned(), |hz| hz.to_string())) }
            dt { "congestion control" } dd { (e.congestion_control) }
            dt { "halfopen" } dd { (e.halfopen) ", as " (e.privileges) }
            @for (host, set) in &e.overrides {
                @for (key, value) in set {
                    dt { "set on " (if host == "all" { "every host" } else { host }) }
                    dd { code { (key) " = " (value) } }
                }
            }
        }
        details {
            summary { "Sysctls pinned on every host (" (e.sysctls.len()) ")" }
            pre { @for (key, value) in &e.sysctls { (key) " = " (value) "\n" } }
        }
    }
}
