//! Sending again: the loss probe, retransmission, and what waited in the own host,
//! net/ipv4/tcp_output.c.

use super::super::net::Xmit;
use super::super::queue::Event;
use super::super::{Sim, SockId};
use super::sock::{Pending, TcpState};
use crate::errno;
use crate::facts::Fact;

impl Sim<'_> {
    /// tcp_send_loss_probe().
    pub(crate) fn send_loss_probe(&mut self, sock: SockId) {
        let sk = &self.socks[sock];
        if sk.tlp_high_seq == 0 {
            let before = sk.rtx_queue.len();
            let fits = sk
                .send_queue
                .front()
                .is_some_and(|skb| skb.end.min(skb.seq + sk.mss) <= sk.wnd_end());
            let mut probed = false;
            if fits {
                self.write_xmit(sock, false, true);
                probed = self.socks[sock].rtx_queue.len() > before;
            } else if before > 0 && self.socks[sock].rtx_queue[before - 1].queued == 0 {
                // Of several segments the last one.
                let sk = &self.socks[sock];
                let (tail, mss) = (&sk.rtx_queue[before - 1], sk.mss);
                let whole = (tail.pcount(mss) - 1) * mss;
                self.split_rtx(sock, before - 1, whole);
                let last = self.socks[sock].rtx_queue.len() - 1;
                probed = self.retransmit_skb_quietly(sock, last) == Some(Xmit::Sent);
            } else if before > 0 {
                self.throttle(sock);
            }
            if probed {
                let sk = &mut self.socks[sock];
                sk.tlp_high_seq = sk.snd_nxt;
                sk.pending = Pending::Nothing;
            }
        }
        self.rearm_rto(sock);
    }

    /// skb_still_in_host_queue(): it is sent again when it no longer waits.
    fn throttle(&mut self, sock: SockId) {
        if Fact::ResentWhenFreed.holds(self.kernel.version) {
            self.socks[sock].tsq_throttled = true;
        }
    }

    /// __tcp_retransmit_skb(). None: it could not even be tried.
    fn retransmit_skb_quietly(&mut self, sock: SockId, index: usize) -> Option<Xmit> {
        let sk = &self.socks[sock];
        let skb = sk.rtx_queue.get(index)?;
        if skb.queued > 0 {
            self.throttle(sock);
            return None;
        }
        // inet_sk_rebuild_header().
        if let Err(change) = self.route(sk.node, sk.remote.0) {
            self.socks[sock].sk_err_soft = Some(errno::of_route(change));
            return None;
        }
        let sk = &self.socks[sock];
        let skb = &sk.rtx_queue[index];
        if skb.seq >= sk.wnd_end() && skb.seq != sk.snd_una {
            return None;
        }
        let mss = sk.mss;
        self.split_rtx(sock, index, mss);
        self.socks[sock].rtx_queue[index].ever_retrans = true;
        Some(self.transmit_skb(sock, index, true))
    }

    fn split_rtx(&mut self, sock: SockId, index: usize, len: u64) {
        let sk = &mut self.socks[sock];
        let skb = &mut sk.rtx_queue[index];
        if skb.len() <= len || len == 0 {
            return;
        }
        let mut rest = skb.clone();
        rest.seq = skb.seq + len;
        rest.syn = false;
        skb.end = rest.seq;
        skb.fin = false;
        sk.rtx_queue.insert(index + 1, rest);
    }

    /// tcp_retransmit_skb().
    pub(crate) fn retransmit_skb(&mut self, sock: SockId, index: usize) -> Option<Xmit> {
        let result = self.retransmit_skb_quietly(sock, index);
        let sk = &mut self.socks[sock];
        if let Some(skb) = sk.rtx_queue.get_mut(index) {
            if result == Some(Xmit::Sent) {
                skb.retrans = true;
            }
            // The first (attempted) retransmission.
            let sent = skb.sent;
            sk.retrans_stamp.get_or_insert(sent);
        }
        result
    }

    /// tcp_xmit_retransmit_queue(): what is lost is sent again, as far as the congestion
    /// window allows.
    pub(crate) fn xmit_retransmit_queue(&mut self, sock: SockId) {
        let mut index = 0;
        let mut rearm = false;
        while index < self.socks[sock].rtx_queue.len() {
            let sk = &self.socks[sock];
            if sk.cwnd <= sk.packets_in_flight() {
                break;
            }
            let skb = &sk.rtx_queue[index];
            if skb.lost && !skb.retrans && !skb.sacked {
                match self.retransmit_skb(sock, index) {
                    Some(Xmit::Sent) => rearm |= index == 0,
                    _ => break,
                }
            }
            index += 1;
        }
        if rearm && self.socks[sock].pending != Pending::ReoTimeout {
            let rto = self.socks[sock].rto;
            self.reset_xmit_timer(sock, Pending::Retrans, rto);
        }
    }

    /// tcp_wfree(): a packet has left its own host.
    pub(crate) fn tcp_wfree(&mut self, sock: SockId) {
        if std::mem::take(&mut self.socks[sock].tsq_throttled) {
            self.queue.push(self.now, Event::Tasklet(sock));
        }
    }

    /// tcp_tsq_write(), called by tcp_tasklet_func().
    pub(crate) fn tsq_handler(&mut self, sock: SockId) {
        let open = [
            TcpState::Established,
            TcpState::FinWait1,
            TcpState::Closing,
            TcpState::CloseWait,
            TcpState::LastAck,
        ];
        if self.socks[sock].is_in(&open) {
            self.xmit_retransmit_queue(sock);
            self.write_xmit(sock, true, false);
        }
    }
}
