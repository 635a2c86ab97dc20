//! Grids as heat maps: a table for each state and kernel.

use maud::{Markup, html};

use halfopen_net::span::human;
use halfopen_report::grid::{Content, Grid, kernel_differences};
use halfopen_report::grid_plan::Cell;
use halfopen_report::kernels;

use super::Page;
use crate::heat::{HOT, Look};

pub(super) fn section(page: &Page<'_>) -> Markup {
    let Some((first, others)) = page.grids.split_first() else {
        return html! {};
    };
    html! {
        section #grid {
            h2 { "Detectors against faults" }
            p.legend {
                span.cell.sample.none { "unnoticed" } span { "nothing within " (human(first.plan.limit)) " of the fault" }
                span.cell.sample style=(background(0.05)) { "0 s" }
                span.cell.sample.hot style=(background(0.95)) { "2 h" } span { "the stronger the colour, the later" }
                span { "in parentheses: not measured, by the kernel's rules" }
            }
            (maps(first))
            @for other in others {
                details {
                    summary { "On Linux " (kernels::short(&other.environment.kernel)) }
                    (maps(other))
                }
            }
            @if !others.is_empty() { details { summary { "Where kernels differ" } pre { (kernel_differences(first, others)) } } }
            details {
                summary { "What the names mean" }
                dl.facts {
                    @for detector in &first.plan.detectors { dt { (detector.name) } dd { (detector.about) } }
                    @for fault in &first.plan.faults { dt { (fault.name) } dd { (fault.title) } }
                }
            }
        }
    }
}

fn maps(grid: &Grid<'_>) -> Markup {
    let plan = grid.plan;
    html! {
        @for (state, about) in plan.states.iter().enumerate() {
            div.scroll { table.heat {
                caption { "Linux " (kernels::short(&grid.environment.kernel)) ": " (about.about()) }
                thead { tr {
                    td {}
                    @for detector in &plan.detectors { th scope="col" title=(detector.about) { (detector.name) } }
                } }
                tbody {
                    @for (fault, row) in plan.faults.iter().enumerate() {
                        tr {
                            th scope="row" title=(row.name) { (row.title) }
                            @for detector in 0..plan.detectors.len() {
                                (one(grid, Cell { state, fault, detector }))
                            }
                        }
                    }
                }
            } }
        }
    }
}

fn one(grid: &Grid<'_>, cell: Cell) -> Markup {
    let content = grid.content(cell);
    let id = grid.case(cell).filter(|_| content != Content::Missing);
    let (class, style) = match Look::of(&content) {
        Look::Noticed(share) | Look::Later(share) => (
            if share > HOT { "cell hot" } else { "cell" },
            background(share),
        ),
        Look::Unnoticed => ("cell none", String::new()),
        Look::Nothing => ("cell", String::new()),
    };
    html! {
        td class=(class) style=[Some(style).filter(|s| !s.is_empty())] {
            @match id {
                Some(id) => a href={ "#case=" (id) } { (content.full()) },
                None => (content.full()),
            }
        }
    }
}

fn background(share: f64) -> String {
    format!(
        "background:color-mix(in srgb,var(--hot) {:.0}%,var(--cold))",
        share * 100.0
    )
}
