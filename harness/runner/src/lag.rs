//! How late this machine is while cases run. A thread on each processor waits for
//! short times and notes how much longer each wait took. `schedule` asks it
//! whether a case that came outside its prediction had a quiet machine.
//!
//! Each wait is a recv() that runs into its SO_RCVTIMEO: schedule_timeout() puts it
//! on the timer wheel, as TCP's own timers are, so a softirq that ksoftirqd runs
//! late shows here as well as a thread that is scheduled late. The threads have the
//! priority of endpoints, whose calls are what is measured.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, recv, setsockopt, socketpair, sockopt,
};
use nix::sys::time::TimeVal;
use nix::unistd::Pid;

use halfopen_sys::clock::monotonic_ns;
use halfopen_sys::schedule::{Prompt, wake_promptly};

/// How long each wait is: short against what is looked for, long enough to cost a
/// processor nothing (fifty wake-ups a second).
const WAIT: Duration = Duration::from_millis(20);

/// How long a thread's wait is waited for. What is later than this is disturbed,
/// however late.
const LONGEST_LAG: Duration = Duration::from_secs(5);

/// A wait that took longer than it may.
#[derive(Debug, Clone, Copy)]
struct Late {
    /// When it should have ended at the latest, CLOCK_MONOTONIC.
    due_ns: i64,
    /// When it ended.
    ended_ns: i64,
}

/// Measures this machine's lag until it is dropped.
#[derive(Debug)]
pub(crate) struct LagMonitor {
    late: Arc<Mutex<Vec<Late>>>,
    stop: Arc<AtomicBool>,
    /// When each thread's last wait ended, CLOCK_MONOTONIC.
    ended: Vec<Arc<AtomicI64>>,
    threads: Vec<JoinHandle<()>>,
}

/// The one that measures now: runs of one process, as the tests of the catalogue
/// are, share it.
static SHARED: Mutex<Weak<LagMonitor>> = Mutex::new(Weak::new());

impl LagMonitor {
    /// The monitor of this process, started if there is none.
    ///
    /// # Errors
    /// As [`LagMonitor::start`].
    pub(crate) fn shared(tick: Duration) -> io::Result<Arc<Self>> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = shared.upgrade() {
            return Ok(running);
        }
        let started = Arc::new(LagMonitor::start(tick)?);
        *shared = Arc::downgrade(&started);
        Ok(started)
    }

    /// Starts a thread on each processor that this process may use. `tick` is the
    /// kernel's: a wait may end two ticks after its time on a quiet machine (one until
    /// the timer's jiffy, one until the wheel looks at it, __mod_timer()).
    fn start(tick: Duration) -> io::Result<Self> {
        let mut monitor = LagMonitor {
            late: Arc::default(),
            stop: Arc::default(),
            ended: Vec::new(),
            threads: Vec::new(),
        };
        let allowed = sched_getaffinity(Pid::from_raw(0))?;
        let processors = (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu).unwrap_or(false));
        for cpu in processors {
            let (waiting, other) = socketpair(
                AddressFamily::Unix,
                SockType::Stream,
                None,
                SockFlag::SOCK_CLOEXEC,
            )?;
            let limit = TimeVal::new(0, WAIT.subsec_micros().into());
            setsockopt(&waiting, sockopt::ReceiveTimeout, &limit)?;
            let (late, stop) = (Arc::clone(&monitor.late), Arc::clone(&monitor.stop));
            let ended = Arc::new(AtomicI64::new(0));
            monitor.ended.push(Arc::clone(&ended));
            let thread = std::thread::Builder::new()
                .name(format!("lag-{cpu}"))
                .stack_size(64 * 1024)
                .spawn(move || {
                    let mut only = CpuSet::new();
                    // Without a processor of its own it measures one of them.
                    let _ = only
                        .set(cpu)
                        .and_then(|()| sched_setaffinity(Pid::from_raw(0), &only));
                    wake_promptly(Prompt::Endpoint);
                    watch(&waiting, WAIT + 2 * tick, (&late, &ended), &stop);
                    drop(other);
                })?;
            monitor.threads.push(thread);
        }
        Ok(monitor)
    }

    /// By how much the machine was late at most between two moments, CLOCK_MONOTONIC.
    /// Waits until each thread is past the second one: what is late now is not noted
    /// before it has ended.
    pub(crate) fn worst_until(&self, from_ns: i64, to_ns: i64) -> Duration {
        let began_ns = monotonic_ns();
        let past = || {
            let ended = |thread: &Arc<AtomicI64>| thread.load(Ordering::Relaxed) > to_ns;
            self.ended.iter().all(ended)
        };
        while !past() {
            let waited_ns = monotonic_ns() - began_ns;
            let waited = Duration::from_nanos(waited_ns.max(0).unsigned_abs());
            if waited > LONGEST_LAG {
                return waited;
            }
            std::thread::sleep(WAIT / 4);
        }
        self.worst_between(from_ns, to_ns)
    }

    /// By how much the machine was late at most between two moments, as far as it is
    /// noted.
    fn worst_between(&self, from_ns: i64, to_ns: i64) -> Duration {
        let late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        let worst = late
            .iter()
            .filter(|late| late.ended_ns >= from_ns && late.due_ns <= to_ns)
            .map(|late| late.ended_ns - late.due_ns)
            .max();
        Duration::from_nanos(worst.unwrap_or(0).max(0).unsigned_abs())
    }
}

