//! An unmodified program as an endpoint: this process becomes its tracer.
//!
//! `place` gives it a private /run and /etc/hosts and resolves its texts; `translate`
//! turns what the tracer sees into the reports of scripted endpoints. It needs a
//! process of its own with one thread and no children, the host's network namespace
//! entered; `process` calls it. The keyboard takes the tracer's requests.

mod missing;
mod notes;
mod place;
mod translate;

use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout};

use super::protocol::{Plan, Report};
use super::report::Reporter;
use halfopen_scenario::case::{Input, Observe, Program};
use halfopen_trace::event::{End, What};
use halfopen_trace::{Event, Output, Stdin};
pub use missing::{DEFAULT_PATH, find};
use place::Place;
use translate::Translator;

/// How much of each stream becomes lines; the rest is read and dropped.
const OUTPUT_LIMIT: u64 = 4 << 20;

/// Prepares the program, reports that it is ready to start, waits for `start`, runs
/// it to its end, and reports all that.
pub(super) fn run(
    plan: &Plan,
    program: &Program,
    reporter: &mut Reporter,
    control: OwnedFd,
    start: &OwnedFd,
) {
    if let Err(why) = prepare_and_run(plan, program, reporter, control, start) {
        reporter.broken(shortened(&why, 900));
    }
    reporter.done();
}

fn prepare_and_run(
    plan: &Plan,
    program: &Program,
    reporter: &mut Reporter,
    control: OwnedFd,
    start: &OwnedFd,
) -> Result<(), String> {
    let place = Place::make(plan, program)?;
    for command in &program.prepare {
        run_before(&place, command)?;
    }
    reporter.ready();
    wait_for(start)?;
    let mut traced = place.program(&program.run)?;
    traced.stdin = match &program.stdin {
        Input::Null => Stdin::Null,
        Input::Text(text) => Stdin::Text(place.resolved(text)),
        Input::At { .. } | Input::Open => Stdin::Open(String::new()),
        Input::Inherit => Stdin::Inherit,
    };
    traced.output_limit = OUTPUT_LIMIT;
    traced.observed = program.observe == Observe::Calls;
    let mut translator = Translator::new(plan, program, place.few_users, reporter);
    let mut sink = |event: Event| translator.translate(&event);
    halfopen_trace::run(&traced, Some(control), &mut sink)
        .map(drop)
        .map_err(|e| chain(&e))
}

/// Runs a command before the program, to its end.
fn run_before(place: &Place, command: &[String]) -> Result<(), String> {
    let mut traced = place.program(command)?;
    traced.stdout = Output::Lines;
    traced.observed = false;
    let mut last = String::new();
    let mut sink = |event: Event| {
        if let What::Line(line) = event.what
            && !line.text.trim().is_empty()
        {
            last = line.text;
        }
    };
    let ended = halfopen_trace::run(&traced, None, &mut sink).map_err(|e| chain(&e))?;
    match ended.end {
        End::Code(0) => Ok(()),
        end => Err(format!(
            "the command before it, `{}`, failed ({}); its last words: {last}",
            command.join(" "),
            end_text(end),
        )),
    }
}

fn wait_for(start: &OwnedFd) -> Result<(), String> {
    loop {
        // POLLHUP is reported without being asked for.
        let mut on = [PollFd::new(start.as_fd(), PollFlags::empty())];
        match nix::poll::poll(&mut on, PollTimeout::NONE) {
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(()),
            Err(errno) => return Err(format!("waiting for the start failed with {errno:?}")),
        }
    }
}

fn end_text(end: End) -> String {
    match end {
        End::Code(code) => format!("status {code}"),
        End::Killed { signal, .. } => format!("{signal}"),
    }
}

/// An error with its causes.
fn chain(e: &dyn std::error::Error) -> String {
    halfopen_net::error::chain(e)
}

/// At most so many bytes of a text: a report has to fit into PIPE_BUF.
fn shortened(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let mut end = most;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}...", &text[..end])
}

impl Reporter {
    /// Something that a reader of the result should know.
    fn note(&mut self, text: impl Into<String>, at: i64) {
        let text = text.into();
        self.write_report(&Report::Note { text, at });
    }
}
