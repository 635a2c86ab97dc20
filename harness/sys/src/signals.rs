//! Signals: their dispositions, waiting for one, and SIGCHLD that interrupts
//! system calls.
//!
//! The sandbox's processes wait for signals; endpoints set dispositions as their
//! scenario says and serve connections that forked children answer.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::signal::{SigmaskHow, sigprocmask};

/// Who sent a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// The kernel: the terminal's Ctrl-C, which every process of the
    /// foreground group gets, or the end of a child.
    Kernel,
    /// A process, by kill().
    Process,
}

/// Waits for one of the signals in `set`, which must be blocked (sigwaitinfo(2)).
///
/// # Errors
/// EINTR, and nothing else.
pub fn wait_signal(set: &SigSet) -> io::Result<(Signal, Sender)> {
    // SAFETY: siginfo_t is plain data for which all zeroes is a value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live objects of the right type.
    let number = unsafe { libc::sigwaitinfo(set.as_ref(), &mut info) };
    if number < 0 {
        return Err(io::Error::last_os_error());
    }
    let signal = Signal::try_from(number)?;
    let sender = if info.si_code == libc::SI_USER || info.si_code == libc::SI_QUEUE {
        Sender::Process
    } else {
        Sender::Kernel
    };
    Ok((signal, sender))
}

/// Sets `signal` to be ignored (SIG_IGN), or to its default action (SIG_DFL).
///
/// # Errors
/// EINVAL for SIGKILL and SIGSTOP.
pub fn set_disposition(signal: Signal, ignore: bool) -> nix::Result<()> {
    let handler = if ignore {
        SigHandler::SigIgn
    } else {
        SigHandler::SigDfl
    };
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: neither disposition runs any code of this program.
    unsafe { sigaction(signal, &action) }.map(drop)
}

/// Unblocks every signal of the calling thread.
///
/// # Errors
/// None on Linux.
pub fn unblock_all() -> nix::Result<()> {
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)
}

static CHILD_ENDED: AtomicBool = AtomicBool::new(false);

/// Lets SIGCHLD interrupt system calls (EINTR) and be seen by
/// [`take_child_ended`].
///
/// A signal that arrives just *before* a call blocks does not interrupt it. So
/// the handler starts a timer whose SIGALRM repeats every millisecond until
/// [`take_child_ended`] is called: one of them arrives while the call blocks.
///
/// # Errors
/// None on Linux.
pub fn interrupt_on_child_end() -> nix::Result<()> {
    // Without SA_RESTART: the interruption is the point.
    let on = |handler| SigAction::new(handler, SaFlags::SA_NOCLDSTOP, SigSet::empty());
    // SAFETY: both handlers only do what signal-safety(7) allows.
    unsafe {
        sigaction(Signal::SIGALRM, &on(SigHandler::Handler(on_alarm)))?;
        sigaction(Signal::SIGCHLD, &on(SigHandler::Handler(on_child)))?;
    }
    Ok(())
}

/// Whether a child has ended since the last time this was asked.
pub fn take_child_ended() -> bool {
    // A plain load first: this runs before each accept() and is usually false.
    if !CHILD_ENDED.load(Ordering::Relaxed) {
        return false;
    }
    CHILD_ENDED.store(false, Ordering::Relaxed);
    // After the flag: a child that ends in between is reaped by the caller's
    // waitpid() loop anyway, and the flag it sets only costs one more loop.
    set_timer(0);
    true
}

extern "C" fn on_alarm(_: libc::c_int) {}

extern "C" fn on_child(_: libc::c_int) {
    CHILD_ENDED.store(true, Ordering::Relaxed);
    set_timer(1000);
}

/// Sends SIGALRM every `micros` microseconds; 0 stops it. Leaves errno alone.
fn set_timer(micros: libc::suseconds_t) {
    let every = libc::timeval {
        tv_sec: 0,
        tv_usec: micros,
    };
    let timer = libc::itimerval {
        it_interval: every,
        it_value: every,
    };
    // SAFETY: the new value is a valid itimerval and no old one is asked for;
    // with that it cannot fail, so a handler's caller keeps its errno. The raw
    // call is safe in a handler (it is nothing but a system call).
    unsafe {
        libc::syscall(libc::SYS_setitimer, libc::ITIMER_REAL, &raw const timer, 0);
    }
}
