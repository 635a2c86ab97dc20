//! The heart of one connection: when it beats, when it looks whether its peer
//! still does, and what it has heard. Pure: it is told the time.

use std::time::Duration;

use halfopen_scenario::case::{BeatWhen, Heartbeat, HeartbeatSender};

/// A beat on the wire: ASCII's ENQ, "are you there". It travels between the
/// connection's data, which has none (a payload of text may not contain it).
pub(super) const BEAT: u8 = 0x05;
/// The answer to a beat: ASCII's ACK.
pub(super) const ANSWER: u8 = 0x06;

/// Which end of its connection an endpoint is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It connected.
    Client,
    /// It accepted.
    Server,
}

/// The heart of one connection. Times are CLOCK_MONOTONIC nanoseconds.
#[derive(Debug, Default)]
pub(super) struct Heart {
    every: i64,
    timeout: i64,
    check_every: Option<i64>,
    misses: u32,
    answered: bool,
    idle: bool,
    checks: bool,
    answers: bool,
    /// Since when there is silence: since the last beat that was heard, or the
    /// first of one's own that has no answer. None: nothing is overdue.
    since: Option<i64>,
    next_beat: Option<i64>,
    next_look: Option<i64>,
    missed: u32,
    /// Data that was read and that no step has asked for yet.
    inbox: Vec<u8>,
}

impl Heart {
    /// Of a connection made at `now`; without `config` it neither beats nor looks.
    pub fn new(config: Option<&Heartbeat>, end: End, now: i64) -> Self {
        let Some(config) = config else {
            return Heart::default();
        };
        let is = |beater| config.from == HeartbeatSender::Both || config.from == beater;
        let (sends, hears) = match end {
            End::Client => (is(HeartbeatSender::Client), is(HeartbeatSender::Server)),
            End::Server => (is(HeartbeatSender::Server), is(HeartbeatSender::Client)),
        };
        let checks = if config.answered { sends } else { hears };
        let check_every = config.check_every.map(nanos);
        Heart {
            every: nanos(config.every),
            timeout: nanos(config.timeout),
            check_every,
            misses: config.misses,
            answered: config.answered,
            idle: config.when == BeatWhen::Idle,
            checks,
            answers: config.answered && hears,
            since: (checks && !config.answered).then_some(now),
            next_beat: sends.then(|| now + nanos(config.every)),
            next_look: check_every.filter(|_| checks).map(|every| now + every),
            missed: 0,
            inbox: Vec::new(),
        }
    }

    /// When it has something to do next.
    pub fn due(&self) -> Option<i64> {
        // Asked of a thousand connections at each wake-up: without iterators.
        let look = match (self.checks, self.check_every) {
            (false, _) => None,
            (true, Some(_)) => self.next_look,
            (true, None) => self.overdue(),
        };
        match (self.next_beat, look) {
            (Some(beat), Some(look)) => Some(beat.min(look)),
            (beat, look) => beat.or(look),
        }
    }

    /// When a heart with a timer of its own has its next miss.
    fn overdue(&self) -> Option<i64> {
        Some(self.since? + self.timeout + i64::from(self.missed) * self.every)
    }

    /// Takes in what was read. How many answers it calls for.
    pub fn hear(&mut self, bytes: &[u8], now: i64) -> usize {
        if self.misses == 0 {
            self.inbox.extend_from_slice(bytes);
            return 0;
        }
        let count = |what: u8| bytes.iter().filter(|byte| **byte == what).count();
        let (beats, answers) = (count(BEAT), count(ANSWER));
        let data = bytes.iter().filter(|b| !matches!(**b, BEAT | ANSWER));
        self.inbox.extend(data);
        let alive = match (self.idle, self.answered) {
            (true, _) => !bytes.is_empty(),
            // A peer that just echoes answers with the beat itself; where both
            // ends beat, a beat is the peer's own.
            (false, true) => answers > 0 || (beats > 0 && !self.answers),
            (false, false) => beats > 0,
        };
        if alive {
            self.missed = 0;
            self.since = (self.checks && !self.answered).then_some(now);
        }
        if self.answers { beats } else { 0 }
    }

    /// Data was sent, which puts off the next beat of an idle heart.
    pub fn sent(&mut self, now: i64) {
        if self.idle && self.next_beat.is_some() {
            self.next_beat = Some(now + self.every);
        }
    }

    /// Whether it is time for a beat; the next one is then due later.
    pub fn beats(&mut self, now: i64) -> bool {
        let Some(due) = self.next_beat.filter(|due| *due <= now) else {
            return false;
        };
        // After a pause (SIGSTOP) one beat stands for all that were missed.
        let next = due + self.every;
        self.next_beat = Some(if next > now { next } else { now + self.every });
        if self.answered && self.since.is_none() {
            self.since = Some(now);
        }
        true
    }

    /// Looks for silence if it is time to: since when there is too much of it.
    pub fn looks(&mut self, now: i64) -> Option<i64> {
        if !self.checks {
            return None;
        }
        let late = match (self.check_every, self.next_look) {
            (Some(every), Some(due)) => {
                if now < due {
                    return None;
                }
                self.next_look = Some(due + ((now - due) / every + 1) * every);
                self.since.is_some_and(|since| now - since >= self.timeout)
            }
            _ => {
                if now < self.overdue()? {
                    return None;
                }
                true
            }
        };
        self.missed = if late { self.missed + 1 } else { 0 };
        (self.missed >= self.misses).then_some(self.since?)
    }

    /// It beats no more, and looks no more.
    pub fn stop(&mut self) {
        self.checks = false;
        self.falls_silent();
    }

    /// It beats no more; it still looks.
    pub fn falls_silent(&mut self) {
        self.next_beat = None;
        self.answers = false;
    }

    /// Whether there is data.
    pub fn has_data(&self) -> bool {
        !self.inbox.is_empty()
    }

    /// At most so many bytes of the data that was read.
    pub fn take(&mut self, most: usize) -> Vec<u8> {
        let some = self.inbox.len().min(most);
        self.inbox.drain(..some).collect()
    }
}

pub(super) fn nanos(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX / 4)
}

#[cfg(test)]
#[path = "heart_tests.rs"]
mod tests;
