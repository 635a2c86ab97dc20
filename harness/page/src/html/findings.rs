//! What the run has found, for a reader who has not seen the cases yet: where kernels
//! differ, and where Linux does not do what the book says.

use indexmap::IndexMap;
use maud::{Markup, html};

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
        h3 { "Where Linux does not do what the book says" }
        (not_the_book(&rows))
        details {
            summary { "What the words mean" }
            (words())
        }
    }
}

fn kernels_differ(page: &Page<'_>, rows: &[Row<'_>]) -> Markup {
    let mut differ = rows
        .iter()
        .filter(|row| !kernels::remark(&row.on).is_empty())
        .peekable();
    html! {
        @if differ.peek().is_none() {
            p { "Nowhere: every case shows the same on each of them." }
        } @else {
            ul.look {
                @for row in differ {
                    li {
                        a href={ "#case=" (row.first().id) } { (row.first().id) } ": "
                        @for (run, outcome) in page.runs.iter().zip(&row.on) {
                            @if let Some(outcome) = outcome {
                                b { (kernels::short(&run.environment.kernel)) } " " (text::observed(outcome)) "; "
                            }
                        }
                    }
                }
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
