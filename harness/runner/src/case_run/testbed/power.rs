//! Hosts that lose power and boot again.

use std::collections::HashMap;

use nix::sys::signal::Signal;

use super::Testbed;
use crate::case_run::agenda::Boot;
use crate::case_run::lanes::is_server;
use crate::fault::EffectiveAt;
use halfopen_lab::LabError;
use halfopen_sys::clock::monotonic_ns;

/// Which hosts are booting, and how often each has booted.
#[derive(Debug, Default)]
pub(super) struct Power {
    booting: Vec<Boot>,
    boots: HashMap<String, u32>,
}

impl Power {
    /// How often the host has booted since the case was built.
    pub fn boots(&self, host: &str) -> u32 {
        self.boots.get(host).copied().unwrap_or(0)
    }
}

impl Testbed<'_> {
    /// Cuts a host off; its processes go on. A crash does it by itself, too.
    pub fn silence(&mut self, host: &str) -> Result<EffectiveAt, LabError> {
        self.lab.silence(host)
    }

    /// A host goes to sleep: nothing passes its cables, and its processes stop.
    pub fn suspend(&mut self, host: &str) -> Result<EffectiveAt, LabError> {
        let at = self.lab.silence(host)?;
        self.signal_lanes_of(host, Signal::SIGSTOP)?;
        Ok(at)
    }

    /// A host that sleeps wakes up.
    pub fn resume(&mut self, host: &str) -> Result<EffectiveAt, LabError> {
        let at = self.lab.end_silence(host)?;
        self.signal_lanes_of(host, Signal::SIGCONT)?;
        Ok(at)
    }

    fn signal_lanes_of(&mut self, host: &str, signal: Signal) -> Result<(), LabError> {
        let lanes = self.case.lanes.iter().filter(|lane| lane.host == host);
        for lane in lanes {
            self.lanes.signal_lane(&lane.name, signal)?;
        }
        Ok(())
    }

    /// Cuts a host off, then kills its processes: the silence comes first.
    pub fn crash(&mut self, host: &str) -> Result<EffectiveAt, LabError> {
        self.sockets.forget(host);
        let lanes = &mut self.lanes;
        self.lab
            .crash_with(host, &mut || lanes.signal_host(host, Signal::SIGKILL))
    }

    /// The network of a host without processes goes down.
    pub fn power_off(&mut self, host: &str) -> Result<(), LabError> {
        self.sockets.forget(host);
        self.lab.crash_with(host, &mut || ()).map(drop)
    }

    /// Builds a host again while it is still silent, and starts its servers.
    pub fn boot(&mut self, boot: Boot) -> Result<(), LabError> {
        self.lab.boot(&boot.host, boot.same_mac)?;
        if !boot.kept.is_empty() {
            self.lab.restore_flows(&boot.host, &boot.kept)?;
        }
        self.wire.note_ports(&self.lab);
        *self.power.boots.entry(boot.host.clone()).or_insert(0) += 1;
        for lane in &self.case.lanes {
            if lane.host == boot.host && is_server(lane) {
                self.spawn(lane)?;
            }
        }
        self.power.booting.push(boot);
        Ok(())
    }

    /// Whether any host is booting.
    pub fn is_booting(&self) -> bool {
        !self.power.booting.is_empty()
    }

    /// Whether this host is booting.
    pub fn is_booting_host(&self, host: &str) -> bool {
        self.power.booting.iter().any(|boot| boot.host == host)
    }

    /// Ends the silence of hosts whose time has come and whose servers listen,
    /// and starts the lanes that wait for that. The marks to be set, and when.
    pub fn end_silence(&mut self) -> Result<Vec<(String, i64)>, LabError> {
        let now = monotonic_ns();
        let (back, still) = std::mem::take(&mut self.power.booting)
            .into_iter()
            .partition(|boot| boot.back_ns <= now && self.servers_are_up(&boot.host));
        self.power.booting = still;
        let mut marks = Vec::new();
        for boot in Vec::into_iter(back) {
            let at = self.lab.end_silence(&boot.host)?;
            if let Some(lane) = &boot.restart {
                self.start_again(lane)?;
            }
            marks.extend(boot.mark.map(|mark| (mark, at.effective_ns)));
        }
        Ok(marks)
    }

    fn servers_are_up(&self, host: &str) -> bool {
        let boots = self.power.boots(host);
        let processes = self.lanes.processes().iter();
        processes
            .filter(|p| p.host() == host && p.boot() == boots)
            .all(|p| !p.is_server() || p.is_up() || p.state().ended)
    }
}
