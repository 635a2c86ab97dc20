//! The text of each rule, for people: docs/rules.md is generated from this.

use super::rule::RuleId;

impl RuleId {
    /// All of them, in the order in which they are explained.
    pub const ALL: [RuleId; 24] = [
        RuleId::TimerWheel,
        RuleId::Keepalive,
        RuleId::KeepaliveUserTimeout,
        RuleId::KeepaliveLocalDrop,
        RuleId::KeepaliveQuietWithData,
        RuleId::Retransmission,
        RuleId::TailLossProbe,
        RuleId::RoundTrip,
        RuleId::UserTimeout,
        RuleId::RevertedBackoff,
        RuleId::LocalDrop,
        RuleId::SendFails,
        RuleId::ClosedWindow,
        RuleId::ConnectSilence,
        RuleId::ConnectAnswer,
        RuleId::Neighbour,
        RuleId::RouterMemory,
        RuleId::SoftError,
        RuleId::Reset,
        RuleId::EndOfFile,
        RuleId::Orphan,
        RuleId::OwnTimeLimit,
        RuleId::Heartbeat,
        RuleId::NothingToNotice,
    ];

    /// Its name in words.
    pub fn title(self) -> &'static str {
        match self {
            RuleId::TimerWheel => "The timer wheel rounds up",
            RuleId::Keepalive => "Keepalive",
            RuleId::KeepaliveUserTimeout => "Keepalive with a user timeout",
            RuleId::KeepaliveLocalDrop => "Keepalive whose own host drops the probes",
            RuleId::KeepaliveQuietWithData => "No keepalive while data is under way",
            RuleId::Retransmission => "Data that nobody acknowledges",
            RuleId::TailLossProbe => "The loss probe comes first",
            RuleId::RoundTrip => "How TCP follows the round trip",
            RuleId::UserTimeout => "Data with a user timeout",
            RuleId::RevertedBackoff => "An ICMP error takes a back-off back",
            RuleId::LocalDrop => "Dropped by the own qdisc",
            RuleId::SendFails => "What the own host cannot send",
            RuleId::ClosedWindow => "A peer that has no room",
            RuleId::ConnectSilence => "connect() into silence",
            RuleId::ConnectAnswer => "connect() that is answered",
            RuleId::Neighbour => "Neighbours: ARP and NDP",
            RuleId::RouterMemory => "A router that forgets",
            RuleId::SoftError => "Which errno: soft errors",
            RuleId::Reset => "RST",
            RuleId::EndOfFile => "FIN",
            RuleId::Orphan => "Orphans",
            RuleId::OwnTimeLimit => "The program's own time limits",
            RuleId::Heartbeat => "Heartbeats",
            RuleId::NothingToNotice => "Nothing to notice",
        }
    }

    /// What it says.
    pub fn says(self) -> &'static str {
        match self {
            RuleId::TimerWheel => {
                "A timer is never early and late by up to one granule, which grows with its \
                 length: a tick below 63 ticks, then eight times as much for each eightfold \
                 distance. At HZ=250 that is 4 ms below 0.25 s, 32 ms below 2 s, 256 ms below \
                 16 s, 2 s below two minutes, 131 s for two hours. Buckets stand at fixed places \
                 of the wheel, so a prediction is an interval where nobody knows where the wheel \
                 stands, and one tick where that is known."
            }
            RuleId::Keepalive => {
                "The clock runs from the last segment *received*. After the idle time a probe \
                 goes out, then one each interval, whatever comes back; after as many unanswered \
                 ones as the count says, at the next tick of the timer, the connection is dead: \
                 RST and ETIMEDOUT. Options of the socket win over the host's sysctls. An ICMP \
                 error that answers a probe is ignored, because the probe's sequence number lies \
                 before the window; only an IPv6 host's own routing leaves its error."
            }
            RuleId::KeepaliveUserTimeout => {
                "With TCP_USER_TIMEOUT the count does not matter any more: the connection is dead \
                 at the first tick of the keepalive timer at which that much has passed since the \
                 last segment received, and at least one probe is out."
            }
            RuleId::KeepaliveLocalDrop => {
                "A probe that the sender's own qdisc drops (an error above 0) does not count. It is \
                 tried again every half second, for ever. A drop by nft in `output`, or a missing \
                 route, is an error below 0 and does count."
            }
            RuleId::KeepaliveQuietWithData => {
                "With data unacknowledged or unsent no probe is sent at all; the retransmission or \
                 the probe timer decides. Keepalive is no help to a program that is waiting for \
                 an answer."
            }
            RuleId::Retransmission => {
                "The RTO is the smoothed round trip plus at least 200 ms (tcp_rto_min_us) and \
                 doubles up to 120 s (tcp_rto_max_ms). tcp_retries2 = n is no count but a time, \
                 what n doublings from 200 ms come to: 0.2 s x (2^(n+1) - 1) up to n = 9, then \
                 120 s more for each. The connection is dead at the first expiry at which that much \
                 has passed since the first retransmission. Where an expiry is close to the budget \
                 there is a cliff: a tick decides whether it takes twice as long. The number of \
                 retransmissions is kept in a byte; each time it wraps, one expiry does not look. \
                 With tcp_thin_linear_timeouts the first six do not double."
            }
            RuleId::TailLossProbe => {
                "Before the first retransmission comes a loss probe, after two round trips and \
                 200 ms (with several segments under way 2 ms), and the RTO starts anew from it. \
                 It does not count as a retransmission, so it moves the end. Off with \
                 tcp_early_retrans 0, or without SACK."
            }
            RuleId::RoundTrip => {
                "The first RTO is three round trips as the first one was measured, and not less \
                 than one and 200 ms. The client's first one is longer than the line: its SYN waits \
                 for the next hop's address, and ARP takes the same line. Later samples move the \
                 smoothed round trip by an eighth; the variation follows a longer one at once and \
                 a shorter one by a quarter a round trip. So a connection that has exchanged little \
                 gives up much later than one that has exchanged a lot. An acknowledgment that its \
                 sender delays by 40 ms is measured, too."
            }
            RuleId::UserTimeout => {
                "TCP_USER_TIMEOUT takes the place of tcp_retries2's budget. It counts from the \
                 first retransmission, to which the RTO is then clamped, so data is given up about \
                 0.4 s after the limit, not at it."
            }
            RuleId::RevertedBackoff => {
                "A net or host unreachable about the oldest segment undoes one doubling (RFC 6069), \
                 in IPv6 only a `no route`. So under ICMP errors TCP retransmits evenly and gives \
                 up as soon as its budget is over. A router that has no route answers once a \
                 second in IPv4 (in 7.3 five times at once before that); one that rejects by nft \
                 answers each packet."
            }
            RuleId::LocalDrop => {
                "A retransmission that the sender's own qdisc drops is tried again after half a \
                 second, without doubling. So where a packet gets lost changes the answer."
            }
            RuleId::SendFails => {
                "Data that its own host refuses at once (no route, interface down, a firewall in \
                 `output`) never gets into flight. The probe timer tries it again, doubling from \
                 about 0.2 s, and tcp_retries2 is a *number* of tries here: the end comes sooner \
                 than by retransmission."
            }
            RuleId::ClosedWindow => {
                "A peer that does not read closes its window. Probes go out, doubling their distance \
                 whether they are answered or not. Answered ones keep the connection for ever, \
                 tcp_retries2 unanswered ones end it, and TCP_USER_TIMEOUT ends it even though the \
                 peer answers. A peer answers at most every half second (tcp_invalid_ratelimit), \
                 and the second probe comes 0.45 s after the first: it stays unanswered by a peer \
                 that is well. With tcp_retries2 = 1 every closed window is therefore fatal after \
                 a second."
            }
            RuleId::ConnectSilence => {
                "A SYN is sent again after a second, then as often as tcp_syn_linear_timeouts says \
                 at the same distance (6.5: 4), then doubling. connect() fails with ETIMEDOUT after \
                 tcp_syn_retries of them (and the linear ones), or when 2^(n+1) - 1 s are over, or \
                 TCP_USER_TIMEOUT. Dropped by the own qdisc, SYNs follow every half second."
            }
            RuleId::ConnectAnswer => {
                "An RST makes it ECONNREFUSED, a host without a route ENETUNREACH (or what the \
                 route says) at once. An ICMP error that comes back while the call still holds its \
                 socket, as it does over a veth pair, is only kept, and the second SYN's ends it, \
                 a second later."
            }
            RuleId::Neighbour => {
                "A neighbour nobody answers for is asked three times, a second apart, and fails \
                 after three seconds; every packet that waited for it draws a host unreachable, \
                 and the next packet asks anew. An entry that was confirmed is trusted for 15 to 45 \
                 random seconds, then five more. So a dead host behind a router, or on the own \
                 cable, becomes EHOSTUNREACH once its entry has failed. While a packet waits in its \
                 own host's queue it cannot be sent again, and TCP counts the tries all the same; \
                 since 5.13 it is sent again, and the RTO begins anew, as soon as the neighbour is \
                 given up (tcp_tsq_write()). \
                 In IPv6 a filter that drops all of a host's packets drops its neighbour \
                 advertisements, too."
            }
            RuleId::RouterMemory => {
                "A router that translates addresses keeps an entry a connection and drops it after \
                 a time without packets (nf_conntrack_tcp_timeout_established), or when it is \
                 restarted. What comes then is dropped in silence or answered with RST, by its \
                 rules. Only something that sends more often than that keeps the entry."
            }
            RuleId::SoftError => {
                "On an established connection ICMP errors are kept (sk_err_soft) and reported only \
                 when TCP gives up; the last one wins, and a valid acknowledgment clears it. What \
                 the own host's routing says is kept as well, in IPv4 for what was in flight \
                 already, in IPv6 always."
            }
            RuleId::Reset => {
                "In ESTABLISHED it is ECONNRESET, in SYN_SENT ECONNREFUSED, after the peer's FIN \
                 (CLOSE_WAIT) EPIPE for writers, while readers still see end of file. A peer whose \
                 kernel was started again answers the next segment with one; so does one that \
                 closed with unread data, or with a linger time of 0."
            }
            RuleId::EndOfFile => {
                "A FIN makes read() return 0 and poll() report RDHUP. The first write after it \
                 succeeds and draws an RST, the second one fails with EPIPE."
            }
            RuleId::Orphan => {
                "A connection that is closed while nobody acknowledges its FIN lives on without a \
                 process: tcp_orphan_retries, where 0 means 8, is a budget of time like \
                 tcp_retries2 (102.2 s from the first retransmission). After an ICMP error, or \
                 when the RTO has reached its maximum, 0 means 0."
            }
            RuleId::OwnTimeLimit => {
                "SO_RCVTIMEO is a timer of the wheel, with its lateness; poll()'s limit is exact to \
                 a thousandth of itself, at most 0.1 s late (a process of real-time priority is \
                 woken at once)."
            }
            RuleId::Heartbeat => {
                "A hearer of beats counts from the last one it heard, a sender of beats that are \
                 answered from the first one without an answer; after the time limit, at its next \
                 look if it only looks now and then, the peer counts as dead. So the sign comes \
                 sooner after a fault the older the last beat was. A beat is data, too: an RST, an \
                 ICMP error or tcp_retries2 can be first, and the first one wins. What a beat \
                 proves is that the other *program* goes on, where keepalive asks its kernel."
            }
            RuleId::NothingToNotice => {
                "Nothing is sent, or everything that is sent is answered, and no timer runs that \
                 would look: the connection stays as it is, for ever."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_rule_has_its_own_page() {
        let all: BTreeSet<RuleId> = RuleId::ALL.into_iter().collect();
        assert_eq!(all.len(), RuleId::ALL.len());
        let titles: BTreeSet<&str> = RuleId::ALL.iter().map(|r| r.title()).collect();
        assert_eq!(titles.len(), RuleId::ALL.len());
    }
}
