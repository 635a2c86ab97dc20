//! Heartbeats in a story: the application's own, kept by `endpoint::heart`. A
//! beat is also data: it can be what the kernel gives up, or what draws an RST.

use std::time::Duration;

use super::process::{Failure, Wait};
use super::{Evidence, Later, Seen, World};
use crate::limits;
use crate::rule::RuleId;
use crate::span::{Span, Spans};
use crate::wheel::Phase;
use crate::words;
use halfopen_scenario::case::{BeatWhen, Heartbeat, HeartbeatSender, OnEof, OnSilence, SignKind};

/// A program's own time from waking to a call: the order of things closer
/// together than this is a race. In real time a case's start is less exact.
const RACE: (Duration, Duration) = (Duration::from_millis(3), Duration::from_millis(30));

/// What a heart counts of what is on its way, or has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Signs {
    pub beats: u32,
    pub answers: u32,
    pub data: bool,
}

impl Signs {
    pub fn none(self) -> bool {
        self == Signs::default()
    }

    pub fn plus(self, more: Signs) -> Signs {
        Signs {
            beats: self.beats + more.beats,
            answers: self.answers + more.answers,
            data: self.data || more.data,
        }
    }
}

/// The heart of one end of a connection.
#[derive(Debug, Clone)]
pub(super) struct Heart<'a> {
    config: &'a Heartbeat,
    checks: bool,
    answers: bool,
    since: Option<Span>,
    next_beat: Option<Span>,
    next_look: Option<Span>,
    missed: u32,
}

impl<'a> Heart<'a> {
    /// Of a connection made at `now`, by its client or its server.
    pub fn new(config: &'a Heartbeat, client: bool, now: Span) -> Self {
        let (own, other) = if client {
            (HeartbeatSender::Client, HeartbeatSender::Server)
        } else {
            (HeartbeatSender::Server, HeartbeatSender::Client)
        };
        let is = |beater| config.from == HeartbeatSender::Both || config.from == beater;
        let (sends, hears) = (is(own), is(other));
        let checks = if config.answered { sends } else { hears };
        Heart {
            config,
            checks,
            answers: config.answered && hears,
            since: (checks && !config.answered).then_some(now),
            next_beat: sends.then(|| now.after(config.every)),
            next_look: config
                .check_every
                .filter(|_| checks)
                .map(|every| now.after(every)),
            missed: 0,
        }
    }

    fn look(&self) -> Option<Span> {
        if !self.checks {
            return None;
        }
        match self.config.check_every {
            Some(_) => self.next_look,
            None => {
                let wait = self.config.timeout + self.config.every * self.missed;
                self.since.map(|since| since.after(wait))
            }
        }
    }

    /// When it has something to do next.
    pub fn due(&self) -> Option<Duration> {
        let both = [self.next_beat, self.look()];
        both.into_iter().flatten().map(|at| at.earliest).min()
    }

    /// How many answers what has come calls for.
    fn hears(&mut self, signs: Signs, at: Span) -> u32 {
        let alive = match (self.config.when, self.config.answered) {
            (BeatWhen::Idle, _) => true,
            (BeatWhen::Always, true) => signs.answers > 0 || (signs.beats > 0 && !self.answers),
            (BeatWhen::Always, false) => signs.beats > 0,
        };
        if alive {
            self.missed = 0;
            self.since = (self.checks && !self.config.answered).then_some(at);
        }
        if self.answers { signs.beats } else { 0 }
    }

    /// Data was sent, which puts off the next beat of an idle heart.
    pub fn sent(&mut self, at: Span) {
        if self.config.when == BeatWhen::Idle && self.next_beat.is_some() {
            self.next_beat = Some(at.after(self.config.every));
        }
    }

    fn stop(&mut self) {
        self.checks = false;
        self.answers = false;
        self.next_beat = None;
    }

    /// It is time to look: when silence was found, if too much of it was.
    fn looks(&mut self, due: Span) -> Result<Option<Span>, String> {
        let limit = self.config.check_every.unwrap_or(self.config.timeout);
        let woken = due.plus(limits::poll(limit).since(limit));
        let late = match self.config.check_every {
            None => true,
            Some(every) => {
                self.next_look = Some(due.after(every));
                match self.since {
                    None => false,
                    Some(since) => {
                        let over = since.after(self.config.timeout);
                        if over.earliest <= woken.latest && over.latest > woken.earliest {
                            return Err("whether the last beat is old enough at a look".into());
                        }
                        over.latest <= woken.earliest
                    }
                }
            }
        };
        self.missed = if late { self.missed + 1 } else { 0 };
        Ok((self.missed >= self.config.misses).then_some(woken))
    }

