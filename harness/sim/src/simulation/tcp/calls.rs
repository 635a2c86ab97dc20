//! What system calls do with a socket: tcp_v4_connect(), tcp_sendmsg_locked(),
//! tcp_recvmsg_locked(), tcp_poll(), and the options of detectors.

use super::super::clock::{MS, Ns, SEC, ns};
use super::super::net::frame::{Addr, End};
use super::super::{NodeId, Sim, SockId, Uncertain};
use super::sock::{Pending, Skb, TcpSock, TcpState};
use crate::errno;
use halfopen_scenario::case::{Detector, KeepaliveBy, RouteChange};

/// How long a call holds its socket after it sent something: an ICMP error over a veth
/// pair comes back in the middle of it.
const OWNED: Ns = MS / 2;

/// What a read shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Recv {
    /// Nothing yet.
    Block,
    /// So many bytes, and the heartbeats and answers among them.
    Bytes(u64, Vec<u8>),
    Eof,
    Error(&'static str),
}

/// What a write shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Send {
    Block,
    Taken(u64),
    /// The errno; EPIPE brings SIGPIPE.
    Error(&'static str),
}

/// poll()'s events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PollMask {
    pub input: bool,
    pub rdhup: bool,
    pub hup: bool,
    pub err: bool,
}

impl PollMask {
    pub fn is_ready(self) -> bool {
        self.input || self.rdhup || self.hup || self.err
    }
    /// Whether it shows that the connection is over.
    pub fn shows_end(self) -> bool {
        self.rdhup || self.hup || self.err
    }
}

