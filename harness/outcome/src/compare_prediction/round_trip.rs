//! How much longer retransmission took than predicted because a round trip before
//! the fault was slow: the wire's own evidence of a machine that was busy then.
//!
//! A prediction from the case alone takes the round trip of a veth pair for nothing.
//! A peer that is woken late acknowledges late, tcp_rtt_estimator() takes that for
//! the line, and every later timeout is that much longer: 13 ms at the handshake are
//! 200 ms after four retransmissions. In virtual time the moments of the calls say
//! so, and the refined prediction has it.

use std::time::Duration;

use crate::record::{Outcome, Packet, reference_ns};
use crate::tolerance::QUIET_ROUND_TRIP;
use halfopen_predict::{Prediction, RuleId};

/// The kernel's TCP_RTO_MIN: a retransmission timeout is the smoothed round trip and
/// at least this (__tcp_set_rto()).
const RTO_MIN: Duration = Duration::from_millis(200);

/// How much later than predicted the sign may come for the slowest round trip that
/// TCP measured before the fault. Zero on a quiet machine, and where the prediction
/// does not rest on retransmission or knows the round trip of its line.
pub(super) fn allowance(prediction: &Prediction, outcome: &Outcome) -> Duration {
    let rules = &prediction.rules;
    if !rules.contains(&RuleId::Retransmission) && !rules.contains(&RuleId::UserTimeout)
        || rules.contains(&RuleId::RoundTrip)
    {
        return Duration::ZERO;
    }
    let until_ns = reference_ns(&outcome.faults);
    let slowest = slowest_round_trip(&outcome.wire.packets, until_ns);
    if slowest < QUIET_ROUND_TRIP {
        return Duration::ZERO;
    }
    // Each timeout is longer by the round trip doubled as often as itself, so the
    // whole grows by the same share.
    prediction
        .latest
        .mul_f64(slowest.as_secs_f64() / RTO_MIN.as_secs_f64())
}

/// The longest time from a segment to its acknowledgment, of segments that were sent
/// once and before `until_ns`.
fn slowest_round_trip(packets: &[Packet], until_ns: i64) -> Duration {
    let samples = packets.iter().enumerate().filter_map(|(index, sent)| {
        let is_sample = sent.sent_ns < until_ns
            && !sent.retransmission
            && (sent.len > 0 || sent.flags.contains('S'));
        if !is_sample {
            return None;
        }
        let length = sent.len.max(1);
        let end = sent.seq?.wrapping_add(length);
        let answer = packets[index + 1..].iter().find(|answer| {
            answer.src == sent.dst
                && answer.dst == sent.src
                && answer.cable == sent.cable
                // Relative to `end`, as before() in include/net/tcp.h.
                && answer.ack.is_some_and(|ack| ack.wrapping_sub(end) < 1 << 31)
        })?;
        let arrived_ns = answer.delivered_ns?;
        (arrived_ns < until_ns).then(|| (arrived_ns - sent.sent_ns).max(0).unsigned_abs())
    });
    Duration::from_nanos(samples.max().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Verdict;
    use crate::testing;

    #[test]
    fn a_slow_answer_is_found_and_a_late_one_is_not() {
        let mut outcome = testing::crash("none", "ETIMEDOUT", 3_052, Verdict::AsExpected);
        let Some(template) = outcome.wire.packets.first().cloned() else {
            panic!("the fixture has packets");
        };
        let packet = |src: &str, dst: &str, at_ms: i64, seq, ack, len| Packet {
            sent_ns: at_ms * 1_000_000,
            delivered_ns: Some(at_ms * 1_000_000),
            src: src.into(),
            dst: dst.into(),
            seq: Some(seq),
            ack: Some(ack),
            len,
            flags: "PA".into(),
            retransmission: false,
            ..template.clone()
        };
        outcome.wire.packets = vec![
            packet("a:1", "b:2", 10, 1, 1, 5),
            packet("b:2", "a:1", 23, 1, 6, 5),
            packet("a:1", "b:2", 30, 6, 6, 5),
            packet("b:2", "a:1", 900, 6, 11, 0),
        ];
        let slowest = |until_ms: i64| {
            slowest_round_trip(&outcome.wire.packets, until_ms * 1_000_000).as_millis()
        };
        assert_eq!(slowest(500), 13);
        assert_eq!(slowest(1_000), 870);
        assert_eq!(slowest(5), 0);
    }
}
