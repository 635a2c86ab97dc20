//! Delayed acknowledgments: whether received data is acknowledged at once or after a delay.
//!
//! tcp_event_data_recv(), __tcp_ack_snd_check(), tcp_cleanup_rbuf(), tcp_send_delayed_ack()
//! and tcp_delack_timer_handler() in net/ipv4. The first segments of a connection, and
//! those after a pause longer than the RTO, are acknowledged at once (quickack mode),
//! unless the program answers with data ("pingpong"); small data is also acknowledged at
//! once when a program has read all of it. Else the acknowledgment waits for 40 ms at
//! least.

use std::time::Duration;

/// TCP_ATO_MIN, TCP_DELACK_MIN.
const ATO_MIN: Duration = Duration::from_millis(40);
/// TCP_DELACK_MAX.
const DELACK_MAX: Duration = Duration::from_millis(200);
/// TCP_MAX_QUICKACKS.
const MAX_QUICKACKS: u32 = 16;

/// Acknowledgment state of one end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AckState {
    quick: u32,
    pingpong: bool,
    /// icsk_ack.ato; 0 before the first data.
    ato: Duration,
    /// icsk_ack.lrcvtime.
    received: Duration,
}

impl AckState {
    /// The state of a connection established at `at`.
    pub fn new(at: Duration) -> Self {
        AckState {
            received: at,
            ..AckState::default()
        }
    }

    /// A segment with data is received. Returns how long its acknowledgment waits if nobody
    /// reads the data and nothing is sent that can carry it; `rto` and `srtt` are this
    /// end's own.
    pub fn data_received(&mut self, at: Duration, rto: Duration, srtt: Duration) -> Duration {
        let since = at.saturating_sub(self.received);
        if self.ato.is_zero() {
            self.quick = MAX_QUICKACKS;
            self.ato = ATO_MIN;
        } else if since <= ATO_MIN / 2 {
            self.ato = self.ato / 2 + ATO_MIN / 2;
        } else if since < self.ato {
            self.ato = (self.ato / 2 + since).min(rto);
        } else if since > rto {
            self.quick = MAX_QUICKACKS;
        }
        self.received = at;
        if self.quick > 0 && !self.pingpong {
            self.ack_sent();
            return Duration::ZERO;
        }
        if self.ato <= ATO_MIN {
            return self.ato;
        }
        // No longer than its own round trip.
        let most = if srtt.is_zero() {
            DELACK_MAX
        } else {
            DELACK_MAX.min(srtt.max(ATO_MIN))
        };
        self.ato.min(most)
    }

    /// Whether reading all data makes it acknowledge at once.
    pub fn acks_on_read(&self) -> bool {
        !self.pingpong
    }

    /// Data leaves and carries the acknowledgment.
    pub fn data_sent(&mut self, at: Duration) {
        if at.saturating_sub(self.received) < self.ato {
            self.pingpong = true;
        }
        self.ack_sent();
    }

    /// tcp_dec_quickack_mode().
    pub fn ack_sent(&mut self) {
        if self.quick == 1 {
            self.ato = ATO_MIN;
        }
        self.quick = self.quick.saturating_sub(1);
    }

    /// The delayed-acknowledgment timer sent the acknowledgment.
    pub fn timer_fired(&mut self, rto: Duration) {
        if self.pingpong {
            self.pingpong = false;
            self.ato = ATO_MIN;
        } else {
            self.ato = (self.ato * 2).min(rto);
        }
        self.ack_sent();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTO: Duration = Duration::from_millis(204);
    const SRTT: Duration = Duration::from_millis(4);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_first_segments_are_acknowledged_at_once() {
        let mut acks = AckState::new(ms(0));
        for n in 0..16 {
            assert_eq!(acks.data_received(ms(n), RTO, SRTT), ms(0), "{n}");
        }
        assert!(acks.data_received(ms(17), RTO, SRTT) > ms(0));
    }

    #[test]
    fn who_answers_delays_until_its_timer_had_to_acknowledge() {
        let mut acks = AckState::new(ms(0));
        assert_eq!(acks.data_received(ms(10), RTO, SRTT), ms(0));
        acks.data_sent(ms(11));
        assert!(!acks.acks_on_read());
        assert_eq!(acks.data_received(ms(1_000), RTO, SRTT), ATO_MIN);
        acks.timer_fired(RTO);
        assert_eq!(acks.data_received(ms(2_000), RTO, SRTT), ms(0));
    }
}
