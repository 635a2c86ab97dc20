//! Simulates the heartbeats that `runner::endpoint` implements in the lanes. A heartbeat is
//! also data: TCP may give it up, or it may draw an RST.

use std::time::Duration;

use super::state::{Failure, Wait};
use super::{Evidence, Observation, Scheduled, Simulator};
use crate::rule::RuleId;
use crate::span::{Span, Spans};
use crate::text;
use crate::timers::application;
use crate::wheel::Phase;
use halfopen_scenario::case::{BeatWhen, Heartbeat, HeartbeatSender, OnEof, OnSilence, SignKind};

/// A program's time from waking to a call: events closer together than this may occur in
/// either order. In real time a case's start is less exact.
const TIE_WINDOW: (Duration, Duration) = (Duration::from_millis(3), Duration::from_millis(30));

/// Heartbeats, answers and data that are in flight, or were received.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Beats {
    pub beats: u32,
    pub answers: u32,
    pub data: bool,
}

impl Beats {
    pub fn is_empty(self) -> bool {
        self == Beats::default()
    }

    pub fn plus(self, more: Beats) -> Beats {
        Beats {
            beats: self.beats + more.beats,
            answers: self.answers + more.answers,
            data: self.data || more.data,
        }
    }
}

/// Heartbeat state of one end of a connection.
#[derive(Debug, Clone)]
pub(super) struct HeartbeatState<'a> {
    config: &'a Heartbeat,
    checks: bool,
    answers: bool,
    since: Option<Span>,
    next_beat: Option<Span>,
    next_check: Option<Span>,
    missed: u32,
}

impl<'a> HeartbeatState<'a> {
    /// The state of a connection made at `now`, at its client or its server.
    pub fn new(config: &'a Heartbeat, client: bool, now: Span) -> Self {
        let (own, other) = if client {
            (HeartbeatSender::Client, HeartbeatSender::Server)
        } else {
            (HeartbeatSender::Server, HeartbeatSender::Client)
        };
        let is = |sender| config.from == HeartbeatSender::Both || config.from == sender;
        let (sends, hears) = (is(own), is(other));
        let checks = if config.answered { sends } else { hears };
        HeartbeatState {
            config,
            checks,
            answers: config.answered && hears,
            since: (checks && !config.answered).then_some(now),
            next_beat: sends.then(|| now.after(config.every)),
            next_check: config
                .check_every
                .filter(|_| checks)
                .map(|every| now.after(every)),
            missed: 0,
        }
    }

    fn check_due(&self) -> Option<Span> {
        if !self.checks {
            return None;
        }
        match self.config.check_every {
            Some(_) => self.next_check,
            None => {
                let wait = self.config.timeout + self.config.every * self.missed;
                self.since.map(|since| since.after(wait))
            }
        }
    }

    /// When it has to act next.
    pub fn due(&self) -> Option<Duration> {
        let both = [self.next_beat, self.check_due()];
        both.into_iter().flatten().map(|at| at.earliest).min()
    }

    /// Records what was received. Returns the number of answers due.
    fn received(&mut self, beats: Beats, at: Span) -> u32 {
        let alive = match (self.config.when, self.config.answered) {
            (BeatWhen::Idle, _) => true,
            (BeatWhen::Always, true) => beats.answers > 0 || (beats.beats > 0 && !self.answers),
            (BeatWhen::Always, false) => beats.beats > 0,
        };
        if alive {
            self.missed = 0;
            self.since = (self.checks && !self.config.answered).then_some(at);
        }
        if self.answers { beats.beats } else { 0 }
    }

    /// Data was sent, which postpones the next heartbeat of the `idle` mode.
    pub fn data_sent(&mut self, at: Span) {
        if self.config.when == BeatWhen::Idle && self.next_beat.is_some() {
            self.next_beat = Some(at.after(self.config.every));
        }
    }

    fn stop(&mut self) {
        self.checks = false;
        self.answers = false;
        self.next_beat = None;
    }

