//! Retransmissions, and their effect where they arrive.

use std::time::Duration;

use super::Simulator;
use super::connection::SEGMENT;
use super::delays::Kind;
use super::state::Outgoing;
use crate::abort::facts::InFlight;
use crate::retransmission;
use crate::retransmission::orphan;
use crate::span::Span;
use crate::sysctls::Sysctls;

impl Simulator<'_> {
    /// Simulates attempts before `until`: each is counted by filters with a packet limit,
    /// and data that has already arrived reaches the peer again.
    pub(super) fn retransmit_until(&mut self, sock: usize, until: Duration) -> Result<(), String> {
        let peer = self.socks[sock].peer;
        let (from, to) = (self.socks[sock].host, self.socks[peer].host);
        loop {
            let s = &mut self.socks[sock];
            let outgoing = s.outgoing.as_mut().filter(|o| o.on_line.is_none());
            let Some((outgoing, at)) = outgoing.and_then(|o| o.next_attempt().map(|at| (o, at)))
            else {
                return Ok(());
            };
            if at.earliest >= until {
                return Ok(());
            }
            outgoing.attempted = at.latest;
            let (arrived, unsent) = (outgoing.arrived, outgoing.unsent);
            if unsent {
                continue;
            }
            if self.paths.is_counted(from, to, Kind::Data) {
                self.paths.count_packet(from, to, Kind::Data);
                self.filter_took_packet(sock, at)?;
            }
            if arrived && self.packet_arrives(sock, Kind::Data, at)? {
                let at = at.after(self.paths.one_way_delay(from, to)?);
                self.received(peer, at);
            }
        }
    }

    /// Data that could not be sent is tried again whenever a segment is received, and the
    /// probe timer restarts with its count at 0 (tcp_ack_probe(), tcp_data_snd_check(),
    /// tcp_check_probe_timer()).
    pub(super) fn restart_probe_timer(&mut self, sock: usize, at: Span) {
        let Some(outgoing) = self.socks[sock].outgoing.take_if(|o| o.unsent) else {
            return;
        };
        let several = outgoing.bytes > SEGMENT;
        let facts = self.facts_for(sock, outgoing.fate, InFlight::After, several);
        self.socks[sock].outgoing = Some(Outgoing {
            abort: self.abort_of(sock, &facts, at),
            since: self.kernel.anchor(at),
            attempted: at.latest,
            ..outgoing
        });
    }

    /// Applies the orphan budget to data of a socket without a process.
    pub(super) fn orphan_data(&mut self, sock: usize) {
        let s = &self.socks[sock];
        let sysctls = Sysctls::of(self.case, s.host, self.kernel);
        let limited = s.lane.detector.user_timeout.is_some_and(|t| !t.is_zero());
        let retries = orphan::retries(sysctls.orphan_retries);
        let budget = retransmission::budget(retries, retransmission::RTO_MIN, sysctls.rto_max);
        let first = usize::from(sysctls.tail_loss_probe);
        let retransmits = |o: &&mut Outgoing| !o.unsent && !limited;
        if let Some(outgoing) = self.socks[sock].outgoing.as_mut().filter(retransmits) {
            let abort = outgoing.abort.take();
            outgoing.abort = abort.map(|abort| abort.limited_as_orphan(first, budget));
        }
    }
}
