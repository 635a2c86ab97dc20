//! Measures what halfopen costs and how exact it is, against targets. `ci/bench` runs it.
//!
//! Everything is measured in one run, the arms in turn (A B C, A B C, ...), so
//! that a slow or busy machine affects all of them alike, and targets are
//! ratios. Needs root or user namespaces, and `ip` and `nft` for the arm that
//! makes the network by hand.

mod arms;
mod catalogue;
mod floor;
mod guests;
mod many;
mod message;
mod numbers;
mod shell;

use std::error::Error;
use std::process::ExitCode;

use halfopen_lab::sandbox;
use halfopen_runner::endpoint;
use halfopen_sys::schedule::{Prompt, wake_promptly};
use halfopen_vm::{cases, guest};

use numbers::Targets;

const SCENARIOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios.yaml");

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Effort {
    /// Rounds of single labs.
    labs: usize,
    /// Rounds of 1, 10 and 100 labs.
    many: usize,
    /// Rounds of the catalogue.
    catalogue: usize,
    /// Words that choose cases of the catalogue; all without one.
    cases: &'static [&'static str],
}

const FULL: Effort = Effort {
    labs: 40,
    many: 5,
    catalogue: 3,
    cases: &[],
};

/// For a look whether the bench itself still works: its numbers are few.
const QUICK: Effort = Effort {
    labs: 5,
    many: 1,
    catalogue: 1,
    cases: &["keepalive-peer-crashed", "process-killed", "orderly-close"],
};

fn main() -> ExitCode {
    // A guest's first process, and its endpoints, are this program, too.
    endpoint::serve_if_asked();
    guest::serve_if_guest(cases::work);
    let mut effort = FULL;
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--quick" => effort = QUICK,
            // What `cargo bench` adds.
            "--bench" => {}
            other => {
                eprintln!("bench: unknown argument `{other}`; there is only --quick");
                return ExitCode::from(2);
            }
        }
    }
    // The catalogue makes a sandbox of its own, so it comes first: a sandbox
    // in this one would be another arrangement than a user's.
    let catalogue = match catalogue::measure(effort.catalogue, effort.cases) {
        Ok(catalogue) => catalogue,
        Err(e) => return failed(&*e),
    };
    let guests = match guests::measure(effort.cases.is_empty()) {
        Ok(guests) => guests,
        Err(e) => return failed(&*e),
    };
    if let Err(e) = sandbox::enter() {
        return failed(&e);
    }
    // All that the arms start inherits it: other people's work on this machine
    // delays none of them, rather than each as chance will have it.
    wake_promptly(Prompt::Runner);
    match report(effort, &catalogue, &guests) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => failed(&*e),
    }
}

fn report(
    effort: Effort,
    catalogue: &catalogue::Catalogue,
    guests: &Result<guests::Lives, String>,
) -> Result<bool, Box<dyn Error>> {
    let mut targets = Targets::default();
    arms::measure(effort.labs, &mut targets)?;
    many::measure(effort.many, &mut targets)?;
    catalogue.show(&mut targets);
    guests::show(guests, &mut targets);
    Ok(targets.show())
}

fn failed(e: &(dyn Error + 'static)) -> ExitCode {
    let mut text = e.to_string();
    let mut source = e.source();
    while let Some(e) = source {
        text = format!("{text}: {e}");
        source = e.source();
    }
    eprintln!("bench: {text}");
    ExitCode::from(3)
}
