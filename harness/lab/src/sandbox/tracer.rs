//! The process that observes a command of a host: this same program, which becomes a tracer
//! instead of what it is (feature `trace`).

use std::env;
use std::io::Write;

use halfopen_sys::process::exit_now;
use halfopen_trace::{Event, Program, Stdin};

/// Set: this process is to be the tracer of the program that its arguments are.
pub(crate) const TRACER: &str = "HALFOPEN_LAB_TRACER";

/// Runs the program that is asked for and writes its events to standard output, each behind
/// its length; returns when nothing is asked for. Before the first thread, which a tracer
/// needs ([`halfopen_trace::run`]).
pub(super) fn become_tracer_if_asked() {
    if env::var_os(TRACER).is_none() {
        return;
    }
    let words = env::args_os().skip(1);
    let mut program = Program::new(words.map(|word| word.to_string_lossy().into_owned()));
    program.env.retain(|(name, _)| name != TRACER);
    program.stdin = Stdin::Inherit;
    let mut out = std::io::stdout().lock();
    let ended = halfopen_trace::run(&program, None, &mut |event: Event| {
        let bytes = postcard::to_stdvec(&event).unwrap_or_default();
        let length = u32::try_from(bytes.len()).unwrap_or(0).to_le_bytes();
        // Nobody reads any more: the program goes on all the same.
        let _ = out.write_all(&length).and_then(|()| out.write_all(&bytes));
        let _ = out.flush();
    });
    if let Err(e) = ended {
        eprintln!("error: {e}");
        exit_now(3);
    }
    exit_now(0);
}
