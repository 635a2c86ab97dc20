//! A lane that ends and is started again, over and over: as a client whose
//! program, or whose power supply, is broken.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::happen::{crash, lane_of, now, wait_for_the_end};
use super::life::{Later, Life, base_name, listens, nanos};
use crate::fault::EffectiveAt;
use halfopen_lab::LabError;
use halfopen_outcome::record::FaultRecord;
use halfopen_sys::clock::monotonic_ns;
use halfopen_sys::process::pidfd_open;

/// How long a host without power is down. It is built again within some 20 ms
/// on an idle machine; the rest is for a busy one.
const DOWN_FOR: Duration = Duration::from_millis(100);

/// How long until it is looked at again whether a lane is back.
const AGAIN: Duration = Duration::from_millis(10);

/// A lane that is being restarted.
#[derive(Debug, Clone)]
pub(super) struct Restarting {
    /// The event's name.
    pub event: String,
    /// The lane.
    pub lane: String,
    /// Which restart this is, from 1.
    pub number: u32,
    /// How many there will be.
    pub times: u32,
    /// Time from one to the next.
    pub every: Duration,
    /// The kernel says FIN for it.
    pub fin: bool,
}

/// One restart; the next one is scheduled. The last one sets the event's mark.
pub(super) fn restart(life: &mut Life<'_>, what: Restarting) -> Result<EffectiveAt, LabError> {
    let last = what.number >= what.times;
    let mark = last.then(|| what.event.clone());
    let took = if what.fin {
        let took = kill(life, &what.lane)?;
        life.start_again(&what.lane)?;
        if let Some(mark) = &mark {
            life.set_mark(mark, monotonic_ns());
        }
        took
    } else {
        power_cycle(life, &what.lane, mark)?
    };
    if !last {
        let next = took.effective_ns + nanos(what.every);
        let number = what.number + 1;
        life.schedule_at(next, Later::Restart(Restarting { number, ..what }));
    }
    Ok(took)
}

/// A restart after the first, with its record and a look at the sockets.
pub(super) fn once_more(life: &mut Life<'_>, what: Restarting) -> Result<(), LabError> {
    if !life.is_back(&what.lane) {
        life.schedule(AGAIN, Later::Restart(what));
        return Ok(());
    }
    let (event, number) = (what.event.clone(), what.number);
    let in_words = format!("restart {}, {number} of {}", what.lane, what.times);
    let took = restart(life, what)?;
    life.faults.push(FaultRecord {
        name: event.clone(),
        what: in_words,
        is_fault: true,
        asked_ns: took.asked_ns - life.t0_ns,
        effective_ns: took.effective_ns - life.t0_ns,
    });
    life.netstat_soon(format!("after {event}, number {number}"));
    Ok(())
}

/// SIGKILL; its sockets are closed, and the kernel has sent FIN, when this is over.
fn kill(life: &mut Life<'_>, lane: &str) -> Result<EffectiveAt, LabError> {
    let asked_ns = monotonic_ns();
    let mut dying = Vec::new();
    for r in lane_of(life, lane) {
        dying.extend(pidfd_open(r.endpoint.pid).ok());
        // It may have ended by itself.
        let _ = r.endpoint.signal_group(Signal::SIGKILL);
    }
    wait_for_the_end(&dying)?;
    Ok(now(asked_ns))
}

/// The lane's host loses power and comes back; the lane is started when the
/// host can be heard again, so that no SYN is lost.
fn power_cycle(
    life: &mut Life<'_>,
    lane: &str,
    mark: Option<String>,
) -> Result<EffectiveAt, LabError> {
    let case = life.case;
    let Some(planned) = case.lanes.iter().find(|l| l.name == lane) else {
        return Err(LabError::Plan(format!("no lane is called {lane}")));
    };
    let took = crash(life, &planned.host)?;
    let back_ns = took.effective_ns + nanos(DOWN_FOR);
    let boot = Later::Boot {
        host: planned.host.clone(),
        same_mac: true,
        kept: Vec::new(),
        mark,
        // A host that boots starts those that listen by itself.
        restart: (!listens(planned)).then(|| lane.to_owned()),
        back_ns,
    };
    life.schedule(Duration::ZERO, boot);
    life.schedule_at(back_ns, Later::Back);
    Ok(took)
}

impl Life<'_> {
    /// Whether a restarted lane is where it was: its newest process has
    /// connected, or its script is over. On a busy machine that takes a while,
    /// and one that is ended before leaves nothing behind.
    fn is_back(&self, lane: &str) -> bool {
        let Some(planned) = self.case.lanes.iter().find(|l| l.name == lane) else {
            return true;
        };
        let booting =
            self.booting.iter().any(|b| b.host == planned.host) || self.boots_soon(&planned.host);
        let newest = self
            .running
            .iter()
            .rfind(|r| base_name(&r.lane.name) == lane);
        !booting
            && newest.is_none_or(|r| {
                let state = &r.collector.state;
                state.connected || state.listening || state.done
            })
    }

    /// Starts a lane's processes anew.
    pub(super) fn start_again(&mut self, lane: &str) -> Result<(), LabError> {
        let case = self.case;
        for lane in case.lanes.iter().filter(|l| l.name == lane) {
            let boot = self.boots.get(&lane.host).copied().unwrap_or(0);
            self.spawn(lane, boot)?;
        }
        Ok(())
    }
}
