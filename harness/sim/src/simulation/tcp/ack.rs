//! Acknowledgments received: tcp_ack() and what it calls, net/ipv4/tcp_input.c.

use super::super::clock::MS;
use super::super::net::frame::Segment;
use super::super::{Sim, SockId};
use super::sock::{CaState, Pending};

impl Sim<'_> {
    /// tcp_ack(). Whether the segment is acceptable.
    pub(crate) fn tcp_ack(&mut self, sock: SockId, segment: &Segment) -> bool {
        let Some(ack) = segment.ack else { return false };
        let now = self.jiffies();
        let sk = &mut self.socks[sock];
        let prior = sk.snd_una;
        if ack > sk.snd_nxt {
            return false;
        }
        if ack < prior {
            self.sack_received(sock, segment);
            return true;
        }
        if ack > prior {
            sk.retransmits = 0;
        }
        let prior_packets = sk.rtx_queue.len();
        let window_changed = sk.snd_wnd != segment.window;
        sk.snd_wnd = segment.window;
        sk.snd_una = ack;
        sk.sk_err_soft = None;
        sk.probes_out = 0;
        sk.rcv_tstamp = now;
        if prior_packets == 0 {
            self.process_tlp_ack(sock, ack);
            self.ack_probe(sock);
            self.wake(sock);
            return true;
        }
        let acked = self.clean_rtx_queue(sock, segment);
        let sacked = self.sack_received(sock, segment);
        self.process_tlp_ack(sock, ack);
        self.fastretrans_alert(sock, acked, sacked);
        let sk = &mut self.socks[sock];
        if acked > 0 {
            // tcp_set_xmit_timer().
            if sk.pending != Pending::ReoTimeout && !self.schedule_loss_probe(sock, true) {
                self.rearm_rto(sock);
            }
        }
        let sk = &mut self.socks[sock];
        if acked > 0 || segment.len > 0 || window_changed {
            sk.dst_pending_confirm = true;
        }
        if sk.ca_state >= CaState::Recovery {
            self.xmit_retransmit_queue(sock);
        }
        self.wake(sock);
        true
    }

    /// tcp_clean_rtx_queue(): how many packets were acknowledged.
    fn clean_rtx_queue(&mut self, sock: SockId, segment: &Segment) -> u64 {
        let (now, una) = (self.now, self.socks[sock].snd_una);
        let sk = &mut self.socks[sock];
        let mut acked = 0;
        let (mut first, mut again) = (None, false);
        while let Some(skb) = sk.rtx_queue.front_mut() {
            if skb.end > una {
                if skb.seq < una {
                    // tcp_tso_acked(): whole segments of a buffer.
                    acked += (una - skb.seq) / sk.mss;
                    again |= skb.ever_retrans;
                    first.get_or_insert(skb.sent);
                    skb.seq = una;
                    skb.syn = false;
                }
                break;
            }
            acked += skb.pcount(sk.mss);
            again |= skb.ever_retrans;
            if !skb.ever_retrans {
                first.get_or_insert(skb.sent);
            }
            sk.rtx_queue.pop_front();
        }
        if acked == 0 {
            return 0;
        }
        while sk.out_marks.front().is_some_and(|(at, _)| *at < una) {
            sk.out_marks.pop_front();
        }
        if sk.rtx_queue.is_empty() {
            sk.retrans_stamp = None;
        }
        // tcp_ack_update_rtt(): by the segment itself, or by its time stamp.
        let by_stamp = segment
            .echoed
            .filter(|_| sk.timestamps)
            .map(|sent| now.saturating_sub(sent) / MS * MS);
        let rtt = match first.filter(|_| !again) {
            Some(sent) => Some(now - sent),
            None => by_stamp.map(|rtt| rtt.max(MS / 1000)),
        };
        if let Some(rtt) = rtt {
            self.rtt_measured(sock, rtt);
        }
        // tcp_slow_start(), tcp_cong_avoid_ai().
        let sk = &mut self.socks[sock];
        if sk.ca_state != CaState::Recovery {
            if sk.cwnd < sk.ssthresh {
                sk.cwnd += acked;
            } else {
                sk.cwnd += u64::from(acked >= sk.cwnd);
            }
        }
        acked
    }

    /// tcp_sacktag_write_queue(): whether something new was acknowledged selectively.
    fn sack_received(&mut self, sock: SockId, segment: &Segment) -> bool {
        let sk = &mut self.socks[sock];
        let mut new = false;
        for (start, end) in &segment.sack {
            for skb in &mut sk.rtx_queue {
                if !skb.sacked && skb.seq >= *start && skb.end <= *end {
                    skb.sacked = true;
                    skb.lost = false;
                    skb.retrans = false;
                    new = true;
                }
            }
        }
        new
    }

    /// tcp_process_tlp_ack().
    fn process_tlp_ack(&mut self, sock: SockId, ack: u64) {
        let sk = &mut self.socks[sock];
        if sk.tlp_high_seq > 0 && ack >= sk.tlp_high_seq {
            sk.tlp_high_seq = 0;
        }
    }

    /// tcp_fastretrans_alert(): leaves Loss and Recovery, and detects loss by time
    /// (tcp_rack_mark_lost()): what was sent before something that was acknowledged
    /// selectively.
    fn fastretrans_alert(&mut self, sock: SockId, acked: u64, sacked: bool) {
        let sk = &mut self.socks[sock];
        if sk.ca_state >= CaState::Recovery && sk.snd_una >= sk.high_seq {
            sk.ca_state = CaState::Open;
            sk.retrans_stamp = None;
        }
        if sk.ca_state == CaState::Loss && acked > 0 {
            return;
        }
        if sacked || sk.rtx_queue.iter().any(|skb| skb.sacked) {
            let lost = self.rack_lost(sock);
            if lost > 0 && self.socks[sock].pending != Pending::ReoTimeout {
                // tcp_rack_mark_lost(): what is left of the reordering window.
                let ticks = self
                    .clock
                    .ticks(2 * MS + self.socks[sock].srtt_us / 32 * 1000);
                self.reset_xmit_timer(sock, Pending::ReoTimeout, ticks);
            }
        }
    }

    /// How many buffers were sent before one that was acknowledged selectively.
    fn rack_lost(&self, sock: SockId) -> usize {
        let sk = &self.socks[sock];
        let newest = sk.rtx_queue.iter().filter(|skb| skb.sacked).map(|s| s.sent);
        let Some(newest) = newest.max() else { return 0 };
        let before = |skb: &&super::sock::Skb| !skb.sacked && !skb.lost && skb.sent <= newest;
        sk.rtx_queue.iter().filter(before).count()
    }

    /// tcp_rack_reo_timeout(): what should have arrived by now is lost.
    pub(crate) fn rack_reo_timeout(&mut self, sock: SockId) {
        let sk = &mut self.socks[sock];
        sk.pending = Pending::Nothing;
        let newest = sk.rtx_queue.iter().filter(|skb| skb.sacked).map(|s| s.sent);
        if let Some(newest) = newest.max() {
            for skb in &mut sk.rtx_queue {
                if !skb.sacked && skb.sent <= newest {
                    skb.lost = true;
                }
            }
            if sk.ca_state == CaState::Open {
                sk.ca_state = CaState::Recovery;
                sk.high_seq = sk.snd_nxt;
                sk.ssthresh = (sk.cwnd / 2).max(2);
                sk.cwnd = sk.ssthresh;
            }
            self.xmit_retransmit_queue(sock);
        }
        if self.socks[sock].pending != Pending::Retrans {
            self.rearm_rto(sock);
        }
    }

    /// tcp_ack_probe(): the peer answered a window probe.
    fn ack_probe(&mut self, sock: SockId) {
        let sk = &mut self.socks[sock];
        let Some(head) = sk.send_queue.front() else {
            return;
        };
        if head.end.min(head.seq + sk.mss) <= sk.wnd_end() {
            sk.backoff = 0;
            sk.probes_tstamp = None;
            if sk.pending == Pending::Probe0 {
                self.clear_xmit_timer(sock);
            }
        } else {
            let when = self.probe0_when(sock);
            let when = self.clamp_probe0_to_user_timeout(sock, when);
            self.reset_xmit_timer(sock, Pending::Probe0, when);
        }
    }
}
