//! The end of a connection: tcp_done(), tcp_time_wait(), tcp_close(), shutdown.

use super::super::clock::{Ns, ns};
use super::super::queue::TimerId;
use super::super::{Sim, SockId};
use super::sock::{Pending, TcpSock, TcpState};
use super::timer::TIMEWAIT_LEN;

impl TcpSock {
    /// The state that a time-wait socket stands for (tw_substate).
    pub fn done_state(&self) -> TcpState {
        if self.high_seq == u64::MAX {
            TcpState::FinWait2
        } else {
            TcpState::TimeWait
        }
    }
}

impl Sim<'_> {
    /// tcp_done(): it is closed, and its timers are stopped.
    pub(crate) fn tcp_done(&mut self, sock: SockId) {
        let sk = &mut self.socks[sock];
        sk.state = TcpState::Close;
        sk.rcv_shutdown = true;
        sk.send_shutdown = true;
        sk.send_queue.clear();
        sk.rtx_queue.clear();
        sk.pending = Pending::Nothing;
        sk.write_timer += 1;
        sk.delack_timer += 1;
        sk.keepalive_timer += 1;
        self.forget_sock(sock);
        self.wake(sock);
    }

    /// No segment finds it any more.
    pub(crate) fn forget_sock(&mut self, sock: SockId) {
        let sk = &mut self.socks[sock];
        sk.state = TcpState::Close;
        sk.other_timer += 1;
        let key = (sk.node, sk.local, sk.remote);
        if self.connections.get(&key) == Some(&sock) {
            self.connections.remove(&key);
        }
    }

    /// tcp_time_wait() in TIME_WAIT.
    pub(crate) fn time_wait(&mut self, sock: SockId, time: Ns) {
        let state = self.socks[sock].state;
        let sub = if state == TcpState::FinWait2 && self.socks[sock].dead && time < TIMEWAIT_LEN {
            TcpState::FinWait2
        } else {
            TcpState::TimeWait
        };
        self.time_wait_in(sock, sub, time);
    }

    /// tcp_time_wait(): a time-wait socket takes its place.
    pub(crate) fn time_wait_in(&mut self, sock: SockId, sub: TcpState, time: Ns) {
        let ticks = self.clock.ticks(time);
        let sk = &mut self.socks[sock];
        sk.state = TcpState::TimeWait;
        sk.high_seq = if sub == TcpState::FinWait2 {
            u64::MAX
        } else {
            0
        };
        sk.rcv_shutdown = true;
        sk.send_shutdown = true;
        sk.write_timer += 1;
        sk.delack_timer += 1;
        sk.keepalive_timer += 1;
        sk.other_timer += 1;
        let generation = sk.other_timer;
        self.arm(TimerId::TimeWait(sock), generation, ticks);
        self.wake(sock);
    }

    /// tcp_close_state(): whether a FIN is to be sent.
    fn close_state(&mut self, sock: SockId) -> bool {
        let sk = &mut self.socks[sock];
        let (new, fin) = match sk.state {
            TcpState::Established | TcpState::SynRecv => (TcpState::FinWait1, true),
            TcpState::CloseWait => (TcpState::LastAck, true),
            TcpState::SynSent => (TcpState::Close, false),
            state => (state, false),
        };
        sk.state = new;
        fin
    }

    /// tcp_shutdown(SHUT_WR). The errno if it fails.
    pub(crate) fn tcp_shutdown(&mut self, sock: SockId) -> Option<&'static str> {
        let sk = &mut self.socks[sock];
        let connected = [
            TcpState::Established,
            TcpState::SynSent,
            TcpState::CloseWait,
        ];
        if sk.is_in(&[TcpState::Close, TcpState::TimeWait]) {
            return Some("ENOTCONN");
        }
        sk.send_shutdown = true;
        if sk.is_in(&connected) && self.close_state(sock) {
            self.send_fin(sock);
        }
        None
    }

    /// tcp_close(), without waiting for a linger time.
    pub(crate) fn tcp_close(&mut self, sock: SockId) {
        let now = self.jiffies();
        let sk = &mut self.socks[sock];
        sk.rcv_shutdown = true;
        sk.send_shutdown = true;
        match sk.state {
            TcpState::Listen => {
                self.listen_stop(sock);
                return;
            }
            TcpState::Close | TcpState::TimeWait => {
                sk.dead = true;
                sk.owner = None;
                return;
            }
            _ => {}
        }
        let unread = std::mem::take(&mut sk.unread) > 0;
        if unread {
            sk.state = TcpState::Close;
            self.send_active_reset(sock);
            self.tcp_done(sock);
        } else if sk.linger == Some(0) {
            // tcp_disconnect(), tcp_need_reset().
            let resets = !sk.is_in(&[TcpState::SynSent, TcpState::Closing, TcpState::LastAck]);
            if resets {
                self.send_active_reset(sock);
            }
            self.tcp_done(sock);
        } else if self.close_state(sock) {
            self.send_fin(sock);
        } else if self.socks[sock].state == TcpState::Close {
            self.tcp_done(sock);
        }
        let sk = &mut self.socks[sock];
        sk.dead = true;
        sk.owner = None;
        let _ = now;
        if sk.state == TcpState::FinWait2 {
            let fin = ns(self.sysctls(sock).fin_timeout);
            if fin > TIMEWAIT_LEN {
                let ticks = self.clock.ticks(fin - TIMEWAIT_LEN);
                self.reset_keepalive_timer(sock, ticks);
            } else {
                self.time_wait_in(sock, TcpState::FinWait2, fin);
            }
        }
    }

    /// Whether close() with a linger time still waits (sk_stream_wait_close()).
    pub(crate) fn is_closing(&self, sock: SockId) -> bool {
        self.socks[sock].is_in(&[TcpState::FinWait1, TcpState::Closing, TcpState::LastAck])
    }
}
