//! Applies the scheduled events: faults, reboots, packets that arrive.

use super::paths::Paths;
use super::state::Wait;
use super::{HOST_STOP_GRACE, Scheduled, Simulator, listens};
use crate::span::Span;
use halfopen_scenario::case::{Carrier, Disposition, Event, EventAction};

/// Time a process needs to die of a signal.
const SIGNAL_EXIT_TIME: std::time::Duration = std::time::Duration::from_millis(5);

impl<'a> Simulator<'a> {
    pub(super) fn apply(&mut self, what: Scheduled<'a>) -> Result<(), String> {
        let now = Span::at(self.now);
        match what {
            Scheduled::Event(index) => {
                let case = self.case;
                self.event(&case.events[index])
            }
            Scheduled::KillHost(host) => {
                self.signal_host(host, true)?;
                self.scheduled
                    .push((self.now + HOST_STOP_GRACE, Scheduled::PowerOff(host)));
                Ok(())
            }
            Scheduled::PowerOff(host) => self.crash(host),
            Scheduled::Packet(packet) => self.forward(packet),
            Scheduled::DelayedAck {
                sock,
                due,
                segments_received,
            } => self.send_delayed_ack(sock, due, segments_received),
            Scheduled::Reset { sock, at } => {
                self.reset_arrives(sock, at);
                Ok(())
            }
            Scheduled::Boot {
                host,
                same_mac,
                mark,
            } => {
                self.paths.power_on(host, same_mac);
                if !same_mac {
                    self.new_owners.insert(host, self.now);
                }
                self.router_rebooted(host, mark)?;
                // The host was built while it was down; its servers listen already.
                self.network_changed(now)?;
                let case = self.case;
                for lane in case.lanes.iter().filter(|l| l.host == host && listens(l)) {
                    self.spawn(lane, now);
                }
                self.set_mark(mark, now);
                Ok(())
            }
        }
    }

    fn event(&mut self, event: &'a Event) -> Result<(), String> {
        let now = self.moments.of_event(&event.name);
        let now = now.unwrap_or(Span::at(self.now));
        self.last_event = now;
        for sock in 0..self.socks.len() {
            self.retransmit_until(sock, now.earliest)?;
        }
        self.paths_before = Some(self.paths.clone());
        if let EventAction::Cut {
            carrier: Carrier::Lost,
            ..
        } = event.action
        {
            self.carrier_lost = Some(now);
        }
        if event.is_fault() {
            self.fault.get_or_insert(now);
        }
        let mut mark_now = true;
        match &event.action {
            EventAction::Netstat => {}
            // Refused when the simulation begins.
            EventAction::Suspend { .. } | EventAction::Resume { .. } => {}
            EventAction::Restart { .. } => {
                return Err(
                    "a lane that is restarted: how long that takes is the machine's".into(),
                );
            }
            EventAction::Kill {
                lane,
                signal,
                child,
            } => self.kill(lane, signal, *child)?,
            EventAction::Freeze { lane } => self.freeze(lane, true),
            EventAction::Thaw { lane } => self.freeze(lane, false),
            EventAction::Type { lane, .. } => {
                for p in self.processes.iter_mut().filter(|p| p.lane.name == *lane) {
                    p.typed.push_back(now);
                }
            }
            EventAction::Shutdown { host, grace } => {
                // The runner does not wait for the processes to end.
                self.last_event = Span::new(now.earliest, now.latest + SIGNAL_EXIT_TIME);
                self.signal_host(host, false)?;
                self.scheduled
                    .push((self.now + *grace, Scheduled::KillHost(host)));
            }
            EventAction::Crash { host } => self.crash(host)?,
            EventAction::Reboot {
                host,
                down_for,
                same_mac,
                ..
            } => {
                self.crash(host)?;
                let boot = Scheduled::Boot {
                    host,
                    same_mac: *same_mac,
                    mark: &event.name,
                };
                self.scheduled.push((self.now + *down_for, boot));
                mark_now = false;
            }
            EventAction::Heal { what } => {
                self.check_no_fin_in_flight()?;
                self.check_path_change()?;
                self.paths.heal(what.as_deref());
                self.healed = Some((now.latest, None));
                self.network_changed(now)?;
            }
            EventAction::Forget { .. } => self.conntrack_flush()?,
            EventAction::Move {
                from, announced, ..
            } => {
                self.check_move(from, *announced)?;
                if !announced {
                    self.new_owners.insert(from, now.earliest);
                }
                self.paths.add(&event.name, &event.action);
                self.network_changed(now)?;
            }
            network => {
                self.check_path_change()?;
                self.paths.add(&event.name, network);
                self.network_changed(now)?;
            }
        }
        if mark_now {
            self.set_mark(&event.name, now);
        }
        Ok(())
    }

