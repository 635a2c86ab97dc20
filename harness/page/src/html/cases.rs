//! The table of all cases, with the plot in it, filters above it, and each case's
//! details behind it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use maud::{Markup, PreEscaped, html};

use halfopen_outcome::record::Outcome;
use halfopen_report::finished::verdict;
use halfopen_report::{kernels, text};
use halfopen_scenario::case::{Case, SignKind};

use super::facets::Facets;
use super::overview::class_of;
use super::{Page, anchor, block, detail};
use crate::axis::WHOLE;
use crate::pack::packed;
use crate::plot::{self, Row};

pub(super) fn section(page: &Page<'_>) -> Markup {
    let rows = plot::rows(page.runs);
    let facets: Vec<Facets> = rows
        .iter()
        .map(|row| Facets::of(row, page.case(&row.first().id)))
        .collect();
    let names: Vec<String> = page
        .runs
        .iter()
        .map(|run| kernels::short(&run.environment.kernel))
        .collect();
    html! {
        section #cases {
            h2 { "Cases: prediction against observation" }
            (filters(&facets, &names))
            (legend(&names, &rows))
            div.scroll { table #case-table {
                (head(&names))
                @for (scenario, members) in groups(&rows) {
                    (group(page, &scenario, &members, &rows, &facets, &names))
                }
            } }
            p #none hidden { "No case matches these filters." }
            @for (number, row) in rows.iter().enumerate() {
                @let details = detail::of(page, row).into_string();
                script type="text/plain" id=(anchor("d", number)) { (PreEscaped(packed(&details))) }
            }
            noscript { p { "Without JavaScript this page shows its tables and the plot, but neither filters nor ladders." } }
        }
    }
}

/// The rows of each scenario, by their numbers, in order.
fn groups(rows: &[Row<'_>]) -> Vec<(String, Vec<usize>)> {
    let mut groups: Vec<(String, Vec<usize>)> = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let scenario = &row.first().scenario;
        match groups.last_mut() {
            Some((last, members)) if last == scenario => members.push(number),
            _ => groups.push((scenario.clone(), vec![number])),
        }
    }
    groups
}

fn filters(facets: &[Facets], kernels: &[String]) -> Markup {
    let all = |of: fn(&Facets) -> &BTreeSet<String>| -> BTreeSet<&String> {
        facets.iter().flat_map(of).collect()
    };
    let select = |name: &str, label: &str, values: BTreeSet<&String>| {
        html! {
            label { (label) " "
                select name=(name) {
                    option value="" { "all" }
                    @for value in values { option value=(value) { (value.replace('-', "\u{2011}")) } }
                }
            }
        }
    };
    html! {
        form #filters role="search" {
            label.wide { "Filter " input type="search" name="text" placeholder="part of a name, an errno, a call" autocomplete="off"; }
            (select("verdict", "verdict", all(|f| &f.verdicts)))
            (select("sign", "first sign", all(|f| &f.signs)))
            (select("detector", "detector", all(|f| &f.detectors)))
            (select("fault", "fault", all(|f| &f.faults)))
            label.check { input type="checkbox" name="book"; " another sign than the book's" }
            @if kernels.len() > 1 {
                label { "kernel "
                    select name="kernel" {
                        option value="" { "all" }
                        @for (number, kernel) in kernels.iter().enumerate() {
                            option value=(number) { (kernel) }
                        }
                    }
                }
                label.check { input type="checkbox" name="differ"; " kernels differ" }
            }
            fieldset {
                legend.sr { "View" }
                label.check { input type="radio" name="view" value="plot" checked; " plot" }
                label.check { input type="radio" name="view" value="table"; " table" }
            }
            button type="reset" { "Clear" }
            output #count { (facets.len()) " cases" }
        }
    }
}

