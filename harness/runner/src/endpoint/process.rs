//! The processes that the runner starts: the template, which forks endpoints, and
//! the endpoint, from its plan to the end of its script.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ffi::{CString, OsStr, OsString};
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::Pid;

use super::program;
use super::protocol::{Plan, TEMPLATE_ARG};
use super::report::Reporter;
use super::script::{Flow, Script};
use super::sockets::Sockets;
use halfopen_scenario::case::Disposition;
use halfopen_sys::inherit::{close_others, take_inherited};
use halfopen_sys::schedule::{Prompt, allow_real_time, lower_if_limited, wake_promptly};
use halfopen_sys::{descriptors, lifeline, passing, process, signals};

/// Becomes the template of endpoints, and does not return, when this process was
/// started as that; otherwise it does nothing. Every program that runs cases calls
/// it first in main(): the template is the same program, started again, and each
/// endpoint is a copy of it.
pub fn serve_if_asked() {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().as_deref() != Some(OsStr::new(TEMPLATE_ARG)) {
        return;
    }
    if let Err(e) = run_template(arguments) {
        eprintln!("the template of endpoints failed: {e}");
    }
    std::process::exit(1)
}

/// Forks an endpoint for each plan received, until the runner has ended. Returns only
/// when it failed.
fn run_template(arguments: impl Iterator<Item = OsString>) -> io::Result<()> {
    let numbers: Vec<i32> = arguments
        .map(|number| number.to_str().and_then(|number| number.parse().ok()))
        .collect::<Option<_>>()
        .unwrap_or_default();
    let &[socket, lifeline, real_time] = numbers.as_slice() else {
        return Err(invalid(
            "its arguments are not the numbers of two descriptors, and 1 or 0",
        ));
    };
    #[allow(unsafe_code)]
    // SAFETY: the first thing that this process does: it owns nothing but the two
    // descriptors that its parent gave it, and nothing else has taken them.
    let (socket, lifeline) = unsafe {
        close_others(&[socket, lifeline]);
        (take_inherited(socket)?, take_inherited(lifeline)?)
    };
    let socket = UnixStream::from(socket);
    allow_real_time(real_time != 0);
    lower_if_limited();
    // At the runner's priority: a lane may be started while others are timed.
    wake_promptly(Prompt::Runner);
    loop {
        let Some((plan, given)) = passing::receive(&socket)? else {
            std::process::exit(0);
        };
        #[allow(unsafe_code)]
        // SAFETY: the child uses neither fork handlers nor its thread ID: it makes
        // system calls, and writes its reports.
        let forked = unsafe { process::fork_for_parent() };
        let answer = match forked {
            Ok(Some(child)) => child,
            Ok(None) => {
                drop(socket);
                let Err(e) = run_endpoint(&plan, given, Some(lifeline));
                eprintln!("endpoint failed to start: {e}");
                std::process::exit(1);
            }
            Err(errno) => -(errno as i32),
        };
        (&mut &socket).write_all(&answer.to_le_bytes())?;
    }
}

