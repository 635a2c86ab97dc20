//! What signals do to an endpoint.

use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::signal::{SigmaskHow, sigprocmask};

/// Gives `signal` its default action, or none.
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
/// A signal that arrives just *before* a call blocks would be lost to it. So
/// the handler starts a timer whose SIGALRM comes back every millisecond until
/// [`take_child_ended`] is called: the call is interrupted for sure.
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
    // Plain load first: asked before each accept(), and usually false.
    if !CHILD_ENDED.load(Ordering::Relaxed) {
        return false;
    }
    CHILD_ENDED.store(false, Ordering::Relaxed);
    // After the flag: a child that ends in between is reaped by the caller's
    // waitpid() loop anyway, and the flag it sets only costs one loop more.
    set_timer(0);
    true
}

extern "C" fn on_alarm(_: libc::c_int) {}

extern "C" fn on_child(_: libc::c_int) {
    CHILD_ENDED.store(true, Ordering::Relaxed);
    set_timer(1000);
}

/// SIGALRM every so many microseconds; 0: no more. Leaves errno alone.
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
