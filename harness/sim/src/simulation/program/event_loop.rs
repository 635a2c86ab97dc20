//! The event loop of a lane with heartbeats or many connections: what it waits for, and
//! what it does meanwhile; and the steps of a lane with heartbeats.

use super::super::SockId;
use super::super::clock::{Ns, ns};
use super::super::net::frame::End;
use super::super::trace::CallResult;
use super::beat::ANSWER;
use super::script::{Flow, Script, size};
use halfopen_scenario::case::{Action, OnSilence, Step};

/// How many bytes one read() takes at most.
const CHUNK: u64 = 64 * 1024;

/// What is waited for, besides heartbeats.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct WaitFor<'m> {
    pub deadline: Option<Ns>,
    pub mark: Option<&'m str>,
    pub keyboard: bool,
    pub listener: Option<SockId>,
    pub data: Option<Data>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Data {
    Of(u32),
    Any,
}

/// Why a wait has ended.
#[derive(Debug)]
pub(super) enum Wake {
    Deadline,
    /// The mark is set, or something was typed.
    Mark,
    Listener,
    Data(u32),
    Eof(u32),
    /// The peer was silent: what remains of its connection.
    Silent(Ended),
}

/// What remains of a connection.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    pub id: u32,
    name: Option<String>,
    peer: Option<End>,
}

impl<'a> Script<'a> {
    pub(super) fn set_eof(&mut self, index: usize) {
        let conn = &mut self.conns[index];
        conn.eof_unreported |= !conn.eof;
        conn.eof = true;
        conn.beat.stop_sending();
    }

    /// Waits; beats are sent and answered, and silence is checked for, meanwhile.
    pub(super) async fn wait(&mut self, wanted: &WaitFor<'_>) -> Wake {
        loop {
            if let Some(data) = wanted.data {
                let has = |c: &&super::script::Conn| {
                    c.beat.inbox > 0 && (data == Data::Any || data == Data::Of(c.id))
                };
                if let Some(conn) = self.conns.iter().find(has) {
                    return Wake::Data(conn.id);
                }
            }
            if let Some(conn) = self.conns.iter_mut().find(|c| c.eof_unreported) {
                conn.eof_unreported = false;
                return Wake::Eof(conn.id);
            }
            let due = self.conns.iter().filter_map(|c| c.beat.next_due()).min();
            let (marked, listener) = self.poll_all(wanted, due).await;
            if due.is_some_and(|at| at <= self.sys.now())
                && let Some(ended) = self.beat_and_check().await
            {
                return Wake::Silent(ended);
            }
            if marked {
                return Wake::Mark;
            }
            if listener {
                return Wake::Listener;
            }
            if wanted.deadline.is_some_and(|at| at <= self.sys.now()) {
                return Wake::Deadline;
            }
        }
    }

    /// One poll(), and a read() of each connection that is ready.
    async fn poll_all(&mut self, wanted: &WaitFor<'_>, due: Option<Ns>) -> (bool, bool) {
        self.sys.begin("poll").await;
        let readers: Vec<(u32, SockId)> = self
            .conns
            .iter()
            .filter(|conn| !conn.eof)
            .map(|conn| (conn.id, conn.sock))
            .collect();
        let next = due.into_iter().chain(wanted.deadline).min();
        // poll() counts whole milliseconds, rounded up.
        let deadline = next.map(|at| {
            let now = self.sys.now();
            let left = at.saturating_sub(now).div_ceil(1_000_000) * 1_000_000;
            if left == 0 {
                now
            } else {
                self.sys.with(|sim| sim.poll_timeout(left))
            }
        });
        let id = self.sys.id;
        let ready = self
            .sys
            .wait_until(deadline, |sim| {
                let ready: Vec<u32> = readers
                    .iter()
                    .filter(|(_, sock)| sim.poll_mask(*sock).is_ready())
                    .map(|(id, _)| *id)
                    .collect();
                let marked = wanted.mark.is_some_and(|mark| sim.marks.contains_key(mark))
                    || wanted.keyboard && sim.processes[id].typed > 0;
                let listener = wanted
                    .listener
                    .is_some_and(|listener| sim.poll_mask(listener).input);
                (marked || listener || !ready.is_empty()).then_some((ready, marked, listener))
            })
            .await;
        let Some((ready, marked, listener)) = ready else {
            return (false, false);
        };
        for id in ready {
            self.receive(id).await;
        }
        (marked, listener)
    }

