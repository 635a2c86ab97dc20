//! The model of a bad line. Pure: it takes a frame and the time, and returns when
//! each copy of the frame is to be delivered.
//!
//! The order is netem's (netem_enqueue()): duplicated, then lost, then
//! corrupted, then queued; so one model describes both mechanisms.

use std::time::Duration;

use super::frame::{ETHERNET, is_ip};
use super::random::Random;
use super::too_big;
use crate::filter::loss_chain;
use halfopen_net::{Impairment, QUEUE};

/// One direction of a line.
pub(crate) struct Line {
    what: Impairment,
    random: Random,
    /// Whether the loss model is in its bad state: in a burst.
    in_burst: bool,
    /// When the last frame has been sent, with a rate.
    free_ns: i64,
    /// When the latest frame is delivered, with a rate: it keeps them in order.
    latest_ns: i64,
}

/// What the line does to a frame.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Fate {
    /// The copies that are delivered; none: the frame is lost.
    pub copies: Vec<Copy>,
    /// The frame that tells its sender that it is too large.
    pub answer: Option<Vec<u8>>,
}

/// One copy of a frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Copy {
    /// When it is delivered, CLOCK_MONOTONIC.
    pub due_ns: i64,
    /// The bit of the frame that is flipped.
    pub flipped: Option<usize>,
}

impl Line {
    /// `seed` starts the random numbers: with the same seed the same frames have the
    /// same fates.
    pub fn new(what: Impairment, seed: u64) -> Line {
        Line {
            what,
            random: Random::new(seed),
            in_burst: false,
            free_ns: i64::MIN,
            latest_ns: i64::MIN,
        }
    }

    /// The fate of a frame that came in at `at_ns` (CLOCK_MONOTONIC) while
    /// `under_way` frames were waiting for their delivery.
    pub(super) fn fate(&mut self, at_ns: i64, frame: &[u8], under_way: usize) -> Fate {
        let mut fate = Fate::default();
        if let Some(mtu) = self.what.mtu
            && is_ip(frame)
            && frame.len() - ETHERNET > mtu.size as usize
        {
            if mtu.icmp {
                fate.answer = too_big::answer(frame, mtu.size);
            }
            return fate;
        }
        let mut copies = 1;
        if self
            .what
            .duplicate
            .is_some_and(|p| self.random.with_probability(p))
        {
            copies += 1;
        }
        if self.loses() {
            copies -= 1;
        }
        for copy in 0..copies {
            let flipped = self
                .what
                .corrupt
                .is_some_and(|p| self.random.with_probability(p))
                .then(|| self.random_bit(frame))
                .flatten();
            if under_way + copy >= self.queue_limit() {
                break;
            }
            let due_ns = self.due(at_ns, frame.len());
            fate.copies.push(Copy { due_ns, flipped });
        }
        fate
    }

    fn queue_limit(&self) -> usize {
        match self.what.rate {
            Some(_) => self.what.queue.unwrap_or(QUEUE) as usize,
            None => usize::MAX,
        }
    }

    /// As loss_gilb_ell() of net/sched/sch_netem.c: the state decides about this
    /// packet, and then changes for the next one.
    fn loses(&mut self) -> bool {
        let Some(loss) = self.what.loss else {
            return false;
        };
        let Some(burst) = loss.burst else {
            return self.random.with_probability(loss.rate);
        };
        let (begins, ends) = loss_chain(loss.rate, burst);
        let lost = self.in_burst;
        let changes = if self.in_burst { ends } else { begins };
        self.in_burst ^= self.random.with_probability(changes);
        lost
    }

    /// A random bit behind the Ethernet header: a wrong MAC address would only make
    /// the frame a lost one.
    fn random_bit(&mut self, frame: &[u8]) -> Option<usize> {
        let bits = frame.len().checked_sub(ETHERNET)? * 8;
        Some(ETHERNET * 8 + self.random.below(bits as u64)? as usize)
    }

    fn due(&mut self, at_ns: i64, length: usize) -> i64 {
        let delay = self.delay_ns();
        let Some(rate) = self.what.rate else {
            return at_ns + delay;
        };
        let sending = length as u128 * 8 * 1_000_000_000 / u128::from(rate.max(1));
        self.free_ns = at_ns.max(self.free_ns) + i64::try_from(sending).unwrap_or(i64::MAX / 4);
        self.latest_ns = self.latest_ns.max(self.free_ns + delay);
        self.latest_ns
    }

    fn delay_ns(&mut self) -> i64 {
        let Some(delay) = self.what.delay else {
            return 0;
        };
        if self
            .what
            .reorder
            .is_some_and(|p| self.random.with_probability(p))
        {
            return 0;
        }
        let jitter = self.what.jitter.map_or(0, nanos);
        let spread = self.random.below(2 * jitter.unsigned_abs()).unwrap_or(0);
        nanos(delay) - jitter + i64::try_from(spread).unwrap_or(0)
    }
}

fn nanos(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX / 4)
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
