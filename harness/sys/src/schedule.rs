//! How soon a thread runs once it is woken. Threads whose calls are timestamped
//! ask for it.

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
    let _ = set(real_time) || set(short_slice);
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
