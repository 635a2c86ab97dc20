//! The heartbeat of one connection: when the next beat is due, when to check
//! whether the peer is silent, and the data that was received between beats. Does
//! no I/O and reads no clock; `event_loop` passes the time.

use std::time::Duration;

use halfopen_scenario::case::{BeatWhen, Heartbeat, HeartbeatSender, SignOfLife};

/// A client's beat on the wire: ASCII's ENQ, "are you there". It is sent between the
/// connection's data, which does not contain it (a payload of text may not).
pub(super) const CLIENT_BEAT: u8 = 0x05;
/// A server's beat: ASCII's SYN. It is another one, so that the peer's own beat is not
/// taken for an echo of ours, the answer of a peer that only echoes.
pub(super) const SERVER_BEAT: u8 = 0x16;
/// The answer to a beat: ASCII's ACK.
pub(super) const ANSWER: u8 = 0x06;

/// Which side of its connection an endpoint is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It connected.
    Client,
    /// It accepted.
    Server,
}

/// The heartbeat of one connection. Times are CLOCK_MONOTONIC nanoseconds.
#[derive(Debug)]
pub(super) struct HeartbeatState {
    every: i64,
    timeout: i64,
    check_every: Option<i64>,
    misses: u32,
    answered: bool,
    idle: bool,
    /// Beats are sent while an answer is owed, and by whom.
    busy: Option<Role>,
    counts: SignOfLife,
    /// The own beat's byte, and the peer's.
    beats: [u8; 2],
    sends: bool,
    checks: bool,
    answers: bool,
    /// Since when the peer is silent: since the last beat received, or since the first
    /// own beat without an answer. None: no beat is expected.
    since: Option<i64>,
    next_beat: Option<i64>,
    next_check: Option<i64>,
    missed: u32,
    /// Data that was read and that no step has taken yet.
    inbox: Vec<u8>,
}

impl Default for HeartbeatState {
    fn default() -> Self {
        HeartbeatState {
            every: 0,
            timeout: 0,
            check_every: None,
            misses: 0,
            answered: false,
            idle: false,
            busy: None,
            counts: SignOfLife::Beat,
            beats: [CLIENT_BEAT, SERVER_BEAT],
            sends: false,
            checks: false,
            answers: false,
            since: None,
            next_beat: None,
            next_check: None,
            missed: 0,
            inbox: Vec::new(),
        }
    }
}

impl HeartbeatState {
    /// Of a connection made at `now`; without `config` it neither sends beats nor
    /// checks for silence.
    pub fn new(config: Option<&Heartbeat>, role: Role, now: i64) -> Self {
        let Some(config) = config else {
            return HeartbeatState::default();
        };
        let is = |sender| config.from == HeartbeatSender::Both || config.from == sender;
        let (sends, hears) = match role {
            Role::Client => (is(HeartbeatSender::Client), is(HeartbeatSender::Server)),
            Role::Server => (is(HeartbeatSender::Server), is(HeartbeatSender::Client)),
        };
        let checks = if config.answered { sends } else { hears };
        let check_every = config.check_every.map(nanos);
        let idle = config.when == BeatWhen::Idle;
        let busy = config.when == BeatWhen::Busy;
        let counts = config
            .counts
            .unwrap_or(match (idle || busy, config.answered) {
                (true, _) => SignOfLife::AnyByte,
                (false, true) => SignOfLife::Answer,
                (false, false) => SignOfLife::Beat,
            });
        HeartbeatState {
            every: nanos(config.every),
            timeout: nanos(config.timeout),
            check_every,
            misses: config.misses,
            answered: config.answered,
            idle,
            busy: busy.then_some(role),
            counts,
            beats: match role {
                Role::Client => [CLIENT_BEAT, SERVER_BEAT],
                Role::Server => [SERVER_BEAT, CLIENT_BEAT],
            },
            sends,
            checks,
            answers: config.answered && hears,
            since: (checks && !config.answered).then_some(now),
            next_beat: (sends && !busy).then(|| now + nanos(config.every)),
            next_check: check_every.filter(|_| checks).map(|every| now + every),
            missed: 0,
            inbox: Vec::new(),
        }
    }

    /// When a beat or a check is due next.
    pub fn next_due(&self) -> Option<i64> {
        // Called for a thousand connections at each wake-up: without iterators.
        let check = match (self.checks, self.check_every) {
            (false, _) => None,
            (true, Some(_)) => self.next_check,
            (true, None) => self.overdue(),
        };
        match (self.next_beat, check) {
            (Some(beat), Some(check)) => Some(beat.min(check)),
            (beat, check) => beat.or(check),
        }
    }

