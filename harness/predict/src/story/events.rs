//! What happens to the lab.

use super::paths::Paths;
use super::process::Wait;
use super::{LAST_WORDS, Later, World, listens};
use crate::span::Span;
use halfopen_scenario::case::{Carrier, Disposition, Event, EventAction};

/// What a process takes to die of a signal.
const DYING: std::time::Duration = std::time::Duration::from_millis(5);

impl<'a> World<'a> {
    pub(super) fn happens(&mut self, what: Later<'a>) -> Result<(), String> {
        let now = Span::at(self.now);
        match what {
            Later::Event(index) => {
                let case = self.case;
                self.event(&case.events[index])
            }
            Later::KillHost(host) => {
                self.signal_host(host, true)?;
                self.later
                    .push((self.now + LAST_WORDS, Later::PowerOff(host)));
                Ok(())
            }
            Later::PowerOff(host) => self.crash(host),
            Later::Packet(packet) => self.moves(packet),
            Later::DelayedAck { sock, due, got } => self.acknowledges_late(sock, due, got),
            Later::Reset { sock, at } => {
                self.reset_comes(sock, at);
                Ok(())
            }
            Later::Boot {
                host,
                same_mac,
                mark,
            } => {
                self.paths.power_on(host, same_mac);
                if !same_mac {
                    self.anew.insert(host, self.now);
                }
                self.router_is_back(host, mark)?;
                // It was built while it was silent; its servers listen already.
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
        self.moment = now;
        for sock in 0..self.socks.len() {
            self.tries(sock, now.earliest)?;
        }
        self.before = Some(self.paths.clone());
        if let EventAction::Cut {
            carrier: Carrier::Lost,
            ..
        } = event.action
        {
            self.no_carrier = Some(now);
        }
        if event.is_fault() {
            self.fault.get_or_insert(now);
        }
        let mut mark_now = true;
        match &event.action {
            EventAction::Netstat => {}
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
                // Nobody waits for the processes to end.
                self.moment = Span::new(now.earliest, now.latest + DYING);
                self.signal_host(host, false)?;
                self.later.push((self.now + *grace, Later::KillHost(host)));
            }
            EventAction::Crash { host } => self.crash(host)?,
            EventAction::Reboot {
                host,
                down_for,
                same_mac,
                ..
            } => {
                self.crash(host)?;
                let boot = Later::Boot {
                    host,
                    same_mac: *same_mac,
                    mark: &event.name,
                };
                self.later.push((self.now + *down_for, boot));
                mark_now = false;
            }
            EventAction::Heal { what } => {
                self.no_fin_under_way()?;
                self.path_changes()?;
                self.paths.heal(what.as_deref());
                self.healed = Some((now.latest, None));
                self.network_changed(now)?;
            }
            EventAction::Forget { .. } => self.router_forgets()?,
            EventAction::Move {
                from, announced, ..
            } => {
                self.can_follow_move(from, *announced)?;
                if !announced {
                    self.anew.insert(from, now.earliest);
                }
                self.paths.add(&event.name, &event.action);
                self.network_changed(now)?;
            }
            network => {
                self.path_changes()?;
                self.paths.add(&event.name, network);
                self.network_changed(now)?;
            }
        }
        if mark_now {
            self.set_mark(&event.name, now);
        }
        Ok(())
    }

    /// The paths as they will be once this has happened; None: it changes none.
    pub(super) fn after(&self, later: &Later<'a>) -> Option<Paths<'a>> {
        let mut paths = self.paths.clone();
        match later {
            Later::Event(index) => {
                let event = &self.case.events[*index];
                match &event.action {
                    EventAction::Crash { host } | EventAction::Reboot { host, .. } => {
                        paths.power_off(host);
                    }
                    EventAction::Heal { what } => paths.heal(what.as_deref()),
                    EventAction::Forget { .. } => {
                        if let Some(memory) = &mut paths.memory {
                            memory.forgotten = true;
                        }
                    }
                    EventAction::Netstat
                    | EventAction::Restart { .. }
                    | EventAction::Kill { .. }
                    | EventAction::Freeze { .. }
                    | EventAction::Thaw { .. }
                    | EventAction::Type { .. }
                    | EventAction::Shutdown { .. } => return None,
                    _ => paths.add(&event.name, &event.action),
                }
            }
            Later::PowerOff(host) => paths.power_off(host),
            Later::Boot { host, same_mac, .. } => paths.power_on(host, *same_mac),
            Later::KillHost(_)
            | Later::Packet(_)
            | Later::DelayedAck { .. }
            | Later::Reset { .. } => return None,
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
        self.network_changed(Span::at(self.now).both(self.moment))
    }

    /// SIGTERM or SIGKILL to every process of a host.
    fn signal_host(&mut self, host: &str, kill: bool) -> Result<(), String> {
        for p in 0..self.processes.len() {
            let process = &self.processes[p];
            let dies = kill || process.lane.sigterm == Disposition::Default;
            if process.host == host && process.alive && dies {
                self.ends(p)?;
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
                "TERM" | "KILL" | "INT" | "HUP" | "QUIT" | "ABRT" => self.ends(*p)?,
                other => return Err(format!("what {other} does to a process")),
            }
        }
        Ok(())
    }

    fn freeze(&mut self, lane: &str, frozen: bool) {
        let now = Span::at(self.now).both(self.moment);
        for p in self.processes.iter_mut().filter(|p| p.lane.name == lane) {
            p.frozen = frozen;
            // It goes on where it was, no sooner than now.
            p.at = p.at.both(now);
            if !frozen && let Wait::Until(at) = &mut p.wait {
                *at = at.both(now);
            }
        }
    }
}
