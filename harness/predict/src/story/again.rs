//! What is sent again, and what that does where it arrives.

use std::time::Duration;

use super::World;
use super::line::Kind;
use super::process::Outgoing;
use super::socket::SEGMENT;
use crate::facts::InFlight;
use crate::orphan;
use crate::retransmit;
use crate::span::Span;
use crate::sysctls::Sysctls;

impl World<'_> {
    /// Tries that are made before `until`: each meets the filters that take only
    /// so many packets, and what the peer has already reaches it again.
    pub(super) fn tries(&mut self, sock: usize, until: Duration) -> Result<(), String> {
        let peer = self.socks[sock].peer;
        let (from, to) = (self.socks[sock].host, self.socks[peer].host);
        loop {
            let s = &mut self.socks[sock];
            let outgoing = s.outgoing.as_mut().filter(|o| o.flying.is_none());
            let Some((outgoing, at)) = outgoing.and_then(|o| o.next_try().map(|at| (o, at))) else {
                return Ok(());
            };
            if at.earliest >= until {
                return Ok(());
            }
            outgoing.tried = at.latest;
            let (arrived, held) = (outgoing.arrived, outgoing.held);
            if held {
                continue;
            }
            if self.paths.is_counted(from, to, Kind::Data) {
                self.paths.spend(from, to, Kind::Data);
                self.filter_has_taken(sock, at)?;
            }
            if arrived && self.gets_there(sock, Kind::Data, at)? {
                let at = at.after(self.paths.takes(from, to)?);
                self.received(peer, at);
            }
        }
    }

    /// What could not be sent is tried again whenever a segment comes, and the
    /// probe timer starts anew, without the probes so far (tcp_ack_probe(),
    /// tcp_data_snd_check(), tcp_check_probe_timer()).
    pub(super) fn says_there_is_room(&mut self, sock: usize, at: Span) {
        let Some(outgoing) = self.socks[sock].outgoing.take_if(|o| o.held) else {
            return;
        };
        let several = outgoing.bytes > SEGMENT;
        let facts = self.facts_for(sock, outgoing.fate, InFlight::After, several);
        self.socks[sock].outgoing = Some(Outgoing {
            fall: self.fall_of(sock, &facts, at),
            since: self.kernel.anchor(at),
            tried: at.latest,
            ..outgoing
        });
    }

    /// What nobody holds any more is tried for as long as orphans are.
    pub(super) fn becomes_an_orphan(&mut self, sock: usize) {
        let s = &self.socks[sock];
        let sysctls = Sysctls::of(self.case, s.host, self.kernel);
        let limited = s.lane.detector.user_timeout.is_some_and(|t| !t.is_zero());
        let retries = orphan::retries(sysctls.orphan_retries);
        let budget = retransmit::budget(retries, retransmit::RTO_MIN, sysctls.rto_max);
        let first = usize::from(sysctls.tail_loss_probe);
        let flies = |o: &&mut Outgoing| !o.held && !limited;
        if let Some(outgoing) = self.socks[sock].outgoing.as_mut().filter(flies) {
            let fall = outgoing.fall.take();
            outgoing.fall = fall.map(|fall| fall.of_an_orphan(first, budget));
        }
    }
}
