//! A socket: struct sock, inet_connection_sock and tcp_sock, as far as they decide
//! anything here. Sequence numbers count from 0 (the SYN) and do not wrap.

use std::collections::VecDeque;

use super::super::clock::Ns;
use super::super::net::frame::End;
use super::super::{NodeId, ProcessId, SockId};
use crate::wheel::Jiffies;

/// TCP_ESTABLISHED …
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TcpState {
    Established,
    SynSent,
    SynRecv,
    FinWait1,
    FinWait2,
    TimeWait,
    Close,
    CloseWait,
    LastAck,
    Listen,
    Closing,
}

/// icsk_pending: what the retransmission timer is armed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pending {
    Nothing,
    Retrans,
    Probe0,
    LossProbe,
    ReoTimeout,
}

/// TCP_CA_*.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CaState {
    Open,
    Recovery,
    Loss,
}

/// A buffer of the write queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Skb {
    pub seq: u64,
    pub end: u64,
    pub syn: bool,
    pub fin: bool,
    /// skb_mstamp_ns.
    pub sent: Ns,
    /// TCPCB_EVER_RETRANS, TCPCB_LOST, TCPCB_SACKED_RETRANS, TCPCB_SACKED_ACKED.
    pub ever_retrans: bool,
    pub lost: bool,
    pub retrans: bool,
    pub sacked: bool,
    /// Copies that wait in the own host (skb_still_in_host_queue()).
    pub queued: i32,
}

impl Skb {
    /// Bytes of data.
    pub fn len(&self) -> u64 {
        self.end - self.seq - u64::from(self.syn) - u64::from(self.fin)
    }
    /// tcp_skb_pcount().
    pub fn pcount(&self, mss: u64) -> u64 {
        self.len().div_ceil(mss).max(1)
    }
}

/// A request socket: what a listener keeps of a handshake.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request {
    pub listener: SockId,
    pub num_timeout: u32,
    pub acked: bool,
}

/// SO_KEEPALIVE's own values; None: the host's sysctls.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct KeepaliveOptions {
    pub time: Option<Ns>,
    pub intvl: Option<Ns>,
    pub probes: Option<u32>,
}

/// A socket.
#[derive(Debug)]
pub(crate) struct TcpSock {
    pub node: NodeId,
    /// When the connection was begun.
    pub opened_at: Ns,
    pub local: End,
    pub remote: End,
    pub state: TcpState,
    /// The process that has its descriptor; None: an orphan (SOCK_DEAD), or not accepted.
    pub owner: Option<ProcessId>,
    pub dead: bool,
    pub sk_err: Option<&'static str>,
    pub sk_err_soft: Option<&'static str>,
    pub rcv_shutdown: bool,
    pub send_shutdown: bool,
    /// SOCK_DONE: a FIN was received.
    pub done: bool,
    /// sock_owned_by_user(): a call holds it until then.
    pub owned_until: Ns,
    /// ip_queue_xmit() returned an error to connect().
    pub request: Option<Request>,
    // A listener's.
    pub backlog: u32,
    pub accept_queue: VecDeque<SockId>,
    pub requests: u32,
    // Send.
    pub snd_una: u64,
    pub snd_nxt: u64,
    pub snd_wnd: u64,
    pub write_seq: u64,
    /// snd_sml: the end of the last small segment (Nagle).
    pub snd_sml: u64,
    pub send_queue: VecDeque<Skb>,
    pub rtx_queue: VecDeque<Skb>,
    pub mss: u64,
    pub cwnd: u64,
    pub ssthresh: u64,
    pub ca_state: CaState,
    pub high_seq: u64,
    pub tlp_high_seq: u64,
    pub lsndtime: Jiffies,
    pub dst_pending_confirm: bool,
    pub tsq_throttled: bool,
    // Receive.
    pub rcv_nxt: u64,
    pub rcv_wup: u64,
    pub rcv_wnd: u64,
    pub rcv_space: u64,
    /// Bytes that nobody has read, the FIN not among them.
    pub unread: u64,
    /// The bytes themselves are not kept; heartbeats and answers among them are.
    pub marks: VecDeque<(u64, u8)>,
    /// Those it sent, by sequence number.
    pub out_marks: VecDeque<(u64, u8)>,
    pub copied_seq: u64,
    pub out_of_order: Vec<(u64, u64, bool)>,
    pub ts_recent: Option<Ns>,
    pub timestamps: bool,
    pub sack: bool,
    pub last_oow_ack: Option<Jiffies>,
    // icsk_ack.
    pub ack_scheduled: bool,
    pub ack_timer: bool,
    pub ack_pushed: u8,
    pub quick: u32,
    pub pingpong: bool,
    pub ato: u64,
    pub lrcvtime: Jiffies,
    pub rcv_mss: u64,
    // Timers; RTOs in ticks.
    pub retransmits: u8,
    pub backoff: u32,
    pub probes_out: u32,
    pub probes_tstamp: Option<Jiffies>,
    pub rto: u64,
    pub srtt_us: u64,
    pub mdev_us: u64,
    pub mdev_max_us: u64,
    pub rttvar_us: u64,
    pub rtt_seq: u64,
    pub retrans_stamp: Option<Ns>,
    pub rcv_tstamp: Jiffies,
    pub pending: Pending,
    pub write_timer: u32,
    pub delack_timer: u32,
    pub keepalive_timer: u32,
    pub other_timer: u32,
    // Options.
    pub keepopen: bool,
    pub keepalive: KeepaliveOptions,
    pub user_timeout: Ns,
    pub linger: Option<Ns>,
    /// Why this connection ended.
    pub ended: Option<&'static str>,
}

