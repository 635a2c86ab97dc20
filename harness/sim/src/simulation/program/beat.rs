//! The heartbeat of one connection: when the next beat is due, and when its peer counts as
//! silent.

use super::super::clock::{Ns, ns};
use halfopen_scenario::case::{BeatWhen, Heartbeat, HeartbeatSender};

/// A client's beat, a server's, and an answer among a connection's bytes.
const CLIENT_BEAT: u8 = 5;
const SERVER_BEAT: u8 = 0x16;
pub(super) const ANSWER: u8 = 6;

/// The state of a heartbeat.
#[derive(Debug, Default, Clone)]
pub(super) struct Beat {
    every: Ns,
    timeout: Ns,
    check_every: Option<Ns>,
    misses: u32,
    answered: bool,
    idle: bool,
    /// The own beat's byte, and the peer's.
    beats: [u8; 2],
    checks: bool,
    answers: bool,
    since: Option<Ns>,
    next_beat: Option<Ns>,
    next_check: Option<Ns>,
    missed: u32,
    /// Bytes that were read and that no step has taken.
    pub inbox: u64,
}

impl Beat {
    /// Of a connection made at `now`, by the end that connected or by the other one.
    pub fn new(config: Option<&Heartbeat>, connected: bool, now: Ns) -> Self {
        let Some(config) = config else {
            return Beat::default();
        };
        let is = |sender| config.from == HeartbeatSender::Both || config.from == sender;
        let (own, other) = match connected {
            true => (HeartbeatSender::Client, HeartbeatSender::Server),
            false => (HeartbeatSender::Server, HeartbeatSender::Client),
        };
        let (sends, hears) = (is(own), is(other));
        let checks = if config.answered { sends } else { hears };
        let check_every = config.check_every.map(ns);
        Beat {
            every: ns(config.every),
            timeout: ns(config.timeout),
            check_every,
            misses: config.misses,
            answered: config.answered,
            idle: config.when == BeatWhen::Idle,
            beats: match connected {
                true => [CLIENT_BEAT, SERVER_BEAT],
                false => [SERVER_BEAT, CLIENT_BEAT],
            },
            checks,
            answers: config.answered && hears,
            since: (checks && !config.answered).then_some(now),
            next_beat: sends.then(|| now + ns(config.every)),
            next_check: check_every.filter(|_| checks).map(|every| now + every),
            missed: 0,
            inbox: 0,
        }
    }

    /// When a beat or a check is due.
    pub fn next_due(&self) -> Option<Ns> {
        let check = match (self.checks, self.check_every) {
            (false, _) => None,
            (true, Some(_)) => self.next_check,
            (true, None) => self.overdue(),
        };
        self.next_beat.into_iter().chain(check).min()
    }

    fn overdue(&self) -> Option<Ns> {
        Some(self.since? + self.timeout + u64::from(self.missed) * self.every)
    }

    /// Takes what was read. Returns how many answers are to be sent.
    pub fn receive(&mut self, bytes: u64, kinds: &[u8], now: Ns) -> u64 {
        if self.misses == 0 {
            self.inbox += bytes;
            return 0;
        }
        let count = |what| kinds.iter().filter(|kind| **kind == what).count() as u64;
        let [own, peers] = self.beats;
        // A peer that only echoes answers with the beat itself.
        let (beats, answers) = (count(peers), count(ANSWER) + count(own));
        self.inbox += bytes - beats - answers;
        let alive = match (self.idle, self.answered) {
            (true, _) => bytes > 0,
            (false, true) => answers > 0,
            (false, false) => beats > 0,
        };
        if alive {
            self.missed = 0;
            self.since = (self.checks && !self.answered).then_some(now);
        }
        if self.answers { beats } else { 0 }
    }

    /// The byte that a beat is.
    pub fn byte(&self) -> u8 {
        self.beats[0]
    }

    /// Data was sent.
    pub fn data_sent(&mut self, now: Ns) {
        if self.idle && self.next_beat.is_some() {
            self.next_beat = Some(now + self.every);
        }
    }

    /// Whether a beat is due; the next one is due a period later.
    pub fn take_due(&mut self, now: Ns) -> bool {
        let Some(due) = self.next_beat.filter(|due| *due <= now) else {
            return false;
        };
        let next = due + self.every;
        self.next_beat = Some(if next > now { next } else { now + self.every });
        if self.answered && self.since.is_none() {
            self.since = Some(now);
        }
        true
    }

    /// Checks for silence if that is due: whether the peer was silent for too long.
    pub fn is_silent(&mut self, now: Ns) -> bool {
        if !self.checks {
            return false;
        }
        let late = match (self.check_every, self.next_check) {
            (Some(every), Some(due)) => {
                if now < due {
                    return false;
                }
                self.next_check = Some(due + ((now - due) / every + 1) * every);
                self.since.is_some_and(|since| now - since >= self.timeout)
            }
            _ => {
                if self.overdue().is_none_or(|due| now < due) {
                    return false;
                }
                true
            }
        };
        self.missed = if late { self.missed + 1 } else { 0 };
        self.missed >= self.misses && self.since.is_some()
    }

    /// Neither sends beats nor checks any more.
    pub fn stop(&mut self) {
        self.checks = false;
        self.stop_sending();
    }

    /// Sends neither beats nor answers any more.
    pub fn stop_sending(&mut self) {
        self.next_beat = None;
        self.answers = false;
    }
}
