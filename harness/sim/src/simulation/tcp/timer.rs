//! Timers: net/ipv4/tcp_timer.c.

use super::super::clock::{MS, Ns, SEC, ns};
use super::super::net::Xmit;
use super::super::queue::TimerId;
use super::super::{Sim, SockId, Uncertain};
use super::sock::{CaState, Pending, TcpSock, TcpState};
use crate::facts::Fact;

/// TCP_RESOURCE_PROBE_INTERVAL.
const RESOURCE_PROBE_INTERVAL: Ns = 500 * MS;
/// TCP_THIN_LINEAR_RETRIES.
const THIN_LINEAR_RETRIES: u8 = 6;
/// TCP_RTO_MIN, of which budgets are made, and TCP_TIMEOUT_INIT for handshakes.
const RTO_MIN: Ns = 200 * MS;
const TIMEOUT_INIT: Ns = SEC;
/// TCP_TIMEWAIT_LEN.
pub(crate) const TIMEWAIT_LEN: Ns = 60 * SEC;

impl Sim<'_> {
    /// tcp_write_timer_handler().
    pub(crate) fn write_timer(&mut self, sock: SockId, generation: u32) {
        let sk = &mut self.socks[sock];
        if sk.write_timer != generation || sk.is_in(&[TcpState::Close, TcpState::Listen]) {
            return;
        }
        match sk.pending {
            Pending::Nothing => {}
            Pending::ReoTimeout => self.rack_reo_timeout(sock),
            Pending::LossProbe => self.send_loss_probe(sock),
            Pending::Retrans => {
                sk.pending = Pending::Nothing;
                self.retransmit_timer(sock);
            }
            Pending::Probe0 => {
                sk.pending = Pending::Nothing;
                self.probe_timer(sock);
            }
        }
    }

    /// tcp_model_timeout().
    fn model_timeout(&self, sock: SockId, boundary: u32) -> Ns {
        let sk = &self.socks[sock];
        let handshake = sk.is_in(&[TcpState::SynSent, TcpState::SynRecv]);
        let base = if handshake { TIMEOUT_INIT } else { RTO_MIN };
        let max = ns(self.sysctls(sock).rto_max);
        let linear = (max / base).max(1).ilog2();
        let doubled = |n: u32| base * ((2_u64 << n.min(40)) - 1);
        if boundary <= linear {
            doubled(boundary)
        } else {
            doubled(linear) + u64::from(boundary - linear) * max
        }
    }

    /// retransmits_timed_out(): whether this time has passed since the first
    /// retransmission. TCP counts whole milliseconds: when the time is just over, either
    /// may be.
    fn retransmits_timed_out(&mut self, sock: SockId, boundary: u32, timeout: Ns) -> bool {
        let sk = &self.socks[sock];
        if sk.retransmits == 0 {
            return false;
        }
        let timeout = match timeout {
            0 => self.model_timeout(sock, boundary),
            set => set,
        };
        let elapsed = self.now - self.socks[sock].retrans_stamp.unwrap_or(0);
        self.has_passed(elapsed, timeout)
    }

    /// Whether a time that milliseconds measure has passed.
    fn has_passed(&mut self, elapsed: Ns, timeout: Ns) -> bool {
        if elapsed.abs_diff(timeout) >= MS
            || elapsed == timeout && elapsed.is_multiple_of(self.clock.tick())
        {
            return elapsed >= timeout;
        }
        self.choose(Uncertain::Millisecond) == 0
    }

    /// tcp_orphan_retries().
    fn orphan_retries(&self, sock: SockId, alive: bool) -> u32 {
        let mut retries = self.sysctls(sock).orphan_retries;
        if self.socks[sock].sk_err_soft.is_some() && !alive {
            retries = 0;
        }
        if retries == 0 && alive { 8 } else { retries }
    }

    /// tcp_write_timeout(): whether it is given up.
    fn write_timeout(&mut self, sock: SockId) -> bool {
        let sysctls = self.sysctls(sock);
        let (retries2, syn, synack, linear) = (
            sysctls.retries2,
            sysctls.syn_retries,
            sysctls.synack_retries,
            sysctls.syn_linear_timeouts,
        );
        let sk = &self.socks[sock];
        let user_timeout = sk.user_timeout;
        let mut expired = false;
        let retry_until = match sk.state {
            TcpState::SynSent => {
                expired = u32::from(sk.retransmits) >= syn + linear;
                syn
            }
            TcpState::SynRecv => {
                expired = u32::from(sk.retransmits) >= synack;
                synack
            }
            _ if sk.dead => {
                let alive = sk.rto < self.rto_max(sock);
                self.orphan_retries(sock, alive)
            }
            _ => retries2,
        };
        expired = expired || self.retransmits_timed_out(sock, retry_until, user_timeout);
        if expired {
            self.write_err(sock, "tcp_write_timeout()");
        }
        expired
    }

    /// tcp_write_err().
    pub(crate) fn write_err(&mut self, sock: SockId, function: &'static str) {
        let sk = &mut self.socks[sock];
        sk.sk_err = Some(sk.sk_err_soft.unwrap_or("ETIMEDOUT"));
        sk.ended = Some(function);
        self.note(sock, function);
        self.tcp_done(sock);
    }

    /// tcp_enter_loss().
    fn enter_loss(&mut self, sock: SockId) {
        let sk = &mut self.socks[sock];
        let flight = sk.packets_in_flight();
        if sk.ca_state < CaState::Loss || sk.snd_una >= sk.high_seq || sk.retransmits == 0 {
            sk.ssthresh = (sk.cwnd.min(flight.max(2)) / 2).max(2);
        }
        sk.cwnd = 1;
        sk.ca_state = CaState::Loss;
        sk.high_seq = sk.snd_nxt;
        for skb in &mut sk.rtx_queue {
            skb.retrans = false;
            skb.lost = !skb.sacked;
        }
    }

    /// tcp_clamp_rto_to_user_timeout().
    fn clamp_rto_to_user_timeout(&self, sock: SockId) -> u64 {
        let sk = &self.socks[sock];
        if sk.user_timeout == 0 {
            return sk.rto;
        }
        let elapsed = (self.now - sk.retrans_stamp.unwrap_or(self.now)) / MS * MS;
        let remaining = sk.user_timeout.saturating_sub(elapsed);
        if remaining == 0 {
            return 1;
        }
        sk.rto.min(self.clock.ticks(remaining))
    }

    /// tcp_retransmit_timer().
    pub(crate) fn retransmit_timer(&mut self, sock: SockId) {
        let rto_max = self.rto_max(sock);
        let thin_linear = self.sysctls(sock).thin_linear;
        let linear = self.sysctls(sock).syn_linear_timeouts;
        let sk = &mut self.socks[sock];
        if sk.rtx_queue.is_empty() {
            return;
        }
        sk.tlp_high_seq = 0;
        let handshake = sk.is_in(&[TcpState::SynSent, TcpState::SynRecv]);
        if sk.snd_wnd == 0 && !sk.dead && !handshake {
            // The peer shrank its window: retransmissions are window probes.
            if self.rtx_probe0_timed_out(sock) {
                self.write_err(sock, "tcp_retransmit_timer(), window 0");
                return;
            }
            self.enter_loss(sock);
            self.retransmit_skb(sock, 0);
        } else {
            if self.write_timeout(sock) {
                return;
            }
            let sk = &mut self.socks[sock];
            if !handshake {
                self.enter_loss(sock);
            } else {
                for skb in &mut sk.rtx_queue {
                    skb.lost = true;
                    skb.retrans = false;
                }
            }
            let sk = &mut self.socks[sock];
            sk.retransmits = sk.retransmits.wrapping_add(1);
            if self.retransmit_skb(sock, 0) == Some(Xmit::Dropped) {
                let ticks = self.clock.ticks(RESOURCE_PROBE_INTERVAL);
                self.reset_xmit_timer(sock, Pending::Retrans, ticks);
                return;
            }
        }
        let sk = &self.socks[sock];
        let thin = thin_linear
            && sk.state == TcpState::Established
            && sk.is_thin()
            && sk.retransmits <= THIN_LINEAR_RETRIES;
        if thin {
            let rto = self.set_rto(sock);
            let sk = &mut self.socks[sock];
            sk.backoff = 0;
            sk.rto = rto;
        } else {
            let sk = &mut self.socks[sock];
            if sk.state != TcpState::SynSent || u32::from(sk.retransmits) > linear {
                sk.backoff += 1;
                sk.rto = (sk.rto * 2).min(rto_max);
            }
        }
        let ticks = self.clamp_rto_to_user_timeout(sock);
        self.reset_xmit_timer(sock, Pending::Retrans, ticks);
    }

    /// tcp_rtx_probe0_timed_out().
    fn rtx_probe0_timed_out(&self, sock: SockId) -> bool {
        let sk = &self.socks[sock];
        let mut timeout = self.rto_max(sock) * 2;
        let last = sk.rtx_queue.front().map_or(0, |skb| skb.sent);
        let sent = self.clock.ticks(self.now - last);
        let received = self.jiffies() - sk.rcv_tstamp;
        if sk.user_timeout > 0 && Fact::ZeroWindowTimesOut.holds(self.kernel.version) {
            timeout = timeout.min(self.clock.ticks(sk.user_timeout));
        }
        received > timeout && sent > timeout / 2
    }

    /// inet_csk_rto_backoff() below the maximum: an orphan is taken for alive.
    fn is_probe_alive(&self, sk: &TcpSock, max: u64) -> bool {
        sk.rto << sk.backoff.min(30) < max
    }

    /// tcp_probe_timer().
    fn probe_timer(&mut self, sock: SockId) {
        let now = self.jiffies();
        let max = self.rto_max(sock);
        let mut max_probes = self.sysctls(sock).retries2;
        let user_timeout = self.clock.ticks(self.socks[sock].user_timeout);
        let sk = &mut self.socks[sock];
        if !sk.rtx_queue.is_empty() || sk.send_queue.is_empty() {
            sk.probes_out = 0;
            sk.probes_tstamp = None;
            return;
        }
        let since = *sk.probes_tstamp.get_or_insert(now);
        let mut abort = user_timeout > 0 && now > since && now - since >= user_timeout;
        let sk = &self.socks[sock];
        if sk.dead {
            let alive = self.is_probe_alive(sk, max);
            max_probes = self.orphan_retries(sock, alive);
            abort |= !alive && self.socks[sock].backoff >= max_probes;
        }
        if abort || self.socks[sock].probes_out >= max_probes {
            self.write_err(sock, "tcp_probe_timer()");
        } else {
            self.send_probe0(sock);
        }
    }

    /// tcp_send_probe0().
    fn send_probe0(&mut self, sock: SockId) {
        let result = self.write_wakeup(sock);
        let retries2 = self.sysctls(sock).retries2;
        let sk = &mut self.socks[sock];
        if !sk.rtx_queue.is_empty() || sk.send_queue.is_empty() {
            sk.probes_out = 0;
            sk.backoff = 0;
            sk.probes_tstamp = None;
            return;
        }
        sk.probes_out += 1;
        let ticks = if result == Xmit::Dropped {
            self.clock.ticks(RESOURCE_PROBE_INTERVAL)
        } else {
            if sk.backoff < retries2 {
                sk.backoff += 1;
            }
            self.probe0_when(sock)
        };
        let ticks = self.clamp_probe0_to_user_timeout(sock, ticks);
        self.reset_xmit_timer(sock, Pending::Probe0, ticks);
    }

    /// tcp_probe0_when().
    pub(crate) fn probe0_when(&self, sock: SockId) -> u64 {
        let max = ns(self.sysctls(sock).rto_max);
        let doublings = (max / RTO_MIN).max(1).ilog2() + 1;
        let backoff = self.socks[sock].backoff.min(doublings);
        (self.probe0_base(sock) << backoff).min(self.rto_max(sock))
    }

    /// tcp_clamp_probe0_to_user_timeout().
    pub(crate) fn clamp_probe0_to_user_timeout(&self, sock: SockId, when: u64) -> u64 {
        let sk = &self.socks[sock];
        let Some(since) = sk.probes_tstamp.filter(|_| sk.user_timeout > 0) else {
            return when;
        };
        let elapsed = self.jiffies() - since;
        let remaining = self.clock.ticks(sk.user_timeout).saturating_sub(elapsed);
        when.min(remaining.max(2))
    }

    /// keepalive_time_when(), keepalive_intvl_when(), keepalive_probes().
    fn keepalive_values(&self, sock: SockId) -> (u64, u64, u32) {
        let (own, sysctls) = (&self.socks[sock].keepalive, self.sysctls(sock));
        let time = own.time.unwrap_or(ns(sysctls.keepalive_time));
        let intvl = own.intvl.unwrap_or(ns(sysctls.keepalive_intvl));
        let probes = own.probes.unwrap_or(sysctls.keepalive_probes);
        (self.clock.ticks(time), self.clock.ticks(intvl), probes)
    }

    /// keepalive_time_elapsed(): since the last segment received.
    fn keepalive_time_elapsed(&self, sock: SockId) -> u64 {
        let (sk, now) = (&self.socks[sock], self.jiffies());
        (now - sk.lrcvtime).min(now - sk.rcv_tstamp)
    }

    /// inet_csk_reset_keepalive_timer().
    pub(crate) fn reset_keepalive_timer(&mut self, sock: SockId, ticks: u64) {
        let sk = &mut self.socks[sock];
        sk.keepalive_timer += 1;
        let generation = sk.keepalive_timer;
        self.arm(TimerId::Keepalive(sock), generation, ticks);
    }

    /// tcp_set_keepalive(): SO_KEEPALIVE is turned on.
    pub(crate) fn set_keepalive(&mut self, sock: SockId) {
        let sk = &mut self.socks[sock];
        let was = std::mem::replace(&mut sk.keepopen, true);
        if !was && !sk.is_in(&[TcpState::Close, TcpState::Listen]) {
            self.start_keepalive(sock);
        }
    }

    /// The whole idle time from now on.
    pub(crate) fn start_keepalive(&mut self, sock: SockId) {
        if self.socks[sock].keepopen {
            let (time, ..) = self.keepalive_values(sock);
            self.reset_keepalive_timer(sock, time);
        }
    }

    /// tcp_sock_set_keepidle(): TCP_KEEPIDLE moves the timer.
    pub(crate) fn set_keepidle(&mut self, sock: SockId, time: Ns) {
        self.socks[sock].keepalive.time = Some(time);
        let sk = &self.socks[sock];
        if sk.keepopen && !sk.is_in(&[TcpState::Close, TcpState::Listen]) {
            let elapsed = self.keepalive_time_elapsed(sock);
            let ticks = self.clock.ticks(time).saturating_sub(elapsed);
            self.reset_keepalive_timer(sock, ticks);
        }
    }

    /// tcp_keepalive_timer().
    pub(crate) fn keepalive_timer(&mut self, sock: SockId, generation: u32) {
        let fin_timeout = ns(self.sysctls(sock).fin_timeout);
        let sk = &self.socks[sock];
        if sk.keepalive_timer != generation {
            return;
        }
        if sk.state == TcpState::FinWait2 && sk.dead {
            if fin_timeout > TIMEWAIT_LEN {
                self.time_wait(sock, fin_timeout - TIMEWAIT_LEN);
            } else {
                self.send_active_reset(sock);
                self.tcp_done(sock);
            }
            return;
        }
        let idle = [TcpState::Close, TcpState::SynSent, TcpState::Listen];
        if !sk.keepopen || sk.is_in(&idle) {
            return;
        }
        let (time, intvl, probes) = self.keepalive_values(sock);
        let sk = &self.socks[sock];
        if !sk.rtx_queue.is_empty() || !sk.send_queue.is_empty() {
            self.reset_keepalive_timer(sock, time);
            return;
        }
        let elapsed = self.keepalive_time_elapsed(sock);
        let mut next = time.saturating_sub(elapsed);
        if elapsed >= time {
            let user_timeout = self.clock.ticks(sk.user_timeout);
            let expired = if user_timeout > 0 {
                elapsed >= user_timeout && sk.probes_out > 0
            } else {
                sk.probes_out >= probes
            };
            if expired {
                self.send_active_reset(sock);
                self.write_err(sock, "tcp_keepalive_timer()");
                return;
            }
            if self.write_wakeup(sock) == Xmit::Dropped {
                next = self.clock.ticks(RESOURCE_PROBE_INTERVAL);
            } else {
                self.socks[sock].probes_out += 1;
                next = intvl;
            }
        }
        if self.socks[sock].state != TcpState::Close {
            self.reset_keepalive_timer(sock, next);
        }
    }
}
