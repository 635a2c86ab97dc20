//! How soon a thread runs once it is woken. Threads whose calls are timestamped
//! ask for it.

use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// `struct sched_attr` of linux/sched/types.h, in its first version
/// (SCHED_ATTR_SIZE_VER0), which every kernel with the call takes.
#[repr(C)]
#[derive(Default)]
struct SchedAttr {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// The shortest slice the kernel takes (__setparam_fair() clamps to 100 us).
const SLICE_NS: u64 = 100_000;

/// How long a thread may compute at a real-time priority without waiting once.
/// Microseconds, as RLIMIT_RTTIME has it. The work of endpoints and of the runner
/// takes microseconds to a few milliseconds at a time.
const REAL_TIME_LIMIT_US: u64 = 200_000;

/// Whether real-time priorities are used at all.
static REAL_TIME: AtomicBool = AtomicBool::new(true);

/// Says whether [`wake_promptly`] may use real-time priorities in this process from
/// now on.
pub fn allow_real_time(allowed: bool) {
    REAL_TIME.store(allowed, Ordering::Relaxed);
}

/// Whether [`wake_promptly`] may use real-time priorities in this process.
pub fn may_use_real_time() -> bool {
    REAL_TIME.load(Ordering::Relaxed)
}

/// From now on a thread of this process loses its real-time priority when it has
/// computed for 200 ms without waiting once, so that an endless loop in it does not
/// take a processor from the machine. Programs that this process starts inherit the
/// limit but not the handler, and would end by SIGXCPU: one that asks for a priority
/// calls [`lower_if_limited`].
pub fn limit_real_time() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_RTTIME)
        && install_lowering().is_ok()
    {
        let _ = setrlimit(Resource::RLIMIT_RTTIME, REAL_TIME_LIMIT_US.min(hard), hard);
    }
}

/// Installs the handler of [`limit_real_time`] where the limit was inherited.
pub fn lower_if_limited() {
    if getrlimit(Resource::RLIMIT_RTTIME).is_ok_and(|(soft, _)| soft != libc::RLIM_INFINITY) {
        let _ = install_lowering();
    }
}

fn install_lowering() -> nix::Result<()> {
    let handler = SigHandler::Handler(lower_this_thread);
    let action = SigAction::new(handler, SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handler makes one system call and touches no memory but its own
    // stack, so it may interrupt anything.
    unsafe { sigaction(Signal::SIGXCPU, &action) }.map(drop)
}

/// SIGXCPU is delivered to the thread that has used up its time: the kernel sends it
/// from that thread's own tick (check_thread_timers()).
extern "C" fn lower_this_thread(_: libc::c_int) {
    let ordinary = SchedAttr {
        policy: libc::SCHED_OTHER as u32,
        ..SchedAttr::default()
    };
    set(ordinary);
}

/// Which thread is to run as soon as it is woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prompt {
    /// An endpoint, whose calls are timestamped.
    Endpoint,
    /// A tracer, as an endpoint. What it forks is a stranger's program and has the
    /// ordinary policy (SCHED_FLAG_RESET_ON_FORK).
    Tracer,
    /// A thread of the runner, which applies faults; after the endpoints.
    Runner,
}

/// Asks that the calling thread, and what it forks from now on, runs at once
/// when it is woken, ahead of threads that compute.
///
/// The calling thread timestamps what its socket returned: the time from the
/// kernel's wake-up to the thread's next instruction is an error of
/// measurement, 10 ms and more on a busy machine. And a slow echo is a long
/// round trip, which changes the retransmission timeout (tcp_rtt_estimator()).
///
/// With CAP_SYS_NICE the thread gets the lowest real-time priorities: its work
/// is microseconds a case, and the kernel keeps a share of each processor for
/// the others whatever happens (sched(7), sched_rt_runtime_us). Without, it
/// gets a short slice, which takes the processor from those with a longer one
/// (EEVDF's PREEMPT_SHORT, kernel/sched/fair.c, since 6.12), but only while
/// its group has not used up its own share; older kernels ignore it.
///
/// [`allow_real_time`] turns the priorities off, [`limit_real_time`] limits them.
/// A failure is ignored: results are then the same, less exact.
pub fn wake_promptly(who: Prompt) {
    let real_time = SchedAttr {
        policy: libc::SCHED_FIFO as u32,
        flags: match who {
            Prompt::Tracer => libc::SCHED_FLAG_RESET_ON_FORK as u64,
            Prompt::Endpoint | Prompt::Runner => 0,
        },
        priority: match who {
            Prompt::Endpoint | Prompt::Tracer => 2,
            Prompt::Runner => 1,
        },
        ..SchedAttr::default()
    };
    let short_slice = SchedAttr {
        policy: libc::SCHED_OTHER as u32,
        runtime: SLICE_NS,
        ..SchedAttr::default()
    };
    let _ = (may_use_real_time() && set(real_time)) || set(short_slice);
}

fn set(attr: SchedAttr) -> bool {
    let attr = SchedAttr {
        size: size_of::<SchedAttr>() as u32,
        ..attr
    };
    // SAFETY: `attr` is a sched_attr of the size it says, only read by the
    // call; 0 is the calling thread.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0) };
    result == 0
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn policy() -> i32 {
        // SAFETY: 0 is the calling thread; the call takes no memory.
        unsafe { libc::sched_getscheduler(0) }
    }

    fn compute(duration: Duration) {
        let began = Instant::now();
        while began.elapsed() < duration {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn an_endless_loop_loses_its_priority() {
        limit_real_time();
        std::thread::spawn(|| {
            wake_promptly(Prompt::Runner);
            if policy() != libc::SCHED_FIFO {
                // Not root: there is nothing to lose.
                return;
            }
            compute(Duration::from_millis(20));
            assert_eq!(policy(), libc::SCHED_FIFO);
            compute(Duration::from_millis(600));
            assert_eq!(policy(), libc::SCHED_OTHER);
        })
        .join()
        .expect("it has lost its priority");
    }
}