    /// The paths after this event; None: it changes none.
    pub(super) fn paths_after(&self, scheduled: &Scheduled<'a>) -> Option<Paths<'a>> {
        let mut paths = self.paths.clone();
        match scheduled {
            Scheduled::Event(index) => {
                let event = &self.case.events[*index];
                match &event.action {
                    EventAction::Crash { host } | EventAction::Reboot { host, .. } => {
                        paths.power_off(host);
                    }
                    EventAction::Heal { what } => paths.heal(what.as_deref()),
                    EventAction::Forget { .. } => {
                        if let Some(conntrack) = &mut paths.conntrack {
                            conntrack.forgotten = true;
                        }
                    }
                    EventAction::Netstat
                    | EventAction::Restart { .. }
                    | EventAction::Suspend { .. }
                    | EventAction::Resume { .. }
                    | EventAction::Kill { .. }
                    | EventAction::Freeze { .. }
                    | EventAction::Thaw { .. }
                    | EventAction::Type { .. }
                    | EventAction::Shutdown { .. } => return None,
                    _ => paths.add(&event.name, &event.action),
                }
            }
            Scheduled::PowerOff(host) => paths.power_off(host),
            Scheduled::Boot { host, same_mac, .. } => paths.power_on(host, *same_mac),
            Scheduled::KillHost(_)
            | Scheduled::Packet(_)
            | Scheduled::DelayedAck { .. }
            | Scheduled::Reset { .. } => return None,
        }
        Some(paths)
    }

    fn crash(&mut self, host: &'a str) -> Result<(), String> {
        if self.paths.is_down(host) {
            return Ok(());
        }
        self.paths.power_off(host);
        for p in self.processes.iter_mut().filter(|p| p.host == host) {
            p.alive = false;
        }
        for s in self.socks.iter_mut().filter(|s| s.host == host) {
            s.exists = false;
        }
        self.backlog.retain(|(on, _), _| *on != host);
        self.network_changed(Span::at(self.now).both(self.last_event))
    }

    /// SIGTERM or SIGKILL to every process of a host.
    fn signal_host(&mut self, host: &str, kill: bool) -> Result<(), String> {
        for p in 0..self.processes.len() {
            let process = &self.processes[p];
            let dead_since = kill || process.lane.sigterm == Disposition::Default;
            if process.host == host && process.alive && dead_since {
                self.exit_process(p)?;
            }
        }
        Ok(())
    }

    fn kill(&mut self, lane: &str, signal: &str, child: bool) -> Result<(), String> {
        let of_lane: Vec<usize> = (0..self.processes.len())
            .filter(|p| self.processes[*p].lane.name == lane && self.processes[*p].alive)
            .filter(|p| self.processes[*p].parent.is_some() == child)
            .collect();
        let chosen = if child {
            of_lane.last().into_iter().collect()
        } else {
            of_lane.iter().collect::<Vec<_>>()
        };
        for p in chosen {
            match signal.trim_start_matches("SIG") {
                "TERM" if self.processes[*p].lane.sigterm == Disposition::Ignore => {}
                "TERM" | "KILL" | "INT" | "HUP" | "QUIT" | "ABRT" => self.exit_process(*p)?,
                other => return Err(format!("what {other} does to a process")),
            }
        }
        Ok(())
    }

    fn freeze(&mut self, lane: &str, frozen: bool) {
        let now = Span::at(self.now).both(self.last_event);
        for p in self.processes.iter_mut().filter(|p| p.lane.name == lane) {
            p.frozen = frozen;
            // It continues where it stopped, no earlier than now.
            p.at = p.at.both(now);
            if !frozen && let Wait::Until(at) = &mut p.wait {
                *at = at.both(now);
            }
        }
    }
}
