//! An endpoint's whole life.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;

use super::interpret::{Flow, Script};
use super::protocol::{ENDPOINT_ARG, Plan};
use super::report::Reporter;
use super::sockets::Sockets;
use crate::scenario::case::Disposition;
use crate::sys::inherit::{close_others, take_inherited};
use crate::sys::schedule::{Prompt, wake_promptly};
use crate::sys::{descriptors, processes, signals};

/// Becomes an endpoint, and never returns, when this process was started as
/// one. Every program that runs cases calls this first thing in main(): the
/// endpoints are the same program, started again.
///
/// Otherwise it returns at once and has done nothing.
pub fn serve_if_asked() {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().as_deref() != Some(OsStr::new(ENDPOINT_ARG)) {
        return;
    }
    if let Err(e) = live(arguments.next()) {
        eprintln!("endpoint failed to start: {e}");
    }
    std::process::exit(1)
}

/// Reads the plan, waits for `start`, runs the script, waits for its end.
/// Comes back only when the start failed.
fn live(plan: Option<OsString>) -> io::Result<()> {
    let plan = read_plan(plan)?;
    let mut numbers = vec![plan.reports, plan.keyboard, plan.lifeline];
    numbers.extend(plan.marks.values());
    close_others(&numbers);
    plan.descriptor_limit
        .map_or(Ok(()), descriptors::set_limit)?;
    live_with(take_inherited(plan.lifeline)?)?;
    signals::unblock_all()?;
    // Rust's start-up ignored SIGPIPE; what the runner's parent ignored was inherited.
    for (signal, disposition) in [
        (Signal::SIGPIPE, plan.lane.sigpipe),
        (Signal::SIGTERM, plan.lane.sigterm),
        (Signal::SIGCHLD, Disposition::Default),
    ] {
        signals::set_disposition(signal, disposition == Disposition::Ignore)?;
    }
    let mut script = Script {
        plan: &plan,
        reporter: Reporter::new(take_inherited(plan.reports)?),
        sockets: Sockets::default(),
        keyboard: take_inherited(plan.keyboard)?,
        marks: take_marks(&plan.marks)?,
    };
    wake_promptly(Prompt::Endpoint);
    script.reporter.ready();
    if script.wait_for(&plan.start) == Flow::Next {
        // Either way the script is over.
        let _ = script.run(&plan.lane.steps);
    }
    script.reporter.done();
    // Its sockets stay open until the runner ends it.
    loop {
        nix::unistd::pause();
    }
}

fn read_plan(number: Option<OsString>) -> io::Result<Plan> {
    let number = number
        .and_then(|number| number.to_str()?.parse().ok())
        .ok_or_else(|| invalid("its second argument is not the number of a descriptor"))?;
    let mut json = Vec::new();
    File::from(take_inherited(number)?).read_to_end(&mut json)?;
    serde_json::from_slice(&json).map_err(|e| invalid(&format!("its plan cannot be read: {e}")))
}

/// From now on this process dies when the runner does.
fn live_with(inherited: OwnedFd) -> io::Result<()> {
    // An open file of its own: the inherited one is shared with every other
    // endpoint, and can belong to one process group only.
    let path = format!("/proc/self/fd/{}", inherited.as_raw_fd());
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let lifeline = open(path.as_str(), flags, Mode::empty())?;
    processes::die_with(lifeline.as_fd())?;
    // It may have died before that. The inherited end tells; a new one shows no
    // hang-up of writers it has never seen (pipe_poll() in fs/pipe.c).
    let mut on = [PollFd::new(inherited.as_fd(), PollFlags::empty())];
    if nix::poll::poll(&mut on, PollTimeout::ZERO)? > 0 {
        std::process::exit(1);
    }
    // Open until the process ends, and in its children.
    std::mem::forget(lifeline);
    Ok(())
}

/// Takes over the marks' pipes; several names may share one.
fn take_marks(numbers: &BTreeMap<String, i32>) -> io::Result<BTreeMap<&str, OwnedFd>> {
    let mut first = BTreeMap::<i32, &str>::new();
    let mut marks = BTreeMap::<&str, OwnedFd>::new();
    for (name, &number) in numbers {
        let taken = match first.get(&number).and_then(|name| marks.get(name)) {
            Some(shared) => shared.try_clone()?,
            None => take_inherited(number)?,
        };
        first.entry(number).or_insert(name);
        marks.insert(name, taken);
    }
    Ok(marks)
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}
