//! What the run has found, for a reader who has not seen the cases yet: where kernels
//! differ, and where Linux shows another sign than the book says.

use indexmap::IndexMap;
use maud::{Markup, html};

use halfopen_predict::Prediction;
use halfopen_report::{kernels, text};

use super::Page;
use crate::plot::{self, Row};

pub(super) fn section(page: &Page<'_>) -> Markup {
    let rows = plot::rows(page.runs);
    html! {
        @if page.runs.len() > 1 {
            h3 { "Where kernels differ" }
            (kernels_differ(page, &rows))
        }
        h3 { "Where Linux shows another sign than the book says" }
        (not_the_book(&rows))
        details {
            summary { "What the words mean" }
            (words())
        }
    }
}

fn kernels_differ(page: &Page<'_>, rows: &[Row<'_>]) -> Markup {
    let differ = rows
        .iter()
        .filter(|row| !kernels::remark(&row.on).is_empty());
    let (chance, rules): (Vec<_>, Vec<_>) = differ.partition(|row| same_prediction(row));
    html! {
        @if rules.is_empty() && chance.is_empty() {
            p { "Nowhere: every case shows the same on each of them." }
        } @else if rules.is_empty() {
            p { "By their rules nowhere." }
        } @else {
            ul.look { @for row in rules { (on_each(page, row)) } }
        }
        @if !chance.is_empty() {
            p { "Their prediction is the same and has room for both; another run may show either:" }
            ul.look { @for row in chance { (on_each(page, row)) } }
        }
    }
}

/// Whether all kernels are predicted to show the same, so that chance, such as the random
/// time for which a neighbour is trusted, decides between them.
fn same_prediction(row: &Row<'_>) -> bool {
    let mut said = row.on.iter().flatten().map(|o| o.prediction.as_ref());
    let first = said.next().flatten();
    let same = |p: &Prediction| first.is_some_and(|f| text::prediction(f) == text::prediction(p));
    said.all(|p| p.is_some_and(same))
}

fn on_each(page: &Page<'_>, row: &Row<'_>) -> Markup {
    let each = page.runs.iter().zip(&row.on);
    let seen = each.filter_map(|(run, outcome)| Some((&run.environment.kernel, (*outcome)?)));
    html! {
        li {
            a href={ "#case=" (row.first().id) } { (row.first().id) } ": "
            @for (number, (kernel, outcome)) in seen.enumerate() {
                @if number > 0 { "; " }
                b { (kernels::short(kernel)) } " " (text::observed(outcome))
            }
        }
    }
}

/// A line for each scenario and kind of difference, with a link to its first case.
fn not_the_book(rows: &[Row<'_>]) -> Markup {
    let mut found: IndexMap<(&str, String, String), Vec<&str>> = IndexMap::new();
    for row in rows {
        let first = row
            .on
            .iter()
            .flatten()
            .find_map(|o| Some((o, text::against_the_book(o)?)));
        if let Some((outcome, (book, seen))) = first {
            let key = (
                outcome.scenario.as_str(),
                text::kind(&book.sign),
                text::kind(&seen.outcome),
            );
            found.entry(key).or_default().push(&outcome.id);
        }
    }
    let cases: usize = found.values().map(Vec::len).sum();
    html! {
        @if found.is_empty() {
            p { "Nowhere, or no book says anything about these cases." }
        } @else {
            details {
                summary { (text::counted(cases, "case", "cases")) " of " (text::counted(found.len(), "kind", "kinds")) }
                ul.look {
                    @for ((scenario, said, did), ids) in &found {
                        li {
                            a href={ "#case=" (ids[0]) } { (scenario) }
                            ": the book says " (said) ", Linux did " (did)
                            @if ids.len() > 1 { " (" (ids.len()) " cases)" }
                        }
                    }
                }
            }
        }
    }
}

fn words() -> Markup {
    let words = [
        (
            "case",
            "one scenario with one value of each axis, such as a detector, a network or an address family",
        ),
        (
            "detector",
            "what an endpoint has to notice a dead peer: keepalive, user timeout, a heartbeat; each case says its values under \"What is done\"",
        ),
        (
            "first sign",
            "the first call of a watched program that does not go as if nothing had happened",
        ),
        (
            "the book",
            "what Stevens' UNIX Network Programming (UNP), TCP/IP Illustrated (TCPv1) and the man pages say; a source such as K12 is a row of docs/claims.md",
        ),
        (
            "predicted",
            "what the kernel's rules and a simulation of the case say, before it ran",
        ),
        (
            "as expected, differs",
            "by what the file of scenarios expects; observed: it expects nothing",
        ),
        ("known", "differs, and the file says why"),
        (
            "disturbed",
            "the machine was too late for a result to count",
        ),
    ];
    html! { dl.facts { @for (word, meaning) in words { dt { (word) } dd { (meaning) } } } }
}