impl Sim<'_> {
    /// socket() and the options that a detector sets before connect(), or after accept().
    pub(crate) fn set_options(&mut self, sock: SockId, detector: &Detector) {
        if let Some(keepalive) = &detector.keepalive {
            self.set_keepalive(sock);
            if keepalive.by == KeepaliveBy::Socket {
                let whole = |time: std::time::Duration| ns(time).div_ceil(SEC) * SEC;
                if let Some(idle) = keepalive.idle {
                    self.set_keepidle(sock, whole(idle));
                }
                self.socks[sock].keepalive.intvl = keepalive.interval.map(whole);
                self.socks[sock].keepalive.probes = keepalive.count;
            }
        }
        if let Some(limit) = detector.user_timeout {
            self.socks[sock].user_timeout = ns(limit).div_ceil(MS) * MS;
        }
    }

    /// A new socket for a connection from this node.
    pub(crate) fn socket(&mut self, node: NodeId) -> SockId {
        let nowhere = (Addr::Nobody(None), 0);
        let sk = TcpSock::new(node, nowhere, nowhere, self.mss(), self.jiffies());
        self.socks.push(sk);
        if self.socks.len() > super::super::MOST_SOCKETS {
            self.unknown("how long so many calls take");
        }
        self.socks.len() - 1
    }

    /// tcp_v4_connect(), tcp_connect(): the errno if it fails at once.
    pub(crate) fn connect(&mut self, sock: SockId, to: End) -> Option<&'static str> {
        let node = self.socks[sock].node;
        let interface = if self.is_local(node, to.0) {
            0
        } else {
            match self.route(node, to.0) {
                Ok((interface, _)) => interface,
                Err(RouteChange::Blackhole) => return Some("EINVAL"),
                Err(change) => return Some(errno::of_route(change)),
            }
        };
        let source = self.interface_address(node, interface);
        let source = source.unwrap_or(Addr::LinkLocal(node, interface));
        self.nodes[node].port += 1;
        let local = (source, self.nodes[node].port);
        let sysctls = &self.nodes[node].sysctls;
        let (timestamps, sack) = (sysctls.timestamps, sysctls.sack);
        let (now, rto) = (self.now, self.clock.ticks(SEC));
        let sk = &mut self.socks[sock];
        sk.opened_at = now;
        sk.local = local;
        sk.remote = to;
        sk.state = TcpState::SynSent;
        sk.timestamps = timestamps;
        sk.sack = sack;
        sk.rto = rto;
        sk.retrans_stamp = Some(now);
        sk.owned_until = now + OWNED;
        sk.snd_nxt = 1;
        sk.write_seq = 1;
        // The SYN-ACK's window is not known yet.
        sk.snd_wnd = 1;
        sk.rtx_queue.push_back(Skb {
            seq: 0,
            end: 1,
            syn: true,
            fin: false,
            sent: now,
            ever_retrans: false,
            lost: false,
            retrans: false,
            sacked: false,
            queued: 0,
        });
        self.connections.insert((node, local, to), sock);
        self.transmit_skb(sock, 0, true);
        let rto = self.socks[sock].rto;
        self.reset_xmit_timer(sock, Pending::Retrans, rto);
        None
    }

    /// Whether connect() has ended, and how (inet_stream_connect()).
    pub(crate) fn connected(&mut self, sock: SockId) -> Option<Result<(), &'static str>> {
        let sk = &mut self.socks[sock];
        match sk.state {
            TcpState::SynSent => None,
            TcpState::Close => Some(Err(sk.sk_err.take().unwrap_or("ECONNABORTED"))),
            _ => Some(Ok(())),
        }
    }

    /// A call that holds the socket while what it sends is answered.
    pub(crate) fn own(&mut self, sock: SockId) {
        self.socks[sock].owned_until = self.now + OWNED;
    }

    /// The call is over. Measured: a connect() that does not wait shows an ICMP error at
    /// once over IPv4, and with the second SYN over IPv6.
    pub(crate) fn release(&mut self, sock: SockId) {
        if !self.is_ipv6() {
            self.socks[sock].owned_until = 0;
        }
    }

    /// tcp_sendmsg_locked(): at most `len` bytes, all of this kind where they are
    /// heartbeats or answers.
    pub(crate) fn sendmsg(&mut self, sock: SockId, len: u64, kind: Option<u8>) -> Send {
        let sk = &mut self.socks[sock];
        if sk.state == TcpState::SynSent {
            return Send::Block;
        }
        if sk.sk_err.is_some() || sk.send_shutdown {
            return Send::Error(sk.sk_err.take().unwrap_or("EPIPE"));
        }
        let room = self.sndbuf_room(sock);
        if room == 0 {
            return Send::Block;
        }
        let taken = len.min(room);
        let sk = &mut self.socks[sock];
        let most = 45 * sk.mss;
        let mut left = taken;
        if let Some(kind) = kind {
            let seq = sk.write_seq;
            sk.out_marks.extend((0..taken).map(|n| (seq + n, kind)));
        }
        while left > 0 {
            if let Some(tail) = sk.send_queue.back_mut()
                && !tail.fin
                && tail.len() < most
            {
                let part = left.min(most - tail.len());
                tail.end += part;
                sk.write_seq += part;
                left -= part;
                continue;
            }
            let seq = sk.write_seq;
            let part = left.min(most);
            sk.send_queue.push_back(Skb {
                seq,
                end: seq + part,
                syn: false,
                fin: false,
                sent: 0,
                ever_retrans: false,
                lost: false,
                retrans: false,
                sacked: false,
                queued: 0,
            });
            sk.write_seq += part;
            left -= part;
        }
        self.own(sock);
        self.push_pending_frames(sock, true);
        Send::Taken(taken)
    }

    /// How much the send buffer takes (tcp_sndbuf_expand()).
    fn sndbuf_room(&self, sock: SockId) -> u64 {
        const PER_SEGMENT: u64 = 2304;
        let sk = &self.socks[sock];
        let size = (2 * sk.cwnd.max(10) * PER_SEGMENT).clamp(46_080, 4_194_304);
        size.saturating_sub(sk.write_seq - sk.snd_una)
    }

    /// tcp_recvmsg_locked().
    pub(crate) fn recvmsg(&mut self, sock: SockId, most: u64) -> Recv {
        let sk = &mut self.socks[sock];
        if sk.unread > 0 {
            let bytes = sk.unread.min(most);
            sk.unread -= bytes;
            sk.copied_seq += bytes;
            let mut kinds = Vec::new();
            while let Some((seq, kind)) = sk.marks.front().copied() {
                if seq >= sk.copied_seq {
                    break;
                }
                kinds.push(kind);
                sk.marks.pop_front();
            }
            // tcp_rcv_space_adjust(): the buffer follows what is read.
            sk.rcv_space = sk.rcv_space.max((2 * bytes).min(3_145_728));
            self.cleanup_rbuf(sock, bytes);
            return Recv::Bytes(bytes, kinds);
        }
        if sk.done {
            return Recv::Eof;
        }
        if let Some(err) = sk.sk_err.take() {
            return Recv::Error(err);
        }
        if sk.rcv_shutdown {
            return Recv::Eof;
        }
        if sk.state == TcpState::Close {
            return Recv::Error("ENOTCONN");
        }
        Recv::Block
    }

    /// tcp_poll(), with POLLIN and POLLRDHUP asked for.
    pub(crate) fn poll_mask(&self, sock: SockId) -> PollMask {
        let sk = &self.socks[sock];
        if sk.state == TcpState::Listen {
            return PollMask {
                input: !sk.accept_queue.is_empty(),
                ..PollMask::default()
            };
        }
        let both = sk.rcv_shutdown && sk.send_shutdown;
        PollMask {
            input: sk.unread > 0 || sk.rcv_shutdown || sk.sk_err.is_some(),
            rdhup: sk.rcv_shutdown,
            hup: both || sk.state == TcpState::Close,
            err: sk.sk_err.is_some(),
        }
    }

    /// inet_csk_accept().
    pub(crate) fn accept(&mut self, listener: SockId) -> Option<SockId> {
        self.socks[listener].accept_queue.pop_front()
    }

    /// When a sleep of the wheel ends (schedule_timeout()).
    pub(crate) fn schedule_timeout(&self, time: Ns) -> Ns {
        let ticks = self.clock.ticks(time);
        self.clock
            .fires(self.now, ticks, crate::wheel::Arms::Anyone)
            .0
    }

    /// When a poll() with this limit ends (select_estimate_accuracy()).
    pub(crate) fn poll_timeout(&mut self, limit: Ns) -> Ns {
        let slack = (limit / 1000).clamp(50_000, 100 * MS);
        let late = self.choose(Uncertain::PollSlack);
        self.now + limit + late * slack
    }

    /// The largest segment: an MTU of 1500, with time stamps.
    pub(crate) fn mss(&self) -> u64 {
        match self.case.family {
            halfopen_scenario::case::Family::Ipv4 => 1448,
            halfopen_scenario::case::Family::Ipv6 => 1428,
        }
    }
}
