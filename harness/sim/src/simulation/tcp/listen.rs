//! Handshakes at a listener: tcp_conn_request(), tcp_check_req(), reqsk_timer_handler() and
//! the accept queue, net/ipv4/tcp_input.c, tcp_minisocks.c, inet_connection_sock.c.

use super::super::clock::SEC;
use super::super::net::frame::{End, Segment};
use super::super::queue::TimerId;
use super::super::{NodeId, Sim, SockId};
use super::sock::{Request, Skb, TcpSock, TcpState};

impl Sim<'_> {
    /// A socket that listens.
    pub(crate) fn listen(&mut self, node: NodeId, port: u16, backlog: u32) -> Option<SockId> {
        if self.listeners.contains_key(&(node, port)) {
            return None;
        }
        let local = (self.node_address(node), port);
        let mut sk = TcpSock::new(node, local, local, self.mss(), self.jiffies());
        sk.state = TcpState::Listen;
        sk.backlog = backlog.min(self.nodes[node].sysctls.somaxconn);
        self.socks.push(sk);
        let sock = self.socks.len() - 1;
        self.listeners.insert((node, port), sock);
        Some(sock)
    }

    /// sk_acceptq_is_full().
    fn acceptq_is_full(&self, listener: SockId) -> bool {
        let sk = &self.socks[listener];
        sk.accept_queue.len() as u32 > sk.backlog
    }

    /// tcp_conn_request(): a SYN arrives.
    pub(crate) fn conn_request(&mut self, listener: SockId, from: End, to: End, syn: Segment) {
        let node = self.socks[listener].node;
        let sysctls = &self.nodes[node].sysctls;
        let (cookies, most) = (sysctls.syncookies, sysctls.max_syn_backlog);
        let timestamps = sysctls.timestamps;
        let sk = &self.socks[listener];
        let full = sk.requests >= sk.backlog.max(1);
        if full {
            if !cookies {
                return;
            }
            self.unknown("SYN cookies");
        }
        if self.acceptq_is_full(listener) {
            return;
        }
        let queued = self.socks[listener].requests;
        if !cookies && most.saturating_sub(queued) < most >> 2 {
            return;
        }
        let now = self.now;
        let mut sk = TcpSock::new(node, to, from, self.mss(), self.jiffies());
        sk.opened_at = now;
        sk.state = TcpState::SynRecv;
        sk.rcv_nxt = syn.seq + 1;
        sk.rcv_wup = sk.rcv_nxt;
        sk.copied_seq = sk.rcv_nxt;
        sk.timestamps = timestamps && syn.sent.is_some();
        sk.ts_recent = syn.sent;
        sk.sack = self.nodes[node].sysctls.sack;
        sk.snd_wnd = syn.window;
        sk.rto = self.clock.ticks(SEC);
        sk.snd_nxt = 1;
        sk.write_seq = 1;
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
        sk.request = Some(Request {
            listener,
            num_timeout: 0,
            acked: false,
        });
        self.socks.push(sk);
        let sock = self.socks.len() - 1;
        self.connections.insert((node, to, from), sock);
        self.socks[listener].requests += 1;
        self.request_timer_arm(sock);
        self.send_synack(sock);
    }

    fn request_timer_arm(&mut self, sock: SockId) {
        let rto = self.clock.ticks(SEC);
        let most = self.rto_max(sock);
        let sk = &mut self.socks[sock];
        let timeouts = sk.request.map_or(0, |request| request.num_timeout);
        sk.other_timer += 1;
        let generation = sk.other_timer;
        let ticks = (rto << timeouts.min(20)).min(most);
        self.arm(TimerId::Request(sock), generation, ticks);
    }

    /// tcp_v4_send_synack().
    fn send_synack(&mut self, sock: SockId) {
        let again = self.socks[sock]
            .request
            .is_some_and(|request| request.num_timeout > 0);
        let segment = Segment {
            syn: true,
            again,
            ..Segment::default()
        };
        self.tcp_transmit(sock, segment);
    }

    /// reqsk_timer_handler().
    pub(crate) fn request_timer(&mut self, sock: SockId, generation: u32) {
        let retries = self.sysctls(sock).synack_retries;
        let sk = &mut self.socks[sock];
        let Some(request) = sk.request.as_mut() else {
            return;
        };
        if sk.other_timer != generation || sk.state != TcpState::SynRecv {
            return;
        }
        if request.num_timeout >= retries {
            let listener = request.listener;
            self.drop_request(listener);
            self.tcp_done(sock);
            return;
        }
        request.num_timeout += 1;
        if let Some(skb) = sk.rtx_queue.front_mut() {
            skb.ever_retrans = true;
        }
        self.send_synack(sock);
        self.request_timer_arm(sock);
    }

    fn drop_request(&mut self, listener: SockId) {
        let requests = &mut self.socks[listener].requests;
        *requests = requests.saturating_sub(1);
    }

    /// tcp_check_req(): a segment for a handshake that is not over.
    pub(crate) fn check_req(&mut self, sock: SockId, segment: Segment) {
        let Some(request) = self.socks[sock].request else {
            return;
        };
        let listener = request.listener;
        if segment.rst {
            self.drop_request(listener);
            self.tcp_done(sock);
            return;
        }
        if segment.syn {
            self.send_synack(sock);
            return;
        }
        if segment.ack != Some(1) {
            return;
        }
        if self.socks[listener].state != TcpState::Listen {
            self.drop_request(listener);
            self.tcp_done(sock);
            return;
        }
        if self.acceptq_is_full(listener) {
            let node = self.socks[sock].node;
            if self.nodes[node].sysctls.abort_on_overflow {
                self.send_active_reset(sock);
                self.drop_request(listener);
                self.tcp_done(sock);
            } else if let Some(request) = self.socks[sock].request.as_mut() {
                request.acked = true;
            }
            return;
        }
        // inet_csk_complete_hashdance(), then the child's tcp_rcv_state_process().
        let now = self.jiffies();
        self.drop_request(listener);
        let sk = &mut self.socks[sock];
        sk.request = None;
        sk.other_timer += 1;
        sk.state = TcpState::Established;
        sk.lrcvtime = now;
        sk.rcv_tstamp = now;
        self.socks[listener].accept_queue.push_back(sock);
        self.wake(listener);
        self.child_process(sock, segment);
    }

    /// inet_csk_listen_stop(): connections that nobody accepted are reset.
    pub(crate) fn listen_stop(&mut self, listener: SockId) {
        let sk = &mut self.socks[listener];
        sk.state = TcpState::Close;
        let key = (sk.node, sk.local.1);
        let waiting = std::mem::take(&mut sk.accept_queue);
        self.listeners.remove(&key);
        for sock in waiting {
            let alive = self.socks[sock].state != TcpState::Close;
            if alive {
                self.send_active_reset(sock);
                self.tcp_done(sock);
            }
        }
        let requests: Vec<SockId> = (0..self.socks.len())
            .filter(|s| {
                let request = self.socks[*s].request;
                self.socks[*s].state == TcpState::SynRecv
                    && request.is_some_and(|request| request.listener == listener)
            })
            .collect();
        for sock in requests {
            self.tcp_done(sock);
        }
    }
}