    /// Why, in words.
    fn because(&self) -> String {
        let what = if self.config.answered {
            "the first beat that has no answer"
        } else {
            "the last beat that was heard"
        };
        let every = words::time(self.config.every);
        let timeout = words::time(self.config.timeout);
        let mut text = format!("a beat every {every}; {timeout} after {what}");
        if let Some(check) = self.config.check_every {
            text.push_str(&format!(", looked for every {}", words::time(check)));
        }
        if self.config.misses > 1 {
            text.push_str(&format!(
                ", and {} misses in a row, {every} apart",
                self.config.misses
            ));
        }
        text
    }
}

impl World<'_> {
    /// Whether a process's waits are one poll() over all its connections
    /// (`endpoint::pulse`).
    pub(super) fn pulses(&self, p: usize) -> bool {
        let process = &self.processes[p];
        let waits = matches!(
            process.wait,
            Wait::Mark(_) | Wait::Until(_) | Wait::Keyboard | Wait::Read { .. }
        );
        let beats = process.lane.detector.heartbeat.is_some();
        matches!(process.wait, Wait::Multiplex { .. }) || (beats && waits)
    }

    /// A connection gets its heart.
    pub(super) fn gets_heart(&mut self, sock: usize, client: bool, at: Span) {
        let config = self.socks[sock].lane.detector.heartbeat.as_ref();
        self.socks[sock].heart = config.map(|config| Heart::new(config, client, at));
    }

    pub(super) fn race(&self) -> Duration {
        match self.kernel.phase {
            Phase::Known { .. } => RACE.0,
            Phase::Unknown => RACE.1,
        }
    }

    /// When hearts have something to do next.
    pub(super) fn hearts_due(&self) -> Option<Duration> {
        let able = |p: &usize| self.processes[*p].alive && !self.processes[*p].frozen;
        let pulse = (0..self.processes.len()).filter(able);
        pulse
            .filter(|p| self.pulses(*p))
            .flat_map(|p| self.processes[p].open.iter())
            .filter_map(|(_, sock)| self.socks[*sock].heart.as_ref()?.due())
            .min()
    }

    /// What one turn of a lane's poll() does for its connections. Whether it
    /// did anything.
    pub(super) fn pulse(&mut self, p: usize) -> Result<bool, String> {
        let mut moved = false;
        let open: Vec<usize> = self.processes[p].open.iter().map(|(_, s)| *s).collect();
        for sock in open {
            moved |= self.hears(p, sock)?;
            moved |= self.is_over(p, sock)?;
            moved |= self.beats(p, sock)?;
            moved |= self.looks(p, sock)?;
        }
        Ok(moved)
    }

    fn hears(&mut self, p: usize, sock: usize) -> Result<bool, String> {
        let signs = std::mem::take(&mut self.socks[sock].heard);
        if signs.none() {
            return Ok(false);
        }
        let at = self.socks[sock].heard_at.both(self.processes[p].at);
        let Some(heart) = &mut self.socks[sock].heart else {
            return Ok(false);
        };
        let answers = heart.hears(signs, at);
        self.acknowledges_by_reading(sock, at)?;
        if answers > 0 {
            let at = self.writes_sign(p, at);
            let more = Signs {
                answers,
                ..Signs::default()
            };
            self.sends_sign(sock, more, at)?;
        }
        Ok(true)
    }

    /// End of file, or an error, is read at once.
    fn is_over(&mut self, p: usize, sock: usize) -> Result<bool, String> {
        let s = &mut self.socks[sock];
        let reads = matches!(self.processes[p].wait, Wait::Read { sock: of, .. } if of == sock);
        if s.unread > 0 || reads || s.over || (s.fin.is_none() && s.error.is_none()) {
            return Ok(false);
        }
        s.over = true;
        if let Some(heart) = &mut s.heart {
            // A server that does not care about an end of file goes on looking.
            let ignores = matches!(self.processes[p].wait, Wait::Multiplex { on_eof, .. }
                if on_eof == OnEof::Ignore);
            heart.next_beat = None;
            heart.answers = false;
            if !ignores {
                heart.stop();
            }
        }
        let wait = self.processes[p].wait.clone();
        match (s.fin, s.error.take()) {
            (Some(fin), _) => {
                let because = "the peer's FIN says that no more will come";
                let seen = Evidence::now(fin, because, RuleId::EndOfFile);
                self.shows(p, "read", SignKind::Eof, seen);
            }
            (None, Some(error)) => {
                let errno = SignKind::Errno(error.errno.into());
                self.shows(p, "read", errno, error.into());
            }
            (None, None) => {}
        }
        self.may_reconnect(p, sock)?;
        if matches!(wait, Wait::Multiplex { on_eof, .. } if on_eof == OnEof::Close) {
            let at = self.processes[p].at;
            self.processes[p].open.retain(|(_, s)| *s != sock);
            self.close(sock, at, false)?;
        }
        self.processes[p].wait = wait;
        Ok(true)
    }

    fn beats(&mut self, p: usize, sock: usize) -> Result<bool, String> {
        let (now, race) = (self.now, self.race());
        let Some(heart) = &mut self.socks[sock].heart else {
            return Ok(false);
        };
        let Some(due) = heart.next_beat.filter(|due| due.earliest <= now) else {
            return Ok(false);
        };
        let config = heart.config;
        let at = due.both(self.processes[p].at);
        // After a pause one beat stands for all that were missed.
        let late = at.earliest >= due.earliest + config.every;
        let next = if late { at } else { due };
        heart.next_beat = Some(next.after(config.every));
        let slack = limits::poll(config.every).since(config.every);
        let at = self.writes_sign(p, at.plus(slack));
        if let Some(heart) = &mut self.socks[sock].heart
            && config.answered
            && heart.since.is_none()
        {
            heart.since = Some(at);
        }
        if self.fault_is_near(at, race) {
            return Err("whether a beat or the fault is first".into());
        }
        let beat = Signs {
            beats: 1,
            ..Signs::default()
        };
        self.sends_sign(sock, beat, at)?;
        Ok(true)
    }

    /// An event of the network comes about when a beat does.
    pub(super) fn fault_is_near(&self, at: Span, race: Duration) -> bool {
        let near = |time: Duration| time + race >= at.earliest && time <= at.latest + race;
        let event = |later: &Later<'_>| {
            !matches!(
                later,
                Later::Packet(_) | Later::DelayedAck { .. } | Later::Reset { .. }
            )
        };
        let coming = self.later.iter().any(|(time, l)| event(l) && near(*time));
        let just = self.fault.is_some() && self.moment.latest + race >= at.earliest;
        coming || just && near(self.moment.earliest)
    }

    /// When a program that means to write at this moment does, where that is known.
    fn writes_sign(&mut self, p: usize, due: Span) -> Span {
        let near = due.latest + Duration::from_millis(20);
        let process = &mut self.processes[p];
        let next = process.next_act("write");
        let Some(act) = next.filter(|at| at.earliest <= near && at.latest >= due.earliest) else {
            return due;
        };
        if let Some(index) = process.acts.iter().position(|act| act.call == "write") {
            process.acts.drain(..=index);
        }
        act
    }

    fn sends_sign(&mut self, sock: usize, signs: Signs, at: Span) -> Result<(), String> {
        if !self.socks[sock].exists || self.socks[sock].fin_sent || self.socks[sock].broken {
            return Ok(());
        }
        self.socks[sock].sending = self.socks[sock].sending.plus(signs);
        self.send(sock, 0, at)
    }

    fn looks(&mut self, p: usize, sock: usize) -> Result<bool, String> {
        let now = self.now;
        let Some(heart) = &mut self.socks[sock].heart else {
            return Ok(false);
        };
        let Some(due) = heart.look().filter(|due| due.earliest <= now) else {
            return Ok(false);
        };
        let config = heart.config;
        let due = due.both(self.processes[p].at);
        let Some(at) = heart.looks(due)? else {
            return Ok(true);
        };
        let because = heart.because();
        let what = if config.answered { "answer" } else { "beat" };
        if self.beat_is_near(sock, at) {
            return Err(format!(
                "whether the next {what} or the look for it is first"
            ));
        }
        if self.both_look(sock, at)? {
            return Err("which of two programs that look at the same time is first".into());
        }
        let lane = self.processes[p].lane.name.clone();
        self.signs.push(Seen {
            lane,
            call: "heartbeat".into(),
            kind: SignKind::HeartbeatLost,
            at: Spans::one(at),
            because,
            rules: vec![RuleId::Heartbeat],
            open: None,
        });
        self.found_silent(p, sock, config, at)?;
        Ok(true)
    }

    /// The other end beats just when this one looks.
    fn beat_is_near(&self, sock: usize, at: Span) -> bool {
        let peer = &self.socks[self.socks[sock].peer];
        let race = self.race();
        let next = peer.heart.as_ref().and_then(|h| h.next_beat);
        let stopped = |s: usize| {
            let holds = |p: &&super::Process<'_>| p.open.iter().any(|(_, of)| *of == s);
            self.processes
                .iter()
                .find(holds)
                .is_none_or(|p| !p.alive || p.frozen)
        };
        peer.exists
            && peer.outgoing.is_none()
            && !stopped(self.socks[sock].peer)
            && next
                .is_some_and(|n| n.earliest <= at.latest + race && n.latest + race >= at.earliest)
    }

    /// The other end finds silence just when this one does, and what it says by
    /// that gets here, or what this one says gets there.
    fn both_look(&self, sock: usize, at: Span) -> Result<bool, String> {
        let race = self.race();
        let peer = self.socks[sock].peer;
        let looks = self.socks[peer].heart.as_ref().and_then(Heart::look);
        let near =
            looks.is_some_and(|l| l.earliest <= at.latest + race && l.latest + race >= at.earliest);
        let open = |s: usize| {
            let holds = |p: &&super::Process<'_>| p.open.iter().any(|(_, of)| *of == s);
            let process = self.processes.iter().find(holds);
            process.is_some_and(|p| p.alive && !p.frozen)
        };
        if !near || !self.socks[peer].exists || !open(peer) || self.is_far(sock)? {
            return Ok(false);
        }
        let mut both = self.socks[peer].heart.clone();
        let late = both.as_mut().zip(looks).map(|(h, due)| h.looks(due));
        if late.transpose()?.flatten().is_none() {
            return Ok(false);
        }
        let says = |from: usize, to: usize| -> Result<bool, String> {
            let heard = self.is_watched(&self.socks[to].lane.name);
            Ok(heard && self.goodbye_arrives(from, at)?)
        };
        Ok(says(peer, sock)? || says(sock, peer)?)
    }

    fn found_silent(
        &mut self,
        p: usize,
        sock: usize,
        config: &Heartbeat,
        at: Span,
    ) -> Result<(), String> {
        if config.on_silence == OnSilence::HalfClose && !self.socks[sock].fin_sent {
            if let Some(heart) = &mut self.socks[sock].heart {
                heart.stop();
            }
            return self.send_fin(sock, at);
        }
        self.processes[p].open.retain(|(_, s)| *s != sock);
        let reading = matches!(self.processes[p].wait, Wait::Read { sock: of, .. } if of == sock);
        if reading {
            self.wakes(p, Some(at));
        }
        self.close(sock, at, config.on_silence == OnSilence::Reset)?;
        self.may_reconnect(p, sock)
    }

    /// What a client does after its connection the rules do not follow.
    fn may_reconnect(&self, p: usize, sock: usize) -> Result<(), String> {
        let lane = self.processes[p].lane;
        let again = lane.detector.heartbeat.as_ref();
        let again = again.is_some_and(|h| h.reconnect.is_some());
        // A client's own number is the lower one.
        if again && sock < self.socks[sock].peer && !self.is_watched(&lane.name) {
            return Err("a client that connects again".into());
        }
        Ok(())
    }

    /// Which comes first once the path is back is not followed: a FIN that is
    /// sent again, or what the other end sends again.
    pub(super) fn no_fin_under_way(&self) -> Result<(), String> {
        let again = |s: &super::Sock<'_>| {
            let peer = &self.socks[s.peer];
            s.exists && s.fin_sent && s.heart.is_some() && peer.exists && peer.fin.is_none()
        };
        if self.socks.iter().any(again) {
            return Err(
                "a FIN that is sent again, and the other end's data that is sent again: \
                        which of them is first after the heal"
                    .into(),
            );
        }
        Ok(())
    }

    /// A server by poll(): it takes who calls while it has room, and serves data.
    pub(super) fn multiplexes(&mut self, p: usize) -> Result<bool, String> {
        let Wait::Multiplex { slots, echo, .. } = self.processes[p].wait.clone() else {
            return Ok(false);
        };
        let wait = self.processes[p].wait.clone();
        let taken = self.processes[p].open.len();
        let free = slots.is_none_or(|most| (taken as u64) < u64::from(most));
        if free && self.accepts(p, 1)? {
            self.processes[p].wait = wait;
            return Ok(true);
        }
        let mut open = self.processes[p].open.iter().map(|(_, s)| *s);
        let Some(sock) = open.rfind(|s| self.socks[*s].unread > 0) else {
            return Ok(false);
        };
        let (bytes, at) = (self.socks[sock].unread, self.socks[sock].unread_at);
        self.socks[sock].unread = 0;
        self.wakes(p, Some(at));
        self.acknowledges_by_reading(sock, self.processes[p].at)?;
        if echo && !self.socks[sock].fin_sent {
            self.writes(p, sock, bytes)?;
        }
        self.processes[p].wait = wait;
        Ok(true)
    }
}

impl Failure {
    /// The same failure, of data that was a beat.
    pub fn of_a_beat(mut self) -> Self {
        self.because = format!("a beat is data that nobody acknowledges: {}", self.because);
        self.rules.push(RuleId::Heartbeat);
        self
    }
}
