//! Sending: net/ipv4/tcp_output.c.

use super::super::clock::{MS, Ns, SEC};
use super::super::net::Xmit;
use super::super::net::frame::{Body, Packet, Segment};
use super::super::queue::TimerId;
use super::super::{Sim, SockId};
use super::sock::{CaState, Pending, Skb, TcpState};
use crate::errno;
use crate::facts::Fact;
use halfopen_scenario::case::Family;

/// A buffer's largest size: 64 KiB in whole segments (sk_gso_max_size).
const GSO_SEGMENTS: u64 = 45;
/// TCP_TIMEOUT_MIN_US; two ticks before 6.6.
const TIMEOUT_MIN: Ns = 2 * MS;

impl Sim<'_> {
    /// __tcp_select_window(): the window to announce.
    pub(crate) fn window(&self, sock: SockId) -> u64 {
        let sk = &self.socks[sock];
        let free = sk.rcv_space.saturating_sub(sk.unread);
        if free < sk.mss.min(sk.rcv_space / 2) {
            0
        } else {
            free
        }
    }

    /// __tcp_transmit_skb(): sends a segment.
    pub(crate) fn tcp_transmit(&mut self, sock: SockId, mut segment: Segment) -> Xmit {
        let free = self.window(sock);
        let now = self.now;
        let sk = &mut self.socks[sock];
        // tcp_select_window(): never shrunk.
        let left = (sk.rcv_wup + sk.rcv_wnd).saturating_sub(sk.rcv_nxt);
        sk.rcv_wnd = free.max(left);
        sk.rcv_wup = sk.rcv_nxt;
        segment.window = sk.rcv_wnd;
        if sk.timestamps {
            segment.sent = Some(now);
            segment.echoed = sk.ts_recent;
        }
        if sk.state != TcpState::SynSent {
            segment.ack = Some(sk.rcv_nxt);
            segment.sack = sk.out_of_order.iter().map(|o| (o.0, o.1)).collect();
        }
        let confirms = std::mem::take(&mut sk.dst_pending_confirm);
        let (src, dst, node) = (sk.local, sk.remote, sk.node);
        if segment.ack.is_some() {
            self.event_ack_sent(sock);
        }
        if segment.len > 0 {
            self.event_data_sent(sock);
        }
        let carries = segment.end() > segment.seq;
        let packet = Packet {
            src,
            dst,
            owner: carries.then_some((sock, segment.seq)),
            body: Body::Tcp(segment),
            confirms,
        };
        let result = self.ip_output(node, packet);
        if let Xmit::Refused(Some(change)) = result
            && self.case.family == Family::Ipv6
        {
            // inet6_csk_xmit().
            self.socks[sock].sk_err_soft = Some(errno::of_route(change));
        }
        result
    }

    /// tcp_send_ack().
    pub(crate) fn tcp_send_ack(&mut self, sock: SockId) {
        let sk = &self.socks[sock];
        if sk.state == TcpState::Close {
            return;
        }
        let segment = Segment {
            seq: sk.snd_nxt,
            ..Segment::default()
        };
        self.tcp_transmit(sock, segment);
    }

    /// tcp_send_active_reset().
    pub(crate) fn send_active_reset(&mut self, sock: SockId) {
        let sk = &self.socks[sock];
        let segment = Segment {
            seq: sk.snd_nxt,
            rst: true,
            ..Segment::default()
        };
        self.tcp_transmit(sock, segment);
    }

    /// tcp_xmit_probe_skb(): an acknowledgment that lies before the window.
    fn xmit_probe(&mut self, sock: SockId) -> Xmit {
        let segment = Segment {
            seq: self.socks[sock].snd_una.saturating_sub(1),
            probe: true,
            ..Segment::default()
        };
        self.tcp_transmit(sock, segment)
    }

    /// tcp_write_wakeup(): sends new data if the window allows it, else a probe.
    pub(crate) fn write_wakeup(&mut self, sock: SockId) -> Xmit {
        let sk = &self.socks[sock];
        if sk.state == TcpState::Close {
            return Xmit::Refused(None);
        }
        let fits = sk
            .send_queue
            .front()
            .is_some_and(|skb| skb.seq < sk.wnd_end());
        if !fits {
            return self.xmit_probe(sock);
        }
        let room = (sk.wnd_end() - sk.send_queue[0].seq).min(sk.mss);
        self.split_head(sock, room);
        let result = self.transmit_skb(sock, 0, false);
        if result == Xmit::Sent {
            self.event_new_data_sent(sock);
        }
        result
    }

    /// tcp_fragment() of the first unsent buffer.
    fn split_head(&mut self, sock: SockId, len: u64) {
        let sk = &mut self.socks[sock];
        let Some(head) = sk.send_queue.front_mut() else {
            return;
        };
        if head.len() <= len || len == 0 {
            return;
        }
        let mut rest = head.clone();
        rest.seq = head.seq + len;
        rest.syn = false;
        rest.queued = 0;
        head.end = rest.seq;
        head.fin = false;
        sk.send_queue.insert(1, rest);
    }

    /// Sends a buffer of the send queue (`again`: of the retransmission queue).
    pub(crate) fn transmit_skb(&mut self, sock: SockId, index: usize, again: bool) -> Xmit {
        let now = self.now;
        let sk = &mut self.socks[sock];
        let queue = if again {
            &mut sk.rtx_queue
        } else {
            &mut sk.send_queue
        };
        let Some(skb) = queue.get_mut(index) else {
            return Xmit::Sent;
        };
        skb.sent = now;
        let segment = Segment {
            seq: skb.seq,
            len: skb.len(),
            syn: skb.syn,
            fin: skb.fin,
            psh: skb.len() > 0,
            again: skb.ever_retrans,
            marks: Vec::new(),
            ..Segment::default()
        };
        let (seq, end) = (segment.seq, segment.seq + segment.len);
        let mut segment = segment;
        let marks = sk.out_marks.iter().skip_while(|(at, _)| *at < seq);
        segment.marks = marks.take_while(|(at, _)| *at < end).copied().collect();
        self.tcp_transmit(sock, segment)
    }

    /// tcp_event_new_data_sent().
    fn event_new_data_sent(&mut self, sock: SockId) {
        let sk = &mut self.socks[sock];
        let Some(skb) = sk.send_queue.pop_front() else {
            return;
        };
        let first = sk.rtx_queue.is_empty();
        sk.snd_nxt = skb.end;
        sk.rtx_queue.push_back(skb);
        if first || sk.pending == Pending::LossProbe {
            self.rearm_rto(sock);
        }
    }

    /// tcp_write_xmit(). `probe`: for a loss probe, one segment. Returns whether nothing
    /// is in flight and something waits.
    pub(super) fn write_xmit(&mut self, sock: SockId, nagle: bool, probe: bool) -> bool {
        let mut sent = false;
        let holds_fin = Fact::WindowHoldsForFin.holds(self.kernel.version);
        loop {
            let sk = &self.socks[sock];
            let Some(head) = sk.send_queue.front() else {
                break;
            };
            let flight = sk.packets_in_flight();
            // tcp_cwnd_test().
            let mut quota = sk.cwnd.saturating_sub(flight);
            if quota == 0 && head.fin && head.pcount(sk.mss) == 1 && !holds_fin {
                quota = 1;
            }
            if quota == 0 && probe {
                quota = 1;
            }
            // tcp_snd_wnd_test().
            let first_end = head.end.min(head.seq + sk.mss);
            if quota == 0 || first_end > sk.wnd_end() {
                break;
            }
            let len = head.len();
            // tcp_nagle_test(): a small segment waits for a small one that is out.
            let small_out = sk.snd_sml > sk.snd_una && sk.snd_sml <= sk.snd_nxt;
            let last = sk.send_queue.len() == 1;
            if nagle && len < sk.mss && !head.fin && small_out && last && flight > 0 {
                break;
            }
            let window = sk.wnd_end() - head.seq;
            let most = if probe {
                1
            } else {
                quota.min(self.tso_autosize(sock))
            };
            let mut limit = (most * sk.mss).min(window);
            if limit < len && limit > sk.mss {
                limit -= limit % sk.mss;
            }
            self.split_head(sock, limit);
            if self.transmit_skb(sock, 0, false) != Xmit::Sent {
                break;
            }
            let sk = &mut self.socks[sock];
            if let Some(head) = sk.send_queue.front()
                && head.len() < sk.mss
            {
                // tcp_minshall_update().
                sk.snd_sml = head.end;
            }
            self.event_new_data_sent(sock);
            sent = true;
            if probe {
                break;
            }
        }
        let sk = &self.socks[sock];
        if sent {
            if !probe {
                self.schedule_loss_probe(sock, false);
            }
            return false;
        }
        sk.rtx_queue.is_empty() && !sk.send_queue.is_empty()
    }

    /// tcp_tso_autosize(): the segments of one buffer, a millisecond's worth of the pacing
    /// rate (tcp_update_pacing_rate()).
    fn tso_autosize(&self, sock: SockId) -> u64 {
        let sk = &self.socks[sock];
        let share = if sk.cwnd < sk.ssthresh / 2 { 200 } else { 120 };
        let srtt = (sk.srtt_us >> 3).max(1);
        let segments = (sk.cwnd.max(sk.packets_out()) * share * 10_000 / srtt) >> 10;
        segments.clamp(2, GSO_SEGMENTS)
    }

    /// __tcp_push_pending_frames().
    pub(crate) fn push_pending_frames(&mut self, sock: SockId, nagle: bool) {
        if self.socks[sock].state == TcpState::Close {
            return;
        }
        if self.write_xmit(sock, nagle, false) {
            self.check_probe_timer(sock);
        }
    }

    /// tcp_check_probe_timer().
    fn check_probe_timer(&mut self, sock: SockId) {
        let sk = &self.socks[sock];
        if sk.rtx_queue.is_empty() && sk.pending == Pending::Nothing {
            if sk.snd_wnd < sk.mss {
                self.unknown("when a window is full that nobody empties");
            }
            let base = self.probe0_base(sock);
            self.reset_xmit_timer(sock, Pending::Probe0, base);
        }
    }

    /// tcp_probe0_base().
    pub(crate) fn probe0_base(&self, sock: SockId) -> u64 {
        self.socks[sock].rto.max(self.clock.ticks(200 * MS))
    }

    /// tcp_data_snd_check().
    pub(crate) fn data_snd_check(&mut self, sock: SockId) {
        self.push_pending_frames(sock, true);
    }

    /// tcp_send_fin().
    pub(crate) fn send_fin(&mut self, sock: SockId) {
        let sk = &mut self.socks[sock];
        if let Some(tail) = sk.send_queue.back_mut() {
            tail.fin = true;
            tail.end += 1;
            sk.write_seq += 1;
        } else {
            let seq = sk.write_seq;
            sk.send_queue.push_back(Skb {
                seq,
                end: seq + 1,
                syn: false,
                fin: true,
                sent: 0,
                ever_retrans: false,
                lost: false,
                retrans: false,
                sacked: false,
                queued: 0,
            });
            sk.write_seq += 1;
        }
        self.push_pending_frames(sock, false);
    }

    /// tcp_schedule_loss_probe().
    pub(crate) fn schedule_loss_probe(&mut self, sock: SockId, advancing_rto: bool) -> bool {
        let sysctls = self.sysctls(sock);
        let enabled = matches!(sysctls.early_retrans, 3 | 4);
        let rto_min = super::super::clock::ns(sysctls.rto_min);
        let sk = &self.socks[sock];
        if !enabled || sk.rtx_queue.is_empty() || !sk.sack || sk.ca_state != CaState::Open {
            return false;
        }
        let mut timeout = self.clock.ticks(SEC);
        if sk.srtt_us > 0 {
            let mut us = (sk.srtt_us >> 2) * 1000;
            if sk.packets_out() == 1 {
                us += rto_min;
            } else if Fact::TimeoutMinInMicroseconds.holds(self.kernel.version) {
                us += TIMEOUT_MIN;
            } else {
                us += 2 * self.clock.tick();
            }
            timeout = self.clock.ticks(us);
        }
        let left = if advancing_rto {
            sk.rto as i64
        } else {
            self.rto_delta(sock)
        };
        if left > 0 {
            timeout = timeout.min(left as u64);
        }
        self.reset_xmit_timer(sock, Pending::LossProbe, timeout);
        true
    }

    /// tcp_rto_delta_us(), in ticks: what is left of the RTO of the oldest segment.
    fn rto_delta(&self, sock: SockId) -> i64 {
        let sk = &self.socks[sock];
        let Some(head) = sk.rtx_queue.front() else {
            return 0;
        };
        let expires = head.sent + self.clock.span(sk.rto);
        if expires <= self.now {
            return 0;
        }
        self.clock.ticks(expires - self.now) as i64
    }

    /// tcp_rearm_rto().
    pub(crate) fn rearm_rto(&mut self, sock: SockId) {
        let sk = &self.socks[sock];
        if sk.rtx_queue.is_empty() {
            self.clear_xmit_timer(sock);
            return;
        }
        let mut rto = sk.rto;
        if matches!(sk.pending, Pending::LossProbe | Pending::ReoTimeout) {
            rto = self.rto_delta(sock).max(1) as u64;
        }
        self.reset_xmit_timer(sock, Pending::Retrans, rto);
    }

    /// tcp_reset_xmit_timer().
    pub(crate) fn reset_xmit_timer(&mut self, sock: SockId, pending: Pending, ticks: u64) {
        let most = self.rto_max(sock);
        let sk = &mut self.socks[sock];
        sk.pending = pending;
        sk.write_timer += 1;
        let generation = sk.write_timer;
        self.arm(TimerId::Write(sock), generation, ticks.min(most));
    }

    /// inet_csk_clear_xmit_timer().
    pub(crate) fn clear_xmit_timer(&mut self, sock: SockId) {
        let sk = &mut self.socks[sock];
        sk.pending = Pending::Nothing;
        sk.write_timer += 1;
    }
}
