//! Recordings of a lab: the packets on its wire and the faults, as a ladder and as a
//! pcapng file.

mod place;

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::pipe2;

use crate::capture::Capture;
use crate::error::LabError;
use crate::namespace::Namespace;
use halfopen_sys::clock::monotonic_ns;
use halfopen_wire::ladder::{self, Row};
use halfopen_wire::{Frame, Packet, PortInfo, WireRecord, pcapng, wire_record};

/// The most frames that are kept: 100 MB with what a frame costs in memory.
const MOST_FRAMES: usize = 200_000;

/// The ladder that is printed at the end.
const WIDTH: usize = 96;
const MOST_ROWS: usize = 60;

/// What a lab notes for its recordings.
#[derive(Debug, Default)]
pub(crate) struct Log(Mutex<Noted>);

#[derive(Debug, Default, Clone)]
struct Noted {
    /// When a fault took effect, CLOCK_MONOTONIC in nanoseconds, and which.
    events: Vec<(i64, String)>,
    /// The ports of the wire, those that are gone as well.
    ports: Vec<PortInfo>,
}

impl Log {
    pub(crate) fn event(&self, at_ns: i64, text: String) {
        lock(&self.0).events.push((at_ns, text));
    }

    pub(crate) fn port(&self, port: PortInfo) {
        lock(&self.0).ports.push(port);
    }
}

/// The packets on a lab's wire and its faults, from [`Lab::record`](crate::Lab::record) on.
///
/// When it is dropped it prints the ladder. libtest and nextest show what a test printed
/// when it has failed, so a test that holds a recording shows its ladder then. It also
/// writes the packets to `target/halfopen/TEST.pcapng`, for Wireshark, when the program lies
/// in a cargo target directory; the next run of the test replaces it.
#[derive(Debug)]
#[must_use = "it records until it is dropped"]
pub struct Recording {
    log: Arc<Log>,
    node_of: BTreeMap<IpAddr, String>,
    begun_ns: i64,
    captured: Arc<Mutex<Captured>>,
    /// Closed: the thread ends.
    stop: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Captured {
    capture: Capture,
    frames: Vec<Frame>,
    /// Frames beyond [`MOST_FRAMES`].
    not_kept: usize,
    error: Option<LabError>,
}

impl Captured {
    fn drain(&mut self) {
        if let Err(e) = self.capture.drain(&mut self.frames) {
            self.error = Some(e);
        }
        self.not_kept += self.frames.len().saturating_sub(MOST_FRAMES);
        self.frames.truncate(MOST_FRAMES);
    }
}

impl Recording {
    pub(crate) fn start(
        wire: &Namespace,
        log: Arc<Log>,
        node_of: BTreeMap<IpAddr, String>,
    ) -> Result<Recording, LabError> {
        let failed = |e: Errno| LabError::system("record a lab", e);
        let capture = Capture::open(wire)?;
        let frames = capture.as_fd().try_clone_to_owned();
        let frames = frames.map_err(|e| LabError::system("record a lab", e))?;
        let captured = Arc::new(Mutex::new(Captured {
            capture,
            frames: Vec::new(),
            not_kept: 0,
            error: None,
        }));
        let (ended, stop) = pipe2(OFlag::O_CLOEXEC).map_err(failed)?;
        let shared = Arc::clone(&captured);
        let thread = std::thread::Builder::new()
            .name("recording".into())
            .spawn(move || drain_until(&ended, &frames, &shared))
            .map_err(|e| LabError::system("record a lab", e))?;
        Ok(Recording {
            log,
            node_of,
            begun_ns: monotonic_ns(),
            captured,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// The packets so far, one for each cable that a packet entered. Times are nanoseconds
    /// since the recording began.
    pub fn packets(&self) -> Vec<Packet> {
        self.wire(&self.noted()).packets
    }

    /// The packets and the faults so far, on lifelines from top to bottom; of many rows
    /// those in the middle are left out.
    pub fn ladder(&self) -> String {
        let noted = self.noted();
        let wire = self.wire(&noted);
        // Its hosts, in the order of the ports, also where nothing was sent.
        let nodes = noted.ports.iter().map(|port| port.node.as_str());
        let lifelines = ladder::lifelines(&wire.packets, nodes);
        let events = noted.events.into_iter();
        let mut rows: Vec<Row> = events
            .map(|(at_ns, text)| Row::event(at_ns - self.begun_ns, text))
            .collect();
        let packets = wire.packets.iter();
        rows.extend(packets.filter_map(|packet| Row::packet(packet, &lifelines)));
        rows.sort_by_key(|row| row.at_ns);
        let cure = "they are in the pcapng file";
        let mut text = ladder::draw(&rows, &lifelines, WIDTH, MOST_ROWS, 0, cure);
        text.push_str(&ladder::sent(&wire.counts));
        let captured = lock(&self.captured);
        if wire.lost_by_capture > 0 || captured.not_kept > 0 {
            let (lost, not_kept) = (wire.lost_by_capture, captured.not_kept);
            text.push_str(&format!(
                "incomplete: {lost} frames were lost by the capture, {not_kept} were too many to keep\n"
            ));
        }
        if let Some(e) = &captured.error {
            text.push_str(&format!("incomplete: {e}\n"));
        }
        text
    }

    /// Writes the packets and the faults so far to a pcapng file, for Wireshark: each frame
    /// as both ends of its cable saw it, faults as comments.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let noted = self.noted();
        let mut captured = lock(&self.captured);
        captured.drain();
        let title = std::thread::current();
        let title = title.name().unwrap_or("a recording");
        let bytes = pcapng::encode(title, &captured.frames, &noted.ports, noted.events);
        std::fs::write(path, bytes)
    }

    /// What the lab has noted since the recording began.
    fn noted(&self) -> Noted {
        let mut noted = lock(&self.log.0).clone();
        noted.events.retain(|(at_ns, _)| *at_ns >= self.begun_ns);
        noted
    }

    fn wire(&self, noted: &Noted) -> WireRecord {
        let mut captured = lock(&self.captured);
        captured.drain();
        let lost = captured.capture.lost();
        let (ports, begun) = (&noted.ports, self.begun_ns);
        wire_record(&captured.frames, ports, &self.node_of, begun, lost)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // It does not panic, and only drains.
            let _ = thread.join();
        }
        // By print!, so that libtest can capture it.
        print!(
            "recorded on the wire, seconds since the recording began:\n{}",
            self.ladder()
        );
        match place::file() {
            None => {}
            Some(path) => match place::prepare(&path).and_then(|()| self.save(&path)) {
                Ok(()) => println!("packets: {}", path.display()),
                Err(e) => println!("packets were not written to {}: {e}", path.display()),
            },
        }
    }
}

/// Reads frames until the other end of `ended` is closed.
fn drain_until(ended: &OwnedFd, frames: &OwnedFd, captured: &Mutex<Captured>) {
    loop {
        let mut fds = [
            PollFd::new(ended.as_fd(), PollFlags::POLLIN),
            PollFd::new(frames.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return,
        }
        if fds[0].any().unwrap_or(false) {
            return;
        }
        lock(captured).drain();
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
