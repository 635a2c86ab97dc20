//! What a bad line does to each frame. Pure: time and frames come in, what is
//! to be delivered when comes out.
//!
//! The order is netem's (netem_enqueue()): duplicated, then lost, then
//! corrupted, then queued; so one model serves both mechanisms.

use std::time::Duration;

use super::random::Random;
use super::too_big;
use crate::filter::qdisc::loss_chain;
use halfopen_net::{Impairment, QUEUE};

/// Length of an Ethernet header.
pub(super) const ETHERNET: usize = 14;

/// One direction of a line.
pub(super) struct Line {
    what: Impairment,
    random: Random,
    /// In a burst of losses.
    bad: bool,
    /// When the last frame has been sent, with a rate.
    free_ns: i64,
    /// When the latest frame is delivered, with a rate: it keeps them in order.
    latest_ns: i64,
}

/// What becomes of a frame.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    /// When each copy of it is delivered.
    pub copies: Vec<Copy>,
    /// What its sender is told.
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
    /// `seed` starts the random numbers: the same line does the same to the
    /// same frames.
    pub fn new(what: Impairment, seed: u64) -> Line {
        Line {
            what,
            random: Random::new(seed),
            bad: false,
            free_ns: i64::MIN,
            latest_ns: i64::MIN,
        }
    }

    /// A frame came in at `at_ns` while so many are under way.
    pub fn take(&mut self, at_ns: i64, frame: &[u8], under_way: usize) -> Taken {
        let mut taken = Taken::default();
        if let Some(mtu) = self.what.mtu
            && is_ip(frame)
            && frame.len() - ETHERNET > mtu.size as usize
        {
            if mtu.icmp {
                taken.answer = too_big::answer(frame, mtu.size);
            }
            return taken;
        }
        let mut copies = 1;
        if self.what.duplicate.is_some_and(|p| self.random.happens(p)) {
            copies += 1;
        }
        if self.loses() {
            copies -= 1;
        }
        for copy in 0..copies {
            let flipped = self
                .what
                .corrupt
                .is_some_and(|p| self.random.happens(p))
                .then(|| self.bit_of(frame))
                .flatten();
            if under_way + copy >= self.most() {
                break;
            }
            let due_ns = self.due(at_ns, frame.len());
            taken.copies.push(Copy { due_ns, flipped });
        }
        taken
    }

    fn most(&self) -> usize {
        match self.what.rate {
            Some(_) => self.what.queue.unwrap_or(QUEUE) as usize,
            None => usize::MAX,
        }
    }

    /// loss_gilb_ell(): the state decides, and changes for the next packet.
    fn loses(&mut self) -> bool {
        let Some(loss) = self.what.loss else {
            return false;
        };
        let Some(burst) = loss.burst else {
            return self.random.happens(loss.rate);
        };
        let (begins, ends) = loss_chain(loss.rate, burst);
        let lost = self.bad;
        let changes = if self.bad { ends } else { begins };
        self.bad ^= self.random.happens(changes);
        lost
    }

    /// Behind the Ethernet header: a wrong MAC would only be a loss.
    fn bit_of(&mut self, frame: &[u8]) -> Option<usize> {
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
        if self.what.reorder.is_some_and(|p| self.random.happens(p)) {
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

/// By its EtherType.
pub(super) fn is_ip(frame: &[u8]) -> bool {
    matches!(frame.get(12..14), Some([0x08, 0x00] | [0x86, 0xdd]))
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
