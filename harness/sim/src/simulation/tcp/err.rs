//! ICMP errors received: tcp_v4_err(), tcp_v6_err(), tcp_ld_RTO_revert().

use super::super::net::frame::IcmpError;
use super::super::{NodeId, Sim, SockId};
use super::sock::{Pending, TcpState};
use crate::errno;
use halfopen_scenario::case::Family;

impl Sim<'_> {
    /// tcp_v4_err(), tcp_v6_err().
    pub(crate) fn tcp_err(&mut self, node: NodeId, error: IcmpError) {
        let key = (node, error.src, error.dst);
        let Some(sock) = self.connections.get(&key).copied() else {
            return;
        };
        let Some(errno) = errno::of_icmp(error.kind, self.case.family) else {
            return;
        };
        let owned = self.socks[sock].owned_until > self.now;
        let sk = &mut self.socks[sock];
        if sk.is_in(&[TcpState::TimeWait, TcpState::Listen, TcpState::Close]) {
            return;
        }
        if error.seq < sk.snd_una || error.seq > sk.snd_nxt {
            return; // OutOfWindowIcmps.
        }
        if errno::reverts_backoff(error.kind, self.case.family) && !owned {
            self.ld_rto_revert(sock, error.seq);
        }
        let sk = &mut self.socks[sock];
        match sk.state {
            TcpState::SynSent if !owned => {
                sk.sk_err = Some(errno);
                sk.ended = Some(match self.case.family {
                    Family::Ipv4 => "tcp_v4_err()",
                    Family::Ipv6 => "tcp_v6_err()",
                });
                self.note(sock, "tcp_v4_err(), SYN_SENT");
                self.tcp_done(sock);
            }
            TcpState::SynRecv | TcpState::Close => {}
            _ => {
                sk.sk_err_soft = Some(errno);
                self.wake(sock);
            }
        }
    }

    /// tcp_ld_RTO_revert(): RFC 6069.
    fn ld_rto_revert(&mut self, sock: SockId, seq: u64) {
        let sk = &self.socks[sock];
        if seq != sk.snd_una || sk.retransmits == 0 || sk.backoff == 0 {
            return;
        }
        let Some(head) = sk.rtx_queue.front() else {
            return;
        };
        let sent = head.sent;
        let base = if sk.srtt_us > 0 {
            self.set_rto(sock)
        } else {
            self.clock.ticks(super::super::clock::SEC)
        };
        let most = self.rto_max(sock);
        let sk = &mut self.socks[sock];
        sk.backoff -= 1;
        sk.rto = (base << sk.backoff.min(30)).min(most);
        let elapsed = self.clock.ticks(self.now - sent);
        let rto = self.socks[sock].rto;
        if rto > elapsed {
            self.reset_xmit_timer(sock, Pending::Retrans, rto - elapsed);
        } else {
            self.retransmit_timer(sock);
        }
    }
}