    async fn receive(&mut self, id: u32) {
        let Some(index) = self.by_id(id) else { return };
        let sock = self.conns[index].sock;
        let limit = self.lane.detector.read_timeout;
        match self.sys.read(sock, CHUNK, limit).await {
            Err(_) | Ok((0, _)) => self.set_eof(index),
            Ok((bytes, kinds)) => {
                let now = self.sys.now();
                let answers = self.conns[index].beat.receive(bytes, &kinds, now);
                if answers > 0 && self.sys.write(sock, answers, Some(ANSWER)).await.is_err() {
                    self.set_eof(index);
                }
            }
        }
    }

    async fn beat_and_check(&mut self) -> Option<Ended> {
        let mut index = 0;
        while index < self.conns.len() {
            let now = self.sys.now();
            let conn = &mut self.conns[index];
            if conn.beat.next_due().is_none_or(|at| at > now) {
                index += 1;
                continue;
            }
            let (sock, byte) = (conn.sock, conn.beat.byte());
            if conn.beat.take_due(now) && self.sys.write(sock, 1, Some(byte)).await.is_err() {
                self.set_eof(index);
                index += 1;
                continue;
            }
            let conn = &mut self.conns[index];
            if conn.beat.is_silent(now) {
                self.sys
                    .record("heartbeat", now, CallResult::HeartbeatLost, Some(sock));
                let how = self.lane.detector.heartbeat.as_ref();
                let how = how.map_or(OnSilence::Close, |h| h.on_silence);
                if how == OnSilence::HalfClose && !conn.half_closed {
                    conn.beat.stop();
                    conn.half_closed = true;
                    self.sys.half_close(sock).await;
                } else {
                    let ended = self.ended(index);
                    let linger = (how == OnSilence::Reset).then_some(0);
                    self.close_conn(index, linger).await;
                    return Some(ended);
                }
            }
            index += 1;
        }
        None
    }

    fn ended(&self, index: usize) -> Ended {
        let conn = &self.conns[index];
        Ended {
            id: conn.id,
            name: conn.name.clone(),
            peer: conn.peer,
        }
    }

    /// Executes a step that waits, with heartbeats. None: as without.
    pub(super) async fn step_with_heartbeat(&mut self, step: &'a Step) -> Option<Flow> {
        self.lane.detector.heartbeat.as_ref()?;
        match &step.action {
            Action::Sleep { time } => {
                let deadline = Some(self.sys.now() + ns(*time));
                let wanted = WaitFor {
                    deadline,
                    ..WaitFor::default()
                };
                self.wait_only(&wanted).await;
                return Some(Flow::Next);
            }
            Action::WaitFor { mark } => {
                let wanted = WaitFor {
                    mark: Some(mark),
                    ..WaitFor::default()
                };
                self.wait_only(&wanted).await;
                return Some(Flow::Next);
            }
            Action::Keyboard => {
                let wanted = WaitFor {
                    keyboard: true,
                    ..WaitFor::default()
                };
                self.wait_only(&wanted).await;
                self.sys.keyboard().await;
                return Some(Flow::Next);
            }
            Action::Write { data } => {
                let Some(index) = self.find(step.conn.as_deref()) else {
                    return Some(Flow::End);
                };
                let id = self.conns[index].id;
                self.write_to(id, size(data)).await;
                return Some(Flow::Next);
            }
            _ => {}
        }
        let index = self.find(step.conn.as_deref())?;
        let conn = &self.conns[index];
        if conn.eof && conn.beat.inbox == 0 {
            return None;
        }
        let id = conn.id;
        match &step.action {
            Action::Read { bytes } => {
                if let Some(id) = self.wait_for_data(id).await {
                    self.take(id, u64::from(*bytes));
                }
            }
            Action::Drain => {
                let mut next = Some(id);
                while let Some(id) = next {
                    self.take(id, u64::MAX);
                    next = self.wait_for_data(id).await;
                }
            }
            Action::Echo => {
                let mut next = self.wait_for_data(id).await;
                while let Some(id) = next {
                    let bytes = self.take(id, u64::MAX);
                    let half = self.by_id(id).is_some_and(|i| self.conns[i].half_closed);
                    if !half && !self.write_to(id, bytes).await {
                        break;
                    }
                    next = self.wait_for_data(id).await;
                }
            }
            Action::Exchange { data } => self.exchange_with_heartbeat(id, size(data)).await,
            _ => return None,
        }
        Some(Flow::Next)
    }