impl TcpSock {
    pub fn new(node: NodeId, local: End, remote: End, mss: u64, jiffies: Jiffies) -> Self {
        TcpSock {
            node,
            opened_at: 0,
            local,
            remote,
            state: TcpState::Close,
            owner: None,
            dead: false,
            sk_err: None,
            sk_err_soft: None,
            rcv_shutdown: false,
            send_shutdown: false,
            done: false,
            owned_until: 0,
            request: None,
            backlog: 0,
            accept_queue: VecDeque::new(),
            requests: 0,
            snd_una: 0,
            snd_nxt: 0,
            snd_wnd: 0,
            write_seq: 0,
            snd_sml: 0,
            send_queue: VecDeque::new(),
            rtx_queue: VecDeque::new(),
            mss,
            cwnd: 10,
            ssthresh: u64::MAX,
            ca_state: CaState::Open,
            high_seq: 0,
            tlp_high_seq: 0,
            lsndtime: jiffies,
            dst_pending_confirm: false,
            tsq_throttled: false,
            rcv_nxt: 0,
            rcv_wup: 0,
            rcv_wnd: 65_535,
            rcv_space: 65_535,
            unread: 0,
            marks: VecDeque::new(),
            out_marks: VecDeque::new(),
            copied_seq: 1,
            out_of_order: Vec::new(),
            ts_recent: None,
            timestamps: true,
            sack: true,
            last_oow_ack: None,
            ack_scheduled: false,
            ack_timer: false,
            ack_pushed: 0,
            quick: 0,
            pingpong: false,
            ato: 0,
            lrcvtime: jiffies,
            rcv_mss: 536,
            retransmits: 0,
            backoff: 0,
            probes_out: 0,
            probes_tstamp: None,
            rto: 0,
            srtt_us: 0,
            mdev_us: 0,
            mdev_max_us: 0,
            rttvar_us: 0,
            rtt_seq: 0,
            retrans_stamp: None,
            rcv_tstamp: jiffies,
            pending: Pending::Nothing,
            write_timer: 0,
            delack_timer: 0,
            keepalive_timer: 0,
            other_timer: 0,
            keepopen: false,
            keepalive: KeepaliveOptions::default(),
            user_timeout: 0,
            linger: None,
            ended: None,
        }
    }

    /// tp->packets_out.
    pub fn packets_out(&self) -> u64 {
        self.rtx_queue.iter().map(|skb| skb.pcount(self.mss)).sum()
    }

    /// tcp_packets_in_flight(): what is neither lost nor acknowledged, and what was sent
    /// again.
    pub fn packets_in_flight(&self) -> u64 {
        let flight = |skb: &Skb| {
            let out = u64::from(!skb.sacked && !skb.lost) + u64::from(skb.retrans);
            out * skb.pcount(self.mss)
        };
        self.rtx_queue.iter().map(flight).sum()
    }

    /// tcp_wnd_end().
    pub fn wnd_end(&self) -> u64 {
        self.snd_una + self.snd_wnd
    }

    pub fn is_in(&self, states: &[TcpState]) -> bool {
        states.contains(&self.state)
    }

    /// Copies of a buffer that wait in the own host.
    pub fn in_host_queue(&mut self, seq: u64, change: i32) {
        if let Some(skb) = self.rtx_queue.iter_mut().find(|skb| skb.seq == seq) {
            skb.queued = (skb.queued + change).max(0);
        } else if let Some(skb) = self.send_queue.iter_mut().find(|skb| skb.seq == seq) {
            skb.queued = (skb.queued + change).max(0);
        }
    }

    /// tcp_stream_is_thin().
    pub fn is_thin(&self) -> bool {
        self.packets_out() < 4 && self.ssthresh != u64::MAX
    }
}
