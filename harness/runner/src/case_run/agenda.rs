//! What a case still has to do, and when: its events, and the tasks that follow
//! from events. Times are CLOCK_MONOTONIC nanoseconds.

use std::time::Duration;

use halfopen_lab::Flow;
use halfopen_scenario::case::{Case, When};
use halfopen_sys::clock::monotonic_ns;

/// How long after a fault the sockets are recorded again, and how long after the
/// last step the wire is still captured: enough for a handshake's worth of
/// segments on a veth, short compared with any timer.
pub(super) const SETTLE_TIME: Duration = Duration::from_millis(50);

/// Something to do at its time.
#[derive(Debug, Clone)]
pub(super) enum Task {
    /// Apply the event with this index in the case.
    Event(usize),
    /// Record the sockets.
    Snapshot(String),
    /// SIGKILL to what SIGTERM did not end.
    KillHost {
        /// The host.
        host: String,
    },
    /// Write to the standard input of a lane's program.
    Input {
        /// The lane.
        lane: String,
        /// What.
        text: String,
    },
    /// The host's network goes down.
    PowerOff {
        /// The host.
        host: String,
    },
    /// Build the host again and start its servers, behind silent cables.
    Boot(Boot),
    /// End the silence of hosts whose time has come.
    EndSilence,
    /// Restart a lane once more.
    Restart(Restart),
}

/// A host to be built again.
#[derive(Debug, Clone)]
pub(super) struct Boot {
    /// The host.
    pub host: String,
    /// Whether its interfaces keep their MAC addresses.
    pub same_mac: bool,
    /// The connections that a router remembers.
    pub kept: Vec<Flow>,
    /// The mark to set when it is back and its servers listen.
    pub mark: Option<String>,
    /// A lane to start once it is back.
    pub restart: Option<String>,
    /// When it may be back.
    pub back_ns: i64,
}

/// One restart of a series.
#[derive(Debug, Clone)]
pub(super) struct Restart {
    /// The event's name.
    pub event: String,
    /// The lane.
    pub lane: String,
    /// Which restart this is, from 1.
    pub number: u32,
    /// How many there are.
    pub times: u32,
    /// Time from one to the next.
    pub every: Duration,
    /// The process is killed and the kernel sends FIN for it; else its host loses
    /// power.
    pub fin: bool,
}

/// The tasks of a case, and which of its events have been taken up.
#[derive(Debug)]
pub(super) struct Agenda {
    tasks: Vec<(i64, Task)>,
    taken_up: Vec<bool>,
    /// When the task that was taken last was due.
    last_due_ns: Option<i64>,
}

impl Agenda {
    /// Empty: no event of `case` has been taken up.
    pub fn new(case: &Case) -> Self {
        Agenda {
            tasks: Vec::new(),
            taken_up: vec![false; case.events.len()],
            last_due_ns: None,
        }
    }

    /// Adds a task for a moment.
    pub fn add_at(&mut self, at_ns: i64, task: Task) {
        self.tasks.push((at_ns, task));
    }

    /// Adds a task for some time from now on.
    pub fn add_after(&mut self, after: Duration, task: Task) {
        self.add_at(monotonic_ns() + nanos(after), task);
    }

    /// Adds the events with a time of their own, unless they were taken up.
    pub fn add_timed_events(&mut self, t0_ns: i64, case: &Case) {
        for (index, event) in case.events.iter().enumerate() {
            if let When::At(at) = event.when
                && !self.taken_up[index]
            {
                self.add_at(t0_ns + nanos(at), Task::Event(index));
            }
        }
    }

    /// Adds the events that wait for a mark, which was set at `at_ns`.
    pub fn add_events_after(&mut self, mark: &str, at_ns: i64, case: &Case) {
        for (index, event) in case.events.iter().enumerate() {
            if let When::After { mark: wanted, by } = &event.when
                && wanted == mark
            {
                self.add_at(at_ns + nanos(*by), Task::Event(index));
            }
        }
    }

    /// The event is not to be applied again at its time.
    pub fn take_up(&mut self, event: usize) {
        self.taken_up[event] = true;
    }

    /// Takes the earliest task whose time has come.
    pub fn take_due(&mut self) -> Option<Task> {
        let now = monotonic_ns();
        let (index, _) = self
            .tasks
            .iter()
            .enumerate()
            .filter(|(_, (at, _))| *at <= now)
            .min_by_key(|(_, (at, _))| *at)?;
        let (due_ns, due) = self.tasks.remove(index);
        self.last_due_ns = Some(due_ns);
        if let Task::Event(event) = due {
            self.take_up(event);
        }
        Some(due)
    }

    /// When the task that was taken last was due; None: none was taken yet.
    pub fn last_due_ns(&self) -> Option<i64> {
        self.last_due_ns
    }

    /// When the earliest task is due.
    pub fn next_ns(&self) -> Option<i64> {
        self.tasks.iter().map(|(at, _)| *at).min()
    }

    /// Whether there is no task left and every event has been taken up.
    pub fn is_done(&self) -> bool {
        self.tasks.is_empty() && self.taken_up.iter().all(|taken| *taken)
    }

    /// Whether a host that is down is about to be built again.
    pub fn will_boot(&self, host: &str) -> bool {
        let boots = |task: &Task| matches!(task, Task::Boot(boot) if boot.host == host);
        self.tasks.iter().any(|(_, task)| boots(task))
    }
}

/// A duration as the clock counts.
pub(super) fn nanos(d: Duration) -> i64 {
    i64::try_from(d.as_nanos()).unwrap_or(i64::MAX)
}
