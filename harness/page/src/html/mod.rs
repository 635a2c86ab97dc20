//! One HTML file with everything: overview, plot, cases with their ladders, grids and
//! comparisons. It holds its styles and its script (`assets/page.js`), and asks
//! nothing of any network: its Content-Security-Policy forbids it.
//!
//! `overview`, `findings`, `cases` (the table with the plot), `detail` (one case, kept packed
//! until it is opened), `grid` and `comparison` are its parts; `block` finds the YAML
//! of a scenario.

mod block;
mod cases;
mod comparison;
mod detail;
mod facets;
mod findings;
mod grid;
mod overview;
#[cfg(test)]
mod tests;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use halfopen_outcome::comparison::Comparison;
use halfopen_outcome::environment::Environment;
use halfopen_report::comparison::IgnoredSysctl;
use halfopen_report::finished::Finished;
use halfopen_report::grid::Grid;
use halfopen_scenario::case::Case;

use crate::svg::{DARK, LIGHT, STYLE};

const PAGE_STYLE: &str = include_str!("../assets/page.css");
const SCRIPT: &str = include_str!("../assets/page.js");

/// Nothing is loaded from anywhere.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                      img-src data:; base-uri 'none'; form-action 'none'";

/// What a page shows.
pub struct Page<'a> {
    /// The command that made it.
    pub command: &'a str,
    /// Runs, one for each kernel.
    pub runs: &'a [Finished<'a>],
    /// The cases of the runs, as far as they are known.
    pub cases: &'a [Case],
    /// The file of scenarios: its name and its text.
    pub file: Option<(&'a str, &'a str)>,
    /// The command that runs one case on the kernel of an environment.
    pub command_of: &'a dyn Fn(&str, &Environment) -> String,
    /// Grids of the same plan, one for each kernel.
    pub grids: &'a [Grid<'a>],
    /// Comparisons, one for each kernel.
    pub comparisons: &'a [Comparison],
    /// Sysctls that a comparison leaves out.
    pub ignored: &'a [IgnoredSysctl],
}

impl Page<'_> {
    /// The page.
    pub fn render(&self) -> String {
        self.markup().into_string()
    }

    fn markup(&self) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(POLICY);
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { "halfopen: " (self.title()) }
                    style {
                        (PreEscaped(format!(
                            ":root {{ {LIGHT} }}\n\
                             @media (prefers-color-scheme: dark) {{ :root:not([data-theme=light]) {{ {DARK} }} }}\n\
                             :root[data-theme=dark] {{ {DARK} }}\n@media print {{ :root:root {{ {LIGHT} }} }}\n{STYLE}{PAGE_STYLE}"
                        )))
                    }
                }
                body {
                    a.skip href="#main" { "Skip to the results" }
                    header {
                        div {
                            h1 { (self.title()) }
                            p.command { code { (self.command) } }
                        }
                        button #theme type="button" title="Light or dark" { "Light or dark" }
                    }
                    main #main {
                        (comparison::section(self))
                        (grid::section(self))
                        @if !self.runs.is_empty() { (overview::section(self)) }
                        @if !self.runs.is_empty() { (cases::section(self)) }
                    }
                    footer {
                        p { "Everything here is in this file; nothing is loaded. Keys: "
                            kbd { "/" } " filter, " kbd { "j" } " and " kbd { "k" } " next and previous case, "
                            kbd { "Enter" } " open or close, " kbd { "Esc" } " close." }
                    }
                    div #status role="status" aria-live="polite" {}
                    script { (PreEscaped(SCRIPT)) }
                }
            }
        }
    }

    fn title(&self) -> &'static str {
        match (self.grids.is_empty(), self.comparisons.is_empty()) {
            (false, _) => "Who notices what, and after how long",
            (true, false) => "What has changed",
            (true, true) => "What sockets do when the peer dies",
        }
    }

    fn case(&self, id: &str) -> Option<&Case> {
        self.cases.iter().find(|case| case.id == id)
    }
}

/// The name of an element that belongs to a case or a scenario: `c12`.
fn anchor(kind: &str, number: usize) -> String {
    format!("{kind}{number}")
}