/// Sets up this process as an endpoint, waits for the mark `start`, executes the
/// script, and waits to be ended. Returns only when the setup failed.
pub(super) fn run_endpoint(
    plan: &[u8],
    given: Vec<OwnedFd>,
    lifeline: Option<OwnedFd>,
) -> io::Result<Infallible> {
    // The runner does the same, and may want to end it before it gets here.
    nix::unistd::setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
    if let Some(lifeline) = lifeline {
        die_with_runner(lifeline)?;
    }
    let plan: Plan = postcard::from_bytes(plan)
        .map_err(|e| invalid(&format!("its plan cannot be read: {e}")))?;
    let mut given = given.into_iter();
    let mut next = || {
        given
            .next()
            .ok_or_else(|| invalid("a descriptor is missing"))
    };
    let (namespace, reports, keyboard) = (next()?, next()?, next()?);
    if plan
        .lane
        .program
        .as_ref()
        .is_some_and(|program| program.echo)
    {
        nix::unistd::dup2_stdin(next()?)?;
        nix::unistd::dup2_stdout(next()?)?;
        nix::unistd::dup2_stderr(next()?)?;
    }
    setns(namespace, CloneFlags::CLONE_NEWNET)?;
    plan.descriptor_limit
        .map_or(Ok(()), descriptors::set_limit)?;
    signals::unblock_all()?;
    // Rust's start-up code ignores SIGPIPE, and what the runner's parent ignored is
    // inherited.
    for (signal, disposition) in [
        (Signal::SIGPIPE, plan.lane.sigpipe),
        (Signal::SIGTERM, plan.lane.sigterm),
        (Signal::SIGCHLD, Disposition::Default),
    ] {
        signals::set_disposition(signal, disposition == Disposition::Ignore)?;
    }
    // For `ps -o comm`, which shows 15 bytes. Nothing depends on it.
    if let Ok(name) = CString::new(format!("halfopen-{}", plan.lane.name)) {
        let _ = nix::sys::prctl::set_name(&name);
    }
    if let Some(program) = &plan.lane.program {
        let marks = take_marks(&plan.marks, given.collect())?;
        // Open until the runner ends this process: a pipe without a writer is
        // readable for ever, and the runner would do nothing but read it.
        let mut reporter = Reporter::new(reports);
        wake_promptly(Prompt::Tracer);
        let start = &marks[plan.start.as_str()];
        program::run(&plan, program, &mut reporter, keyboard, start);
        loop {
            nix::unistd::pause();
        }
    }
    let mut script = Script {
        pool: None,
        plan: &plan,
        reporter: Reporter::new(reports),
        sockets: Sockets::default(),
        keyboard,
        marks: take_marks(&plan.marks, given.collect())?,
    };
    wake_promptly(Prompt::Endpoint);
    script.reporter.ready();
    if script.wait_for(&plan.start) == Flow::Next {
        // However it ends, the script is over.
        let _ = script.run(&plan.lane.steps);
    }
    script.reporter.done();
    // Its sockets stay open until the runner ends it.
    loop {
        nix::unistd::pause();
    }
}

/// From now on this process dies when the runner does.
fn die_with_runner(inherited: OwnedFd) -> io::Result<()> {
    // An open file of its own: the inherited one is shared with every other
    // endpoint, and can belong to one process group only.
    let path = format!("/proc/self/fd/{}", inherited.as_raw_fd());
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let lifeline = open(path.as_str(), flags, Mode::empty())?;
    lifeline::kill_group_on_close(lifeline.as_fd())?;
    // The runner may have ended before that. The inherited end shows it; a newly
    // opened end shows no hang-up of writers that were gone before (pipe_poll() in
    // fs/pipe.c).
    let mut on = [PollFd::new(inherited.as_fd(), PollFlags::empty())];
    if nix::poll::poll(&mut on, PollTimeout::ZERO)? > 0 {
        std::process::exit(1);
    }
    // Open until the process ends, and in its children.
    std::mem::forget(lifeline);
    Ok(())
}

/// The pipe of each mark; several names may share one.
fn take_marks(
    numbers: &BTreeMap<String, usize>,
    pipes: Vec<OwnedFd>,
) -> io::Result<BTreeMap<&str, OwnedFd>> {
    let mut pipes: Vec<Result<OwnedFd, &str>> = pipes.into_iter().map(Ok).collect();
    let mut marks = BTreeMap::<&str, OwnedFd>::new();
    for (name, &number) in numbers {
        let pipe = pipes
            .get_mut(number)
            .ok_or_else(|| invalid("a mark's descriptor is missing"))?;
        let taken = match std::mem::replace(pipe, Err(name)) {
            Ok(pipe) => pipe,
            Err(first) => marks[first].try_clone()?,
        };
        marks.insert(name, taken);
    }
    Ok(marks)
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}
