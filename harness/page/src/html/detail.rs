//! One case: what was said, seen and predicted on each kernel, why, and its ladder.

use maud::{Markup, PreEscaped, html};

use halfopen_net::span::human_ns;
use halfopen_outcome::record::{Netstat, Outcome};
use halfopen_predict::Prediction;
use halfopen_report::explain::setup;
use halfopen_report::finished::verdict;
use halfopen_report::{kernels, text};

use super::Page;
use super::cases::yaml_anchor;
use super::overview::class_of;
use crate::ladder;
use crate::plot::Row;

/// The details of a case on all kernels.
pub(super) fn of(page: &Page<'_>, row: &Row<'_>) -> Markup {
    let first = row.first();
    let several = row.on.len() > 1;
    html! {
        div.detail {
            h3 { (first.id) }
            @if let Some(case) = page.case(&first.id) {
                p { (case.about)
                    @if page.file.is_some() { " " a href={ "#" (yaml_anchor(&case.scenario)) } { "The YAML that made it" } }
                }
                details open {
                    summary { "What is done" }
                    ul.setup { @for sentence in setup(case) { li { (sentence) } } }
                }
            }
            (said(first))
            @if several {
                div.tabs role="group" aria-label="kernel" {
                    @for (number, run) in page.runs.iter().enumerate() {
                        @if row.on[number].is_some() {
                            button type="button" data-kernel=(number) { "Linux " (kernels::short(&run.environment.kernel)) }
                        }
                    }
                }
            }
            // Part by part and not kernel by kernel: what is alike lies within the
            // window of the compression then.
            (each(row, |number, outcome| html! {
                (seen(outcome))
                (command(&(page.command_of)(&outcome.id, page.runs[number].environment)))
            }))
            (each(row, |_, outcome| drawing(outcome)))
            (each(row, |_, outcome| html! { (rows(outcome)) (sockets(&outcome.netstat)) }))
        }
    }
}

/// A part of the details for each kernel; the script shows one at a time.
fn each(row: &Row<'_>, part: impl Fn(usize, &Outcome) -> Markup) -> Markup {
    html! {
        @for (number, outcome) in row.on.iter().enumerate() {
            @if let Some(outcome) = outcome { div.on data-kernel=(number) { (part(number, outcome)) } }
        }
    }
}

/// What the book and the file say, the same on every kernel.
fn said(outcome: &Outcome) -> Markup {
    html! {
        dl.facts {
            @if let Some(book) = &outcome.book { dt { "the book says" } dd { (text::sign(book)) } }
            @if let Some(expect) = &outcome.expect {
                dt { "expected" } dd { (text::sign(expect)) }
                @if let Some(known) = &expect.known { dt { "known difference" } dd { (text::known(known)) } }
            }
            @if let Some(notes) = &outcome.notes { dt { "note" } dd { (notes) } }
            @if !outcome.source.is_empty() { dt { "source" } dd { (outcome.source.join(", ")) } }
        }
    }
}

fn seen(outcome: &Outcome) -> Markup {
    let counts = text::counts(&outcome.wire.counts);
    html! {
        dl.facts {
            dt { "observed" }
            dd { (text::observed(outcome)) " " span class={ "verdict " (class_of(outcome)) } { (text::verdict(verdict(outcome))) } }
            @if let Some(user) = &outcome.user_sees {
                dt { "its user sees" } dd { (user.what) " after " (human_ns(user.since_fault_ns)) }
            }
            @match (&outcome.prediction, &outcome.unpredictable) {
                (Some(p), _) => (prediction(p)),
                (None, Some(why)) => { dt { "predicted" } dd { "nothing: " (why) } }
                (None, None) => {}
            }
            @if let Some(outside) = &outcome.outside { dt { "outside" } dd.bad { (outside) } }
            @for surprise in &outcome.surprises { dt { "surprise" } dd { (surprise) } }
            @if let Some(recovery) = &outcome.recovery {
                dt { "after the " code { (recovery.heal) } }
                dd {
                    @if recovery.lived { "the connection lived" } @else { "the connection did not live" }
                    @if let Some(ns) = recovery.since_heal_ns { ", first byte after " (human_ns(ns)) }
                }
            }
            @for program in &outcome.programs {
                @for detector in program.detectors.iter().filter(|d| !d.text.is_empty()) {
                    dt { (program.lane) " set" } dd { (detector.text) @if let Some(conn) = &detector.conn { " on " (conn) } }
                }
            }
            @for overflow in &outcome.overflows { dt { "overflowed" } dd { (overflow) } }
            @for try_ in &outcome.disturbed_tries { dt { "disturbed try" } dd { (text::disturbed_try(try_)) } }
            @if !counts.is_empty() { dt { "sent" } dd { (counts) } }
        }
    }
}

fn prediction(p: &Prediction) -> Markup {
    html! {
        dt { "predicted" } dd { (text::prediction(p)) }
        dt { "because" } dd { (p.because) }
        @if !p.rules.is_empty() {
            dt { "kernel functions" }
            dd { ul.rules {
                @for rule in &p.rules { li { code { (rule.function()) } ", since " (rule.since()) } }
            } }
        }
    }
}

fn command(command: &str) -> Markup {
    html! {
        p.run { code { (command) } " " button.copy type="button" data-copy=(command) { "Copy the command" } }
    }
}

fn drawing(outcome: &Outcome) -> Markup {
    html! {
        @if let Some(svg) = ladder::inline(outcome) {
            div.zoom role="group" aria-label="size of the ladder" {
                button type="button" data-zoom="0.8" aria-label="smaller" { "−" }
                button type="button" data-zoom="1.25" aria-label="larger" { "+" }
                button type="button" data-zoom="0" { "fit" }
                span.hint { "Times since the fault. Silence is compressed; where it lasts, its length is on the left." }
            }
            div.scroll tabindex="0" role="region" aria-label="ladder" { (PreEscaped(svg)) }
        }
    }
}

/// The ladder's rows as a table, for whoever does not see the drawing.
fn rows(outcome: &Outcome) -> Markup {
    let rows = ladder::rows(outcome);
    html! {
        @if !rows.is_empty() {
            details {
                summary { "The ladder as a table" }
                table.rows {
                    thead { tr { th scope="col" { "time" } th scope="col" { "where" } th scope="col" { "what" } } }
                    tbody { @for row in &rows { tr { td { (row.time) } td { (row.place) } td { (row.what) } } } }
                }
            }
        }
    }
}

fn sockets(moments: &[Netstat]) -> Markup {
    html! {
        @if !moments.is_empty() {
            details {
                summary { "Sockets" }
                pre { (halfopen_report::netstat::render(moments)) }
            }
        }
    }
}