    /// Waits for a moment or a mark, whatever becomes of the connections.
    async fn wait_only(&mut self, wanted: &WaitFor<'_>) {
        loop {
            match self.wait(wanted).await {
                Wake::Deadline | Wake::Mark => return,
                Wake::Eof(id) => {
                    self.handle_eof(id).await;
                }
                Wake::Silent(ended) => {
                    self.reconnect(&ended).await;
                }
                _ => {}
            }
        }
    }

    /// Waits for data of a connection, or of the one that replaces it. None: it has ended.
    async fn wait_for_data(&mut self, id: u32) -> Option<u32> {
        let mut id = id;
        loop {
            let wanted = WaitFor {
                data: Some(Data::Of(id)),
                ..WaitFor::default()
            };
            match self.wait(&wanted).await {
                Wake::Data(id) => return Some(id),
                Wake::Eof(ended) if ended == id => id = self.handle_eof(id).await?,
                Wake::Eof(ended) => {
                    self.handle_eof(ended).await;
                }
                Wake::Silent(ended) if ended.id == id => id = self.reconnect(&ended).await?,
                Wake::Silent(ended) => {
                    self.reconnect(&ended).await;
                }
                _ => {}
            }
        }
    }

    /// Nothing more comes from a connection. Returns the one that replaces it.
    async fn handle_eof(&mut self, id: u32) -> Option<u32> {
        let index = self.by_id(id)?;
        self.conns[index].beat.stop();
        let ended = self.ended(index);
        let heartbeat = self.lane.detector.heartbeat.as_ref();
        let again = ended.peer.is_some() && heartbeat.is_some_and(|h| h.reconnect.is_some());
        if again || self.conns[index].half_closed {
            self.close_conn(index, None).await;
        }
        self.reconnect(&ended).await
    }

    async fn reconnect(&mut self, ended: &Ended) -> Option<u32> {
        let how = self.lane.detector.heartbeat.as_ref()?.reconnect.clone()?;
        let peer = ended.peer?;
        let mut delay = ns(how.delay);
        let mut failed = 0;
        while how.limit.is_none_or(|limit| failed < limit) {
            let at = self.sys.now() + delay;
            self.sys.sleep_until(at).await;
            if self.connect_as(ended.name.clone(), peer, false).await {
                return self.conns.last().map(|conn| conn.id);
            }
            failed += 1;
            delay = (delay as f64 * how.backoff) as Ns;
        }
        None
    }

    fn take(&mut self, id: u32, most: u64) -> u64 {
        let Some(index) = self.by_id(id) else {
            return 0;
        };
        let inbox = &mut self.conns[index].beat.inbox;
        let taken = (*inbox).min(most);
        *inbox -= taken;
        taken
    }

    async fn write_to(&mut self, id: u32, bytes: u64) -> bool {
        let Some(index) = self.by_id(id) else {
            return false;
        };
        let sock = self.conns[index].sock;
        let written = self.write_all(sock, bytes).await;
        let now = self.sys.now();
        if let Some(index) = self.by_id(id) {
            self.conns[index].beat.data_sent(now);
        }
        written
    }

    async fn exchange_with_heartbeat(&mut self, id: u32, bytes: u64) {
        let mut id = id;
        loop {
            if !self.write_to(id, bytes).await {
                match self.handle_eof(id).await {
                    Some(new) => id = new,
                    None => return,
                }
                continue;
            }
            let mut left = bytes;
            while left > 0 {
                let Some(from) = self.wait_for_data(id).await else {
                    return;
                };
                if from != id {
                    id = from;
                    break;
                }
                left = left.saturating_sub(self.take(id, u64::MAX));
            }
            if left == 0 {
                return;
            }
        }
    }
}
