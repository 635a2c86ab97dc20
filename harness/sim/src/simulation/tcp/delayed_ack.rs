//! Acknowledgments that wait: tcp_event_data_recv(), __tcp_ack_snd_check(),
//! tcp_cleanup_rbuf() and tcp_send_delayed_ack() in net/ipv4.

use super::super::clock::MS;
use super::super::queue::TimerId;
use super::super::{Sim, SockId};
use super::sock::TcpState;
use crate::wheel::Arms;

/// TCP_MAX_QUICKACKS.
const MAX_QUICKACKS: u32 = 16;

impl Sim<'_> {
    /// TCP_ATO_MIN, TCP_DELACK_MIN, in ticks.
    fn ato_min(&self) -> u64 {
        self.clock.ticks(40 * MS)
    }

    /// tcp_event_data_recv().
    pub(crate) fn event_data_recv(&mut self, sock: SockId, len: u64) {
        let (now, least) = (self.jiffies(), self.ato_min());
        let sk = &mut self.socks[sock];
        sk.ack_scheduled = true;
        if len >= sk.rcv_mss {
            sk.rcv_mss = len.min(sk.mss);
        } else {
            // tcp_measure_rcv_mss(): a small segment.
            sk.ack_pushed = (sk.ack_pushed + 1).min(2);
        }
        let since = now - sk.lrcvtime;
        if sk.ato == 0 {
            sk.quick = MAX_QUICKACKS;
            sk.ato = least;
        } else if since <= least / 2 {
            sk.ato = sk.ato / 2 + least / 2;
        } else if since < sk.ato {
            sk.ato = (sk.ato / 2 + since).min(sk.rto);
        } else if since > sk.rto {
            sk.quick = MAX_QUICKACKS;
        }
        sk.lrcvtime = now;
    }

    /// tcp_enter_quickack_mode().
    pub(crate) fn enter_quickack_mode(&mut self, sock: SockId) {
        let least = self.ato_min();
        let sk = &mut self.socks[sock];
        sk.quick = MAX_QUICKACKS;
        sk.pingpong = false;
        sk.ato = least;
        sk.ack_scheduled = true;
    }

    /// tcp_ack_snd_check().
    pub(crate) fn ack_snd_check(&mut self, sock: SockId) {
        let sk = &self.socks[sock];
        if !sk.ack_scheduled || sk.state == TcpState::Close {
            return;
        }
        let much = sk.rcv_nxt - sk.rcv_wup > sk.rcv_mss;
        let quick = sk.quick > 0 && !sk.pingpong;
        if much || quick || !sk.out_of_order.is_empty() {
            self.tcp_send_ack(sock);
        } else {
            self.send_delayed_ack(sock);
        }
    }

    /// tcp_send_delayed_ack().
    fn send_delayed_ack(&mut self, sock: SockId) {
        let most = self.clock.ticks(200 * MS);
        let least = self.ato_min();
        let srtt = self.clock.ticks((self.socks[sock].srtt_us >> 3) * 1000);
        let sk = &mut self.socks[sock];
        let mut ato = sk.ato;
        if ato > least {
            let mut limit = if sk.pingpong || sk.ack_pushed > 0 {
                most
            } else {
                self.clock.ticks(500 * MS)
            };
            if sk.srtt_us > 0 {
                limit = limit.min(srtt.max(least));
            }
            ato = ato.min(limit);
        }
        if sk.ack_timer {
            return; // The earlier one stays.
        }
        sk.ack_timer = true;
        sk.delack_timer += 1;
        let generation = sk.delack_timer;
        self.arm(TimerId::DelayedAck(sock), generation, ato);
    }

    /// tcp_event_ack_sent().
    pub(crate) fn event_ack_sent(&mut self, sock: SockId) {
        let least = self.ato_min();
        let sk = &mut self.socks[sock];
        if sk.quick == 1 {
            sk.ato = least;
        }
        sk.quick = sk.quick.saturating_sub(1);
        sk.ack_scheduled = false;
        sk.ack_timer = false;
        sk.ack_pushed = 0;
        sk.delack_timer += 1;
    }

    /// tcp_event_data_sent().
    pub(crate) fn event_data_sent(&mut self, sock: SockId) {
        let now = self.jiffies();
        let sk = &mut self.socks[sock];
        sk.lsndtime = now;
        if now - sk.lrcvtime < sk.ato {
            sk.pingpong = true;
        }
    }

    /// tcp_delack_timer_handler().
    pub(crate) fn delack_timer(&mut self, sock: SockId) {
        let least = self.ato_min();
        let sk = &mut self.socks[sock];
        if sk.is_in(&[TcpState::Close, TcpState::Listen]) || !sk.ack_timer {
            return;
        }
        sk.ack_timer = false;
        if sk.ack_scheduled {
            if sk.pingpong {
                sk.pingpong = false;
                sk.ato = least;
            } else {
                sk.ato = (sk.ato * 2).min(sk.rto);
            }
            self.tcp_send_ack(sock);
        }
    }

    /// tcp_cleanup_rbuf(): after a read of so many bytes.
    pub(crate) fn cleanup_rbuf(&mut self, sock: SockId, copied: u64) {
        let sk = &self.socks[sock];
        let pushed = sk.ack_pushed == 2 || sk.ack_pushed == 1 && !sk.pingpong;
        let now = sk.ack_scheduled
            && (sk.rcv_nxt - sk.rcv_wup > sk.rcv_mss || copied > 0 && pushed && sk.unread == 0);
        // A window that was closed, or is twice as large now.
        let left = (sk.rcv_wup + sk.rcv_wnd).saturating_sub(sk.rcv_nxt);
        let new = self.window(sock);
        let opens = copied > 0 && !sk.rcv_shutdown && 2 * left <= sk.rcv_space && {
            new > 0 && new >= 2 * left
        };
        if (now || opens) && !sk.is_in(&[TcpState::Close, TcpState::Listen, TcpState::SynSent]) {
            self.tcp_send_ack(sock);
        }
    }

    /// Arms of the wheel while a packet or a call is handled, or a timer.
    pub(crate) fn arm(&mut self, id: TimerId, generation: u32, ticks: u64) {
        let arms = if self.in_timer {
            Arms::Timer
        } else {
            Arms::Anyone
        };
        let (at, granule) = self.clock.fires(self.now, ticks, arms);
        let armed = self.jiffies();
        self.queue
            .push_timer(at, (granule, armed), (id, generation));
    }
}
