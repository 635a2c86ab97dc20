//! Segments received: net/ipv4/tcp_ipv4.c (tcp_v4_rcv()) and tcp_input.c.

use super::super::clock::ns;
use super::super::net::frame::{Body, End, Packet, Segment};
use super::super::net::wire::reset_for;
use super::super::{NodeId, Sim, SockId};
use super::sock::TcpState;
use super::timer::TIMEWAIT_LEN;

impl Sim<'_> {
    /// tcp_v4_rcv(): finds the socket.
    pub(crate) fn tcp_rcv(&mut self, node: NodeId, from: End, to: End, segment: Segment) {
        let key = (node, to, from);
        if let Some(sock) = self.connections.get(&key).copied() {
            match self.socks[sock].state {
                TcpState::TimeWait => self.timewait_state_process(sock, segment),
                TcpState::SynRecv => self.check_req(sock, segment),
                TcpState::Close => self.send_reset(node, from, to, &segment),
                _ => self.rcv_state_process(sock, segment),
            }
            return;
        }
        let listener = self.listeners.get(&(node, to.1)).copied();
        match listener {
            Some(listener) if segment.syn && segment.ack.is_none() && !segment.rst => {
                self.conn_request(listener, from, to, segment);
            }
            _ => self.send_reset(node, from, to, &segment),
        }
    }

    /// tcp_v4_send_reset().
    fn send_reset(&mut self, node: NodeId, from: End, to: End, segment: &Segment) {
        if segment.rst {
            return;
        }
        let packet = Packet {
            src: to,
            dst: from,
            body: Body::Tcp(reset_for(segment)),
            confirms: false,
            owner: None,
        };
        let _ = self.ip_output(node, packet);
    }

    fn reset_to_peer(&mut self, sock: SockId, segment: &Segment) {
        let sk = &self.socks[sock];
        let (node, from, to) = (sk.node, sk.remote, sk.local);
        self.send_reset(node, from, to, segment);
    }

    /// tcp_reset().
    fn tcp_reset(&mut self, sock: SockId) {
        let sk = &mut self.socks[sock];
        let err = match sk.state {
            TcpState::SynSent => "ECONNREFUSED",
            TcpState::CloseWait => "EPIPE",
            TcpState::Close => return,
            _ => "ECONNRESET",
        };
        sk.sk_err = Some(err);
        sk.ended = Some("tcp_reset()");
        self.note(sock, "tcp_reset()");
        self.tcp_done(sock);
    }

    /// tcp_oow_rate_limited(): whether an acknowledgment of this kind was sent lately.
    fn oow_rate_limited(&mut self, sock: SockId, segment: &Segment) -> bool {
        let now = self.jiffies();
        let limit = self.clock.ticks(ns(self.sysctls(sock).invalid_ratelimit));
        if segment.end() != segment.seq && !segment.syn {
            return false;
        }
        let sk = &mut self.socks[sock];
        if sk.last_oow_ack.is_some_and(|last| now - last < limit) {
            return true;
        }
        sk.last_oow_ack = Some(now);
        false
    }

    /// tcp_validate_incoming(). Whether the segment goes on.
    fn validate_incoming(&mut self, sock: SockId, segment: &Segment) -> bool {
        let sk = &self.socks[sock];
        // tcp_sequence().
        let after = sk.rcv_nxt + sk.rcv_wnd.saturating_sub(sk.rcv_nxt - sk.rcv_wup);
        let in_window = segment.end() >= sk.rcv_wup && segment.seq <= after;
        if !in_window {
            if !segment.rst && !self.oow_rate_limited(sock, segment) {
                // tcp_send_dupack().
                let sk = &self.socks[sock];
                if segment.end() != segment.seq && segment.seq < sk.rcv_nxt {
                    self.enter_quickack_mode(sock);
                }
                self.tcp_send_ack(sock);
            }
            return false;
        }
        if segment.rst {
            if segment.seq == sk.rcv_nxt {
                self.tcp_reset(sock);
            } else {
                self.tcp_send_ack(sock);
            }
            return false;
        }
        if segment.syn {
            // tcp_send_challenge_ack().
            self.tcp_send_ack(sock);
            return false;
        }
        let ts = segment.sent;
        let sk = &mut self.socks[sock];
        if segment.seq <= sk.rcv_wup && ts.is_some() {
            sk.ts_recent = ts;
        }
        true
    }

    /// tcp_rcv_state_process() and tcp_rcv_established().
    fn rcv_state_process(&mut self, sock: SockId, segment: Segment) {
        if self.socks[sock].state == TcpState::SynSent {
            self.rcv_synsent_state_process(sock, &segment);
            return;
        }
        if !self.validate_incoming(sock, &segment) || segment.ack.is_none() {
            return;
        }
        if !self.tcp_ack(sock, &segment) {
            return;
        }
        let sk = &self.socks[sock];
        let new_data = segment.len > 0 && segment.seq + segment.len > sk.rcv_nxt;
        let all_acked = sk.snd_una == sk.write_seq;
        match sk.state {
            TcpState::FinWait1 if all_acked => {
                let orphan = sk.dead;
                let sk = &mut self.socks[sock];
                sk.state = TcpState::FinWait2;
                sk.send_shutdown = true;
                sk.dst_pending_confirm = true;
                self.wake(sock);
                if orphan {
                    if new_data {
                        self.tcp_done(sock);
                        self.reset_to_peer(sock, &segment);
                        return;
                    }
                    let fin = ns(self.sysctls(sock).fin_timeout);
                    if fin > TIMEWAIT_LEN {
                        let ticks = self.clock.ticks(fin - TIMEWAIT_LEN);
                        self.reset_keepalive_timer(sock, ticks);
                    } else if segment.fin {
                        let ticks = self.clock.ticks(fin);
                        self.reset_keepalive_timer(sock, ticks);
                    } else {
                        self.time_wait_in(sock, TcpState::FinWait2, fin);
                        return;
                    }
                }
            }
            TcpState::Closing if all_acked => {
                self.time_wait(sock, TIMEWAIT_LEN);
                return;
            }
            TcpState::LastAck if all_acked => {
                self.tcp_done(sock);
                return;
            }
            _ => {}
        }
        let sk = &self.socks[sock];
        let shut = [TcpState::FinWait1, TcpState::FinWait2];
        if sk.is_in(&shut) && sk.rcv_shutdown && new_data {
            // RFC 1122: data for nobody draws an RST.
            self.tcp_reset(sock);
            self.reset_to_peer(sock, &segment);
            return;
        }
        if sk.is_in(&[TcpState::CloseWait, TcpState::Closing, TcpState::LastAck])
            && segment.seq + segment.len <= sk.rcv_nxt
            && segment.end() == segment.seq
        {
            self.data_snd_check(sock);
            return;
        }
        self.data_queue(sock, &segment);
        if self.socks[sock].is_in(&[TcpState::TimeWait, TcpState::Close]) {
            return;
        }
        self.data_snd_check(sock);
        self.ack_snd_check(sock);
    }

    /// tcp_data_queue().
    fn data_queue(&mut self, sock: SockId, segment: &Segment) {
        let sk = &mut self.socks[sock];
        if segment.end() == segment.seq {
            return;
        }
        if segment.end() <= sk.rcv_nxt {
            // A retransmission: acknowledged at once.
            self.enter_quickack_mode(sock);
            return;
        }
        for mark in &segment.marks {
            let at = sk.marks.partition_point(|known| known.0 < mark.0);
            if mark.0 >= sk.copied_seq && sk.marks.get(at).is_none_or(|m| m.0 != mark.0) {
                sk.marks.insert(at, *mark);
            }
        }
        if segment.seq > sk.rcv_nxt {
            // tcp_data_queue_ofo().
            let piece = (segment.seq, segment.seq + segment.len, segment.fin);
            if !sk.out_of_order.contains(&piece) {
                sk.out_of_order.push(piece);
                sk.out_of_order.sort_unstable();
            }
            sk.ack_scheduled = true;
            return;
        }
        if segment.len > 0 && sk.rcv_wnd.saturating_sub(sk.rcv_nxt - sk.rcv_wup) == 0 {
            // No room: out of window.
            self.enter_quickack_mode(sock);
            return;
        }
        let data_end = segment.seq + segment.len;
        if data_end > sk.rcv_nxt {
            let len = data_end - sk.rcv_nxt;
            sk.unread += len;
            sk.rcv_nxt = data_end;
            self.event_data_recv(sock, len);
        }
        let mut fin = segment.fin;
        // tcp_ofo_queue().
        let sk = &mut self.socks[sock];
        while let Some(&(start, end, last)) = sk.out_of_order.first() {
            if start > sk.rcv_nxt {
                break;
            }
            sk.out_of_order.remove(0);
            if end > sk.rcv_nxt {
                sk.unread += end - sk.rcv_nxt;
                sk.rcv_nxt = end;
            }
            fin |= last;
        }
        if fin {
            self.tcp_fin(sock);
        }
        self.wake(sock);
    }

    /// tcp_fin().
    fn tcp_fin(&mut self, sock: SockId) {
        let sk = &mut self.socks[sock];
        sk.rcv_nxt += 1;
        sk.ack_scheduled = true;
        sk.rcv_shutdown = true;
        sk.done = true;
        sk.out_of_order.clear();
        match sk.state {
            TcpState::SynRecv | TcpState::Established => {
                sk.state = TcpState::CloseWait;
                sk.pingpong = true;
                sk.ato = sk.ato.max(1);
            }
            TcpState::FinWait1 => {
                self.tcp_send_ack(sock);
                self.socks[sock].state = TcpState::Closing;
            }
            TcpState::FinWait2 => {
                self.tcp_send_ack(sock);
                self.time_wait(sock, TIMEWAIT_LEN);
            }
            _ => {}
        }
    }

    /// tcp_rcv_synsent_state_process().
    fn rcv_synsent_state_process(&mut self, sock: SockId, segment: &Segment) {
        let sk = &self.socks[sock];
        if let Some(ack) = segment.ack
            && (ack <= sk.snd_una || ack > sk.snd_nxt)
        {
            self.reset_to_peer(sock, segment);
            return;
        }
        if segment.rst {
            if segment.ack.is_some() {
                self.tcp_reset(sock);
            }
            return;
        }
        if !segment.syn || segment.ack.is_none() {
            return;
        }
        let now = self.jiffies();
        let sk = &mut self.socks[sock];
        sk.rcv_nxt = segment.seq + 1;
        sk.rcv_wup = sk.rcv_nxt;
        sk.copied_seq = sk.rcv_nxt;
        sk.timestamps &= segment.sent.is_some();
        sk.ts_recent = segment.sent;
        self.tcp_ack(sock, segment);
        // tcp_finish_connect().
        let sk = &mut self.socks[sock];
        sk.state = TcpState::Established;
        sk.lrcvtime = now;
        sk.lsndtime = now;
        sk.retrans_stamp = None;
        self.start_keepalive(sock);
        self.wake(sock);
        self.tcp_send_ack(sock);
    }

    /// The first segment of an accepted connection (tcp_child_process()).
    pub(crate) fn child_process(&mut self, sock: SockId, segment: Segment) {
        self.rcv_state_process(sock, segment);
    }

    /// tcp_timewait_state_process().
    fn timewait_state_process(&mut self, sock: SockId, segment: Segment) {
        let sk = &self.socks[sock];
        let fin_wait2 = sk.done_state() == TcpState::FinWait2;
        let new_data = segment.len > 0 && segment.seq + segment.len > sk.rcv_nxt;
        if segment.rst {
            self.forget_sock(sock);
            return;
        }
        if fin_wait2 {
            if segment.end() == segment.seq || segment.end() <= sk.rcv_nxt {
                return;
            }
            if new_data || segment.seq > sk.rcv_nxt {
                self.forget_sock(sock);
                self.reset_to_peer(sock, &segment);
                return;
            }
            // Its FIN.
            self.socks[sock].rcv_nxt += 1;
            self.time_wait(sock, TIMEWAIT_LEN);
            self.timewait_ack(sock);
            return;
        }
        if segment.end() > segment.seq {
            self.timewait_ack(sock);
        }
    }

    /// tcp_v4_timewait_ack().
    fn timewait_ack(&mut self, sock: SockId) {
        let segment = Segment {
            seq: self.socks[sock].snd_nxt,
            ..Segment::default()
        };
        self.tcp_transmit(sock, segment);
    }
}