/// Waits again and again, and notes which waits took longer than `most`.
fn watch(
    socket: &OwnedFd,
    most: Duration,
    (late, ended): (&Mutex<Vec<Late>>, &AtomicI64),
    stop: &AtomicBool,
) {
    let most_ns = i64::try_from(most.as_nanos()).unwrap_or(i64::MAX);
    while !stop.load(Ordering::Relaxed) {
        let due_ns = monotonic_ns().saturating_add(most_ns);
        // EAGAIN after WAIT: nobody ever writes.
        let _ = recv(socket.as_raw_fd(), &mut [0; 1], MsgFlags::empty());
        let ended_ns = monotonic_ns();
        if ended_ns > due_ns {
            let mut late = late.lock().unwrap_or_else(PoisonError::into_inner);
            late.push(Late { due_ns, ended_ns });
        }
        ended.store(ended_ns, Ordering::Relaxed);
    }
}

impl Drop for LagMonitor {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn monitor(late: &[(i64, i64)]) -> LagMonitor {
        let late = late
            .iter()
            .map(|&(due_ns, ended_ns)| Late { due_ns, ended_ns });
        LagMonitor {
            late: Arc::new(Mutex::new(late.collect())),
            stop: Arc::default(),
            ended: Vec::new(),
            threads: Vec::new(),
        }
    }

    #[test]
    fn only_what_overlaps_counts() {
        let monitor = monitor(&[(0, 50), (100, 400), (900, 1000)]);
        let worst = |from, to| monitor.worst_until(from, to).as_nanos();
        assert_eq!(worst(60, 90), 0);
        assert_eq!(worst(60, 100), 300);
        assert_eq!(worst(399, 2000), 300);
        assert_eq!(worst(500, 2000), 100);
    }

    #[test]
    fn it_measures_and_ends() -> io::Result<()> {
        let monitor = LagMonitor::start(Duration::from_millis(4))?;
        assert!(!monitor.threads.is_empty());
        let began = monotonic_ns();
        std::thread::sleep(3 * WAIT);
        // Whatever it was, it was no longer than this test has taken.
        let worst = monitor.worst_until(began, monotonic_ns());
        let taken = Duration::from_nanos((monotonic_ns() - began).unsigned_abs());
        assert!(worst <= taken + WAIT, "{worst:?}");
        Ok(())
    }
}