    /// When the next beat counts as missed, without a period of checks.
    fn overdue(&self) -> Option<i64> {
        Some(self.since? + self.timeout + i64::from(self.missed) * self.every)
    }

    /// Takes what was read. Returns how many answers are to be sent.
    pub fn receive(&mut self, bytes: &[u8], now: i64) -> usize {
        if self.misses == 0 {
            self.inbox.extend_from_slice(bytes);
            return 0;
        }
        let [own, peers] = self.beats;
        let count = |what: u8| bytes.iter().filter(|byte| **byte == what).count();
        let beats = count(peers);
        // A peer that only echoes answers with the beat itself.
        let answers = count(ANSWER) + count(own);
        let before = self.inbox.len();
        let data = bytes.iter().filter(|b| ![own, peers, ANSWER].contains(*b));
        self.inbox.extend(data);
        let alive = match self.counts {
            SignOfLife::AnyByte | SignOfLife::OwnWrites => !bytes.is_empty(),
            SignOfLife::Answer => answers > 0,
            SignOfLife::Beat => beats > 0,
        };
        if alive {
            self.show_life(now);
        }
        if self.inbox.len() > before {
            self.owe(self.busy == Some(Role::Server), now);
        }
        if self.answers { beats } else { 0 }
    }

    fn show_life(&mut self, now: i64) {
        self.missed = 0;
        self.since = (self.checks && !self.answered).then_some(now);
    }

    /// From now on an answer is owed, or none is.
    fn owe(&mut self, owed: bool, now: i64) {
        if self.busy.is_none() || !self.sends {
            return;
        }
        self.next_beat = match (owed, self.next_beat) {
            (false, _) => None,
            (true, None) => Some(now + self.every),
            (true, due) => due,
        };
        if !owed && self.answered {
            self.since = None;
        }
    }

    /// Data was sent, which puts off the next beat where only idle connections send
    /// them.
    pub fn data_sent(&mut self, now: i64) {
        if self.idle && self.next_beat.is_some() {
            self.next_beat = Some(now + self.every);
        }
        self.owe(self.busy == Some(Role::Client), now);
        if self.counts == SignOfLife::OwnWrites {
            self.show_life(now);
        }
    }

    /// The byte that a beat is.
    pub fn beat(&self) -> u8 {
        self.beats[0]
    }

    /// The silence is put up with: beats and checks go on, and the next silence counts
    /// anew.
    pub fn put_up_with(&mut self, now: i64) {
        self.show_life(now);
    }

    /// Whether a beat is due; if so, the next one is due a period later.
    pub fn take_due_beat(&mut self, now: i64) -> bool {
        let Some(due) = self.next_beat.filter(|due| *due <= now) else {
            return false;
        };
        // After a pause (SIGSTOP) one beat replaces all that were not sent.
        let next = due + self.every;
        self.next_beat = Some(if next > now { next } else { now + self.every });
        if self.answered && self.since.is_none() {
            self.since = Some(now);
        }
        true
    }

    /// Checks for silence if that is due. Since when the peer is silent, if for too
    /// long.
    pub fn check_silence(&mut self, now: i64) -> Option<i64> {
        if !self.checks {
            return None;
        }
        let late = match (self.check_every, self.next_check) {
            (Some(every), Some(due)) => {
                if now < due {
                    return None;
                }
                self.next_check = Some(due + ((now - due) / every + 1) * every);
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

    /// Neither sends beats nor checks for silence any more.
    pub fn stop(&mut self) {
        self.checks = false;
        self.stop_sending();
    }

    /// Sends neither beats nor answers any more, but still checks for silence.
    pub fn stop_sending(&mut self) {
        self.next_beat = None;
        self.answers = false;
    }

    /// Whether there is data.
    pub fn has_data(&self) -> bool {
        !self.inbox.is_empty()
    }

    /// Takes at most `max` bytes of the data that was read.
    pub fn take(&mut self, max: usize) -> Vec<u8> {
        let some = self.inbox.len().min(max);
        self.inbox.drain(..some).collect()
    }
}

pub(super) fn nanos(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX / 4)
}

#[cfg(test)]
#[path = "heartbeat_tests.rs"]
mod tests;