fn legend(kernels: &[String], rows: &[Row<'_>]) -> Markup {
    html! {
        p.legend {
            span { "time since the first fault;" }
            span { (sample("<rect class=\"p\" x=\"1\" y=\"2\" width=\"22\" height=\"10\"/>")) " predicted interval" }
            @if plot::have_others(rows) {
                span { (sample("<rect class=\"p else\" x=\"1\" y=\"2\" width=\"22\" height=\"10\"/>")) " of another sign that may come instead" }
            }
            @if plot::have_shares(rows) {
                span { (sample("<text class=\"share\" x=\"1\" y=\"10\">93 %</text>")) " share of simulated runs, where chance decides" }
            }
            span { (sample("<circle class=\"o\" cx=\"12\" cy=\"7\" r=\"3.2\"/>")) " observed" }
            span { (sample("<circle class=\"o off\" cx=\"12\" cy=\"7\" r=\"3.2\"/>")) " observed, outside its prediction" }
            span { (sample("<rect class=\"o\" x=\"9\" y=\"4\" width=\"6\" height=\"6\"/>")) " unnoticed" }
            span { (sample("<path class=\"b\" d=\"M7.5 7l4.5 -4.5l4.5 4.5l-4.5 4.5z\"/>")) " the book" }
            @if kernels.len() > 1 {
                span { "where kernels differ, from top to bottom: " (kernels.join(", ")) }
            }
        }
    }
}

fn sample(mark: &str) -> Markup {
    PreEscaped(format!(
        "<svg class=\"sample\" width=\"24\" height=\"14\" aria-hidden=\"true\">{mark}</svg>"
    ))
}

fn head(kernels: &[String]) -> Markup {
    let (words, height) = plot::axis();
    let axis = format!(
        "<svg viewBox=\"0 0 {WHOLE:.0} {height:.0}\" width=\"{WHOLE:.0}\" height=\"{height:.0}\" aria-hidden=\"true\">{words}</svg>"
    );
    html! {
        thead { tr {
            th scope="col" { "case" }
            th.plot scope="col" { span.sr { "plot" } (PreEscaped(axis)) }
            th.seen scope="col" { "observed" }
            @if kernels.len() > 1 {
                @for (number, kernel) in kernels.iter().enumerate() {
                    th scope="col" class={ "tab k" (number) } { "on " (kernel) }
                }
            }
            th.tab scope="col" { "predicted" }
            th.tab scope="col" { "the book says" }
            th scope="col" { "verdict" }
        } }
    }
}

fn group(
    page: &Page<'_>,
    scenario: &str,
    members: &[usize],
    rows: &[Row<'_>],
    facets: &[Facets],
    kernels: &[String],
) -> Markup {
    let case = members
        .first()
        .and_then(|number| page.case(&rows[*number].first().id));
    let columns = 6 + if kernels.len() > 1 { kernels.len() } else { 0 };
    html! {
        tbody {
            tr.scenario { th scope="rowgroup" colspan=(columns) {
                div.sticky {
                    span.name { (scenario) }
                    @if let Some(case) = case { " " span.about { (case.about) } (yaml(page, case)) }
                }
            } }
            @for number in members {
                (one(*number, &rows[*number], &facets[*number], kernels))
            }
        }
    }
}

/// The YAML of a case's scenario, folded.
fn yaml(page: &Page<'_>, case: &Case) -> Markup {
    let Some((name, text)) = page.file else {
        return html! {};
    };
    html! {
        @if let Some(block) = block::of(text, case.line) {
            details.yaml id=(yaml_anchor(&case.scenario)) {
                summary { "YAML, " (name) ":" (case.line) }
                pre { code { (block) } }
            }
        }
    }
}

/// The anchor of a scenario's YAML.
pub(super) fn yaml_anchor(scenario: &str) -> String {
    format!("yaml-{scenario}")
}

fn one(number: usize, row: &Row<'_>, facets: &Facets, names: &[String]) -> Markup {
    let first = row.first();
    let differ = !kernels::remark(&row.on).is_empty();
    let list =
        |set: &BTreeSet<String>| set.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
    let (marks, height) = plot::strip(row);
    let strip = format!(
        "<svg viewBox=\"0 0 {WHOLE:.0} {height:.0}\" width=\"{WHOLE:.0}\" height=\"{height:.0}\" aria-hidden=\"true\">{marks}</svg>"
    );
    html! {
        tr.case id=(anchor("c", number)) data-id=(first.id) data-verdict=(list(&facets.verdicts)) data-sign=(list(&facets.signs))
            data-detector=(list(&facets.detectors)) data-fault=(list(&facets.faults)) data-differ[differ] data-book[against_the_book(row)] data-ns=(times(row)) {
            th scope="row" {
                button.open type="button" aria-expanded="false" title=(first.id) { (axes(first)) }
            }
            td.plot { (PreEscaped(strip)) }
            td.seen { (seen(row, names, differ)) }
            @if names.len() > 1 {
                @for (kernel, outcome) in row.on.iter().enumerate() {
                    td class={ "tab k" (kernel) } { @if let Some(outcome) = outcome { (text::observed(outcome)) } @else { "no result" } }
                }
            }
            td.tab { (predicted(first)) }
            td.tab { @if let Some(book) = &first.book { (text::sign(book)) } @else { "-" } }
            td { @for (class, words) in verdicts(row) { span class={ "verdict " (class) } { (words) } " " } }
        }
    }
}

/// Whether Linux does not do what the book says, on any kernel.
pub(super) fn against_the_book(row: &Row<'_>) -> bool {
    let mut outcomes = row.on.iter().flatten();
    outcomes.any(|outcome| text::against_the_book(outcome).is_some())
}

/// The observed times in nanoseconds, by kernel, as the JSON has them; `-` without.
fn times(row: &Row<'_>) -> String {
    let mut all = String::new();
    for outcome in &row.on {
        let first = outcome.and_then(|outcome| outcome.first_sign.as_ref());
        let ns = first.and_then(|first| first.since_fault_ns);
        let _ = match ns {
            Some(ns) => write!(all, "{ns} "),
            None => write!(all, "- "),
        };
    }
    all.trim_end().to_owned()
}

/// `detector=none, network=lan`: the part of a case's name after its scenario.
fn axes(outcome: &Outcome) -> String {
    match outcome.id.strip_prefix(&outcome.scenario) {
        Some("") | None => "(its only case)".to_owned(),
        Some(rest) => rest.trim_start_matches('/').replace(',', ", "),
    }
}

fn seen(row: &Row<'_>, names: &[String], differ: bool) -> Markup {
    if !differ {
        return unbroken(&text::observed(row.first()));
    }
    html! {
        span.differ { "kernels differ" }
        @for (number, outcome) in row.on.iter().enumerate() {
            @if let Some(outcome) = outcome {
                div class={ "k" (number) } { b { (names[number]) } " " (unbroken(&text::observed(outcome))) }
            }
        }
    }
}

/// A sign with its time in one line: a number is not parted from its unit.
fn unbroken(sign: &str) -> Markup {
    match sign.rsplit_once(" after ") {
        Some((sign, time)) => html! { (sign) " " span.time { "after " (time) } },
        None => html! { (sign) },
    }
}

fn predicted(outcome: &Outcome) -> Markup {
    html! {
        @match (&outcome.prediction, &outcome.unpredictable) {
            (Some(p), _) => {
                (text::prediction(p))
                @if p.sign == SignKind::Unnoticed { " within the case" }
            }
            (None, Some(why)) => { "? " (why) }
            (None, None) => { "-" }
        }
    }
}

/// The verdicts of a case, each once.
fn verdicts(row: &Row<'_>) -> Vec<(&'static str, &'static str)> {
    let mut all: Vec<(&str, &str)> = Vec::new();
    for outcome in row.on.iter().flatten() {
        let mut words = text::verdict(verdict(outcome));
        if outcome.outside.is_some() && class_of(outcome) == "bad" && words == "as expected" {
            words = "OUTSIDE";
        }
        let one = (class_of(outcome), words);
        if !all.contains(&one) {
            all.push(one);
        }
    }
    all
}