    /// The check is due: returns when the peer counts as silent, if it does.
    fn check(&mut self, due: Span) -> Result<Option<Span>, String> {
        let limit = self.config.check_every.unwrap_or(self.config.timeout);
        let woken = due.plus(application::poll(limit).since(limit));
        let late = match self.config.check_every {
            None => true,
            Some(every) => {
                self.next_check = Some(due.after(every));
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

    /// The reason, as text.
    fn because(&self) -> String {
        let what = if self.config.answered {
            "the first beat that has no answer"
        } else {
            "the last beat that was heard"
        };
        let every = text::time(self.config.every);
        let timeout = text::time(self.config.timeout);
        let mut text = format!("a beat every {every}; {timeout} after {what}");
        if let Some(check) = self.config.check_every {
            text.push_str(&format!(", looked for every {}", text::time(check)));
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

impl Simulator<'_> {
    /// Whether the process waits in one poll() over all its connections (the event loop of
    /// `runner::endpoint`).
    pub(super) fn runs_event_loop(&self, p: usize) -> bool {
        let process = &self.processes[p];
        let waits = matches!(
            process.wait,
            Wait::Mark(_) | Wait::Until(_) | Wait::Keyboard | Wait::Read { .. }
        );
        let beats = process.lane.detector.heartbeat.is_some();
        matches!(process.wait, Wait::Multiplex { .. }) || (beats && waits)
    }

    /// Attaches the heartbeat state to a connection.
    pub(super) fn attach_heartbeat(&mut self, sock: usize, client: bool, at: Span) {
        let config = self.socks[sock].lane.detector.heartbeat.as_ref();
        self.socks[sock].heartbeat = config.map(|config| HeartbeatState::new(config, client, at));
    }

    pub(super) fn tie_window(&self) -> Duration {
        match self.kernel.phase {
            Phase::Known { .. } => TIE_WINDOW.0,
            Phase::Unknown => TIE_WINDOW.1,
        }
    }

    /// Whether this end's own next heartbeat is due within the tie window of `at`.
    pub(super) fn beats_within(&self, sock: usize, at: Span) -> bool {
        let tie = self.tie_window();
        let next = self.socks[sock]
            .heartbeat
            .as_ref()
            .and_then(|h| h.next_beat);
        next.is_some_and(|due| due.earliest <= at.latest + tie && at.earliest <= due.latest + tie)
    }

    /// When the next heartbeat or check is due.
    pub(super) fn next_heartbeat_due(&self) -> Option<Duration> {
        let able = |p: &usize| self.processes[*p].alive && !self.processes[*p].frozen;
        let run_event_loop = (0..self.processes.len()).filter(able);
        run_event_loop
            .filter(|p| self.runs_event_loop(*p))
            .flat_map(|p| self.processes[p].connections.iter())
            .filter_map(|(_, sock)| self.socks[*sock].heartbeat.as_ref()?.due())
            .min()
    }

    /// Runs one iteration of a lane's poll() loop. Returns whether it did anything.
    pub(super) fn run_event_loop(&mut self, p: usize) -> Result<bool, String> {
        let mut progressed = false;
        let open: Vec<usize> = self.processes[p]
            .connections
            .iter()
            .map(|(_, s)| *s)
            .collect();
        for sock in open {
            progressed |= self.take_beats(p, sock)?;
            progressed |= self.read_end(p, sock)?;
            progressed |= self.send_due_beat(p, sock)?;
            progressed |= self.check_heartbeat(p, sock)?;
        }
        Ok(progressed)
    }

    fn take_beats(&mut self, p: usize, sock: usize) -> Result<bool, String> {
        let beats = std::mem::take(&mut self.socks[sock].beats_received);
        if beats.is_empty() {
            return Ok(false);
        }
        let at = self.socks[sock]
            .beats_received_at
            .both(self.processes[p].at);
        let Some(heartbeat) = &mut self.socks[sock].heartbeat else {
            return Ok(false);
        };
        let answers = heartbeat.received(beats, at);
        self.ack_on_read(sock, at)?;
        if answers > 0 {
            let at = self.write_time(p, at);
            let more = Beats {
                answers,
                ..Beats::default()
            };
            self.send_beats(sock, more, at)?;
        }
        Ok(true)
    }

    /// End of file and errors are read at once.
    fn read_end(&mut self, p: usize, sock: usize) -> Result<bool, String> {
        let s = &mut self.socks[sock];
        let reads = matches!(self.processes[p].wait, Wait::Read { sock: of, .. } if of == sock);
        if s.unread > 0 || reads || s.ended || (s.fin.is_none() && s.error.is_none()) {
            return Ok(false);
        }
        s.ended = true;
        if let Some(heartbeat) = &mut s.heartbeat {
            // A server that ignores an end of file continues to check.
            let ignores = matches!(self.processes[p].wait, Wait::Multiplex { on_eof, .. }
                if on_eof == OnEof::Ignore);
            heartbeat.next_beat = None;
            heartbeat.answers = false;
            if !ignores {
                heartbeat.stop();
            }
        }
        let wait = self.processes[p].wait.clone();
        match (s.fin, s.error.take()) {
            (Some(fin), _) => {
                let because = "the peer's FIN says that no more will come";
                let evidence = Evidence::now(fin, because, RuleId::EndOfFile);
                self.observe(p, "read", SignKind::Eof, evidence);
            }
            (None, Some(error)) => {
                let errno = SignKind::Errno(error.errno.into());
                self.observe(p, "read", errno, error.into());
            }
            (None, None) => {}
        }
        self.may_reconnect(p, sock)?;
        if matches!(wait, Wait::Multiplex { on_eof, .. } if on_eof == OnEof::Close) {
            let at = self.processes[p].at;
            self.processes[p].connections.retain(|(_, s)| *s != sock);
            self.close(sock, at, false)?;
        }
        self.processes[p].wait = wait;
        Ok(true)
    }

    fn send_due_beat(&mut self, p: usize, sock: usize) -> Result<bool, String> {
        let (now, tie) = (self.now, self.tie_window());
        let Some(heartbeat) = &mut self.socks[sock].heartbeat else {
            return Ok(false);
        };
        let Some(due) = heartbeat.next_beat.filter(|due| due.earliest <= now) else {
            return Ok(false);
        };
        let config = heartbeat.config;
        let at = due.both(self.processes[p].at);
        // After a pause one heartbeat replaces all that were missed.
        let late = at.earliest >= due.earliest + config.every;
        let next = if late { at } else { due };
        heartbeat.next_beat = Some(next.after(config.every));
        let slack = application::poll(config.every).since(config.every);
        let at = self.write_time(p, at.plus(slack));
        if let Some(heartbeat) = &mut self.socks[sock].heartbeat
            && config.answered
            && heartbeat.since.is_none()
        {
            heartbeat.since = Some(at);
        }
        if self.fault_ties(at, tie) {
            return Err("whether a beat or the fault is first".into());
        }
        let beat = Beats {
            beats: 1,
            ..Beats::default()
        };
        self.send_beats(sock, beat, at)?;
        Ok(true)
    }

    /// Whether a network event falls within the tie window of a heartbeat.
    pub(super) fn fault_ties(&self, at: Span, tie: Duration) -> bool {
        let near = |time: Duration| time + tie >= at.earliest && time <= at.latest + tie;
        let event = |scheduled: &Scheduled<'_>| {
            !matches!(
                scheduled,
                Scheduled::Packet(_) | Scheduled::DelayedAck { .. } | Scheduled::Reset { .. }
            )
        };
        let coming = self
            .scheduled
            .iter()
            .any(|(time, l)| event(l) && near(*time));
        let just = self.fault.is_some() && self.last_event.latest + tie >= at.earliest;
        coming || just && near(self.last_event.earliest)
    }

    /// When the program makes the write that is due at this moment, if that is known.
    fn write_time(&mut self, p: usize, due: Span) -> Span {
        let near = due.latest + Duration::from_millis(20);
        let process = &mut self.processes[p];
        let next = process.next_call("write");
        let Some(act) = next.filter(|at| at.earliest <= near && at.latest >= due.earliest) else {
            return due;
        };
        if let Some(index) = process.calls.iter().position(|act| act.call == "write") {
            process.calls.drain(..=index);
        }
        act
    }

    fn send_beats(&mut self, sock: usize, beats: Beats, at: Span) -> Result<(), String> {
        if !self.socks[sock].exists || self.socks[sock].fin_sent || self.socks[sock].broken {
            return Ok(());
        }
        self.socks[sock].beats_in_flight = self.socks[sock].beats_in_flight.plus(beats);
        self.send(sock, 0, at)
    }

    fn check_heartbeat(&mut self, p: usize, sock: usize) -> Result<bool, String> {
        let now = self.now;
        let Some(heartbeat) = &mut self.socks[sock].heartbeat else {
            return Ok(false);
        };
        let Some(due) = heartbeat.check_due().filter(|due| due.earliest <= now) else {
            return Ok(false);
        };
        let config = heartbeat.config;
        let due = due.both(self.processes[p].at);
        let Some(at) = heartbeat.check(due)? else {
            return Ok(true);
        };
        let because = heartbeat.because();
        let what = if config.answered { "answer" } else { "beat" };
        if self.beat_ties(sock, at) {
            return Err(format!(
                "whether the next {what} or the look for it is first"
            ));
        }
        if self.both_time_out(sock, at)? {
            return Err("which of two programs that look at the same time is first".into());
        }
        let lane = self.processes[p].lane.name.clone();
        self.observations.push(Observation {
            lane,
            call: "heartbeat".into(),
            kind: SignKind::HeartbeatLost,
            at: Spans::one(at),
            because,
            rules: vec![RuleId::Heartbeat],
            undecided: None,
        });
        self.heartbeat_timed_out(p, sock, config, at)?;
        Ok(true)
    }

    /// Whether the other end sends a heartbeat just when this one checks.
    fn beat_ties(&self, sock: usize, at: Span) -> bool {
        let peer = &self.socks[self.socks[sock].peer];
        let tie = self.tie_window();
        let next = peer.heartbeat.as_ref().and_then(|h| h.next_beat);
        let stopped = |s: usize| {
            let holds = |p: &&super::Process<'_>| p.connections.iter().any(|(_, of)| *of == s);
            self.processes
                .iter()
                .find(holds)
                .is_none_or(|p| !p.alive || p.frozen)
        };
        peer.exists
            && peer.outgoing.is_none()
            && !stopped(self.socks[sock].peer)
            && next.is_some_and(|n| n.earliest <= at.latest + tie && n.latest + tie >= at.earliest)
    }

    /// Whether the other end times out just when this one does, and its FIN or RST arrives
    /// here, or this one's there.
    fn both_time_out(&self, sock: usize, at: Span) -> Result<bool, String> {
        let tie = self.tie_window();
        let peer = self.socks[sock].peer;
        let check_at = self.socks[peer]
            .heartbeat
            .as_ref()
            .and_then(HeartbeatState::check_due);
        let near = check_at
            .is_some_and(|l| l.earliest <= at.latest + tie && l.latest + tie >= at.earliest);
        let open = |s: usize| {
            let holds = |p: &&super::Process<'_>| p.connections.iter().any(|(_, of)| *of == s);
            let process = self.processes.iter().find(holds);
            process.is_some_and(|p| p.alive && !p.frozen)
        };
        if !near || !self.socks[peer].exists || !open(peer) || self.has_delay(sock)? {
            return Ok(false);
        }
        let mut both = self.socks[peer].heartbeat.clone();
        let late = both.as_mut().zip(check_at).map(|(h, due)| h.check(due));
        if late.transpose()?.flatten().is_none() {
            return Ok(false);
        }
        let tells = |from: usize, to: usize| -> Result<bool, String> {
            let heard = self.is_watched(&self.socks[to].lane.name);
            Ok(heard && self.fin_or_rst_arrives(from, at)?)
        };
        Ok(tells(peer, sock)? || tells(sock, peer)?)
    }

    fn heartbeat_timed_out(
        &mut self,
        p: usize,
        sock: usize,
        config: &Heartbeat,
        at: Span,
    ) -> Result<(), String> {
        if config.on_silence == OnSilence::HalfClose && !self.socks[sock].fin_sent {
            if let Some(heartbeat) = &mut self.socks[sock].heartbeat {
                heartbeat.stop();
            }
            return self.send_fin(sock, at);
        }
        self.processes[p].connections.retain(|(_, s)| *s != sock);
        let reading = matches!(self.processes[p].wait, Wait::Read { sock: of, .. } if of == sock);
        if reading {
            self.wake(p, Some(at));
        }
        self.close(sock, at, config.on_silence == OnSilence::Reset)?;
        self.may_reconnect(p, sock)
    }

    /// What a client does after its connection ended is not simulated.
    fn may_reconnect(&self, p: usize, sock: usize) -> Result<(), String> {
        let lane = self.processes[p].lane;
        let again = lane.detector.heartbeat.as_ref();
        let again = again.is_some_and(|h| h.reconnect.is_some());
        // The client's socket has the lower index.
        if again && sock < self.socks[sock].peer && !self.is_watched(&lane.name) {
            return Err("a client that connects again".into());
        }
        Ok(())
    }

    /// The order after a heal is not simulated: a FIN that is retransmitted, or the other
    /// end's retransmitted data.
    pub(super) fn check_no_fin_in_flight(&self) -> Result<(), String> {
        let again = |s: &super::Sock<'_>| {
            let peer = &self.socks[s.peer];
            s.exists && s.fin_sent && s.heartbeat.is_some() && peer.exists && peer.fin.is_none()
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

    /// A poll() server: it accepts while it has free slots, and serves data.
    pub(super) fn run_multiplexer(&mut self, p: usize) -> Result<bool, String> {
        let Wait::Multiplex { slots, echo, .. } = self.processes[p].wait.clone() else {
            return Ok(false);
        };
        let wait = self.processes[p].wait.clone();
        let taken = self.processes[p].connections.len();
        let free = slots.is_none_or(|most| (taken as u64) < u64::from(most));
        if free && self.try_accept(p, 1)? {
            self.processes[p].wait = wait;
            return Ok(true);
        }
        let mut open = self.processes[p].connections.iter().map(|(_, s)| *s);
        let Some(sock) = open.rfind(|s| self.socks[*s].unread > 0) else {
            return Ok(false);
        };
        let (bytes, at) = (self.socks[sock].unread, self.socks[sock].unread_at);
        self.socks[sock].unread = 0;
        self.wake(p, Some(at));
        self.ack_on_read(sock, self.processes[p].at)?;
        if echo && !self.socks[sock].fin_sent {
            self.write(p, sock, bytes)?;
        }
        self.processes[p].wait = wait;
        Ok(true)
    }
}

impl Failure {
    /// The same failure, of data that was a heartbeat.
    pub fn of_heartbeat(mut self) -> Self {
        self.because = format!("a beat is data that nobody acknowledges: {}", self.because);
        self.rules.push(RuleId::Heartbeat);
        self
    }
}
