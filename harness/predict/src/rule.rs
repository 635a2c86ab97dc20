//! The rules of the kernel that predictions follow, by name.

use serde::{Deserialize, Serialize};

/// A rule: which kernel function decides, and since when it has been so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum RuleId {
    TimerWheel,
    Keepalive,
    KeepaliveUserTimeout,
    KeepaliveLocalDrop,
    KeepaliveQuietWithData,
    Retransmission,
    TailLossProbe,
    RoundTrip,
    UserTimeout,
    RevertedBackoff,
    LocalDrop,
    SendFails,
    ClosedWindow,
    ConnectSilence,
    Neighbour,
    SoftError,
    Reset,
    RouterMemory,
    EndOfFile,
    Orphan,
    OwnTimeLimit,
    Heartbeat,
    ConnectAnswer,
    NothingToNotice,
}

impl RuleId {
    /// The kernel function (or call) that decides.
    pub fn function(self) -> &'static str {
        match self {
            RuleId::TimerWheel => "calc_wheel_index() in kernel/time/timer.c",
            RuleId::Keepalive | RuleId::KeepaliveUserTimeout | RuleId::KeepaliveLocalDrop => {
                "tcp_keepalive_timer()"
            }
            RuleId::KeepaliveQuietWithData => "tcp_keepalive_timer(), its look at packets_out",
            RuleId::Retransmission => "retransmits_timed_out() in tcp_write_timeout()",
            RuleId::TailLossProbe => "tcp_schedule_loss_probe()",
            RuleId::RoundTrip => "tcp_rtt_estimator(), __tcp_set_rto()",
            RuleId::UserTimeout => "tcp_clamp_rto_to_user_timeout()",
            RuleId::RevertedBackoff => "tcp_ld_RTO_revert()",
            RuleId::LocalDrop => "tcp_retransmit_timer(), TCP_RESOURCE_PROBE_INTERVAL",
            RuleId::SendFails => "tcp_probe_timer(), tcp_send_probe0()",
            RuleId::ClosedWindow => "tcp_probe_timer(), tcp_ack_probe()",
            RuleId::ConnectSilence => "tcp_write_timeout() in SYN_SENT",
            RuleId::Neighbour => "neigh_timer_handler()",
            RuleId::SoftError => "tcp_v4_err(), tcp_v6_err(), tcp_write_err()",
            RuleId::Reset => "tcp_reset()",
            RuleId::RouterMemory => "nf_conntrack_in(), tcp_new(): nf_conntrack_tcp_loose",
            RuleId::EndOfFile => "tcp_fin(), tcp_recvmsg_locked()",
            RuleId::Orphan => "tcp_orphan_retries() in tcp_write_timeout()",
            RuleId::OwnTimeLimit => {
                "schedule_timeout() for SO_RCVTIMEO, select_estimate_accuracy() for poll(2)"
            }
            RuleId::Heartbeat => {
                "the program itself; tcp_sendmsg_locked() for the beats, poll(2) for the looks"
            }
            RuleId::ConnectAnswer => "tcp_rcv_synsent_state_process(), tcp_v4_connect()",
            RuleId::NothingToNotice => "nothing is sent, so nothing can fail",
        }
    }

    /// The first kernel version the rule is known to hold for.
    pub fn since(self) -> &'static str {
        match self {
            RuleId::TimerWheel => "4.8",
            RuleId::TailLossProbe => "3.10",
            RuleId::RoundTrip => "3.15 (microseconds)",
            RuleId::UserTimeout => "4.19",
            RuleId::ClosedWindow => "5.11",
            RuleId::KeepaliveUserTimeout => "2.6.37",
            RuleId::RevertedBackoff => "2.6.32",
            RuleId::LocalDrop | RuleId::SendFails => "5.1",
            RuleId::Retransmission => "2.6.32; the first retransmission counts since 5.1",
            _ => "2.6",
        }
    }
}
