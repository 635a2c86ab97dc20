//! Observes an unmodified program's socket calls: which call, in which thread,
//! on which connection, from when to when, with which result; besides its lines
//! of output, signals, processes and ends, all stamped by one clock.
//!
//! ```no_run
//! use halfopen_trace::{Detectors, Event, Program, run};
//!
//! let program = Program::new(["curl", "-sS", "http://10.0.0.2/"]);
//! let mut detectors = Detectors::default();
//! let ended = run(&program, None, &mut |event: Event| {
//!     detectors.observe(&event);
//!     println!("{} {event}", event.at_ns);
//! })?;
//! println!("{}", ended.end);
//! # Ok::<(), halfopen_trace::TraceError>(())
//! ```
//!
//! [`run`] needs a process with a single thread and no other children, and turns
//! it into the tracer. A caller with threads starts such a process, takes events
//! from its sink through a pipe ([`Event`] serialises), and sends [`Request`]s.
//!
//! # How it works
//!
//! The child is attached to (PTRACE_SEIZE) before it does anything, installs a
//! seccomp filter that stops the calls of interest (SECCOMP_RET_TRACE), and
//! executes the program; whatever it starts inherits both. Neither needs any
//! privilege. Without CAP_SYS_ADMIN the filter needs no_new_privs, which takes
//! the effect of setuid files away; with it no_new_privs is left off.
//!
//! At the beginning of a call its descriptor is looked up in a
//! [`DescriptorTable`]; one that is no internet socket is let go at once. The end
//! of all others is a second stop, with the result. Addresses are asked of a copy
//! of the descriptor (pidfd_getfd(2)). A result between -512 and -516 is a
//! restart and not an errno: the call goes on, or returns EINTR when the signal's
//! handler has returned, which the end of rt_sigreturn(2) tells.
//!
//! *Rejected:* LD_PRELOAD (misses static programs, Go, and system calls made
//! without the C library); seccomp's user notification (does not see results);
//! PTRACE_SYSCALL alone (stops at every call, 18 us each); tracefs and eBPF (need
//! real root, and show neither addresses nor what poll() found).
//!
//! # What it costs
//!
//! Medians of 20 000 calls and 10 000 round trips, `examples/call_cost.rs`, on a
//! virtual machine with two processors that other builds kept busy (load average
//! 12 to 18), Linux 6.18, release build, a sink that folds detectors; ten runs, which
//! differed by less than 1 us but for the round trip. A sink that writes JSON to a pipe,
//! event by event, makes the first 25 us.
//!
//! | | alone | traced |
//! |---|---|---|
//! | `recv` that gives EAGAIN: two stops | 0.4 us | 21 us |
//! | `write` to a pipe: one stop | 0.35 us | 11 us |
//! | `getppid`: not in the filter | 0.18 us | 0.23 us |
//! | round trip of a byte on loopback, both ends traced, four calls | 14 us | 82 to 136 us |
//!
//! # What it does not see, and what it changes
//!
//! - A 32-bit program's calls ([`event::Unseen::ThirtyTwoBit`]).
//! - io_uring: io_uring_setup(2) is answered ENOSYS, and the program uses
//!   something else or ends ([`event::Unseen::IoUring`]).
//! - A program that traces itself or others (a debugger, strace).
//! - Reads and writes through mmap()ed or asynchronous I/O of libaio.
//! - Under ptrace a signal that is ignored (SIGCHLD by default, say) wakes its
//!   thread all the same (sig_ignored() in kernel/signal.c). Most calls then go on
//!   unseen, which counts in [`event::Returned::restarts`]; epoll_wait(), and
//!   recv() with SO_RCVTIMEO, return EINTR to the program, which without a tracer
//!   they would not. The [`What::Signal`] event follows directly.
//! - A stopped tracee is `t` in /proc, not `T`.
//! - An address that is read at the end of connect() is that of the moment: a
//!   process that has changed its user is asked by its arguments alone when the
//!   tracer lacks CAP_SYS_PTRACE.
//! - x86-64 alone was tried. On other machines the filter stops the calls that
//!   exist there; refusing io_uring and clone()'s exact flags are x86-64's.
//!
//! # Promptness
//!
//! A program waits for its tracer twice a call, so the tracer should be scheduled
//! as promptly as the program: give its process the same priority before [`run`].

mod control;
mod decode;
mod detector;
mod errno;
mod error;
pub mod event;
mod filter;
mod launch;
mod lines;
mod name;
mod program;
mod setting;
pub mod table;
mod text;
mod tracer;

pub use control::{Request, Target};
pub use detector::{Detector, Detectors};
pub use errno::{Errno, Readiness, SignalNumber};
pub use error::TraceError;
pub use event::{Event, What};
pub use name::CallName;
pub use program::{Output, Program, Setup, Stdin, User};
pub use setting::Setting;
pub use table::DescriptorTable;
pub use tracer::{Ended, run};
