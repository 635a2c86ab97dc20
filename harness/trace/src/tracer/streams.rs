//! The program's output and input, and the caller's requests.

use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signalfd::SignalFd;
use nix::unistd::{read, write};

use super::{Tracer, now_ns};
use crate::SignalNumber;
use crate::control::{Decoder, Request, Target};
use crate::error::TraceError;
use crate::event::{Event, Stream, What};
use crate::launch::Ends;
use crate::lines::{Lines, Piece};
use crate::program::{Program, Stdin};
use halfopen_sys::process::send_signal;

/// Twice the size of a pipe.
const CHUNK: usize = 128 << 10;

/// One stream of output.
struct Outlet {
    fd: OwnedFd,
    lines: Lines,
}

/// Standard input that the tracer writes.
struct Inlet {
    fd: OwnedFd,
    text: Vec<u8>,
    /// It ends once everything is written.
    closing: bool,
}

pub(super) struct Streams {
    outlets: Vec<Outlet>,
    inlet: Option<Inlet>,
    control: Option<(OwnedFd, Decoder)>,
    buffer: Vec<u8>,
}

/// What poll() found.
#[derive(Default)]
struct Found {
    stops: bool,
    control: bool,
    inlet: bool,
    outlets: [bool; 2],
}

impl Streams {
    pub(super) fn new(program: &Program, ends: &mut Ends, control: Option<OwnedFd>) -> Self {
        let outlet = |fd: Option<OwnedFd>, stream| {
            let fd = fd?;
            set_nonblocking(&fd);
            let lines = Lines::new(stream, program.output_limit);
            Some(Outlet { fd, lines })
        };
        let outlets = [
            outlet(ends.stdout.take(), Stream::Stdout),
            outlet(ends.stderr.take(), Stream::Stderr),
        ];
        let inlet = ends.stdin.take().map(|fd| {
            set_nonblocking(&fd);
            let (text, closing) = match &program.stdin {
                Stdin::Open(text) => (text.clone(), false),
                Stdin::Text(text) => (text.clone(), true),
                _ => (String::new(), true),
            };
            Inlet {
                fd,
                text: text.into_bytes(),
                closing,
            }
        });
        if let Some(control) = &control {
            set_nonblocking(control);
        }
        let mut streams = Self {
            outlets: outlets.into_iter().flatten().collect(),
            inlet,
            control: control.map(|fd| (fd, Decoder::default())),
            buffer: vec![0; CHUNK],
        };
        streams.feed();
        streams
    }

    /// Writes what the program's input takes.
    fn feed(&mut self) {
        let Some(inlet) = &mut self.inlet else {
            return;
        };
        while !inlet.text.is_empty() {
            match write(&inlet.fd, &inlet.text) {
                Ok(written) => drop(inlet.text.drain(..written)),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return,
                // EPIPE: nobody reads it any more.
                Err(_) => {
                    self.inlet = None;
                    return;
                }
            }
        }
        if inlet.closing {
            self.inlet = None;
        }
    }

    fn poll(&self, stops: &SignalFd, wait: bool) -> nix::Result<Found> {
        let mut fds = vec![PollFd::new(stops.as_fd(), PollFlags::POLLIN)];
        let mut add = |fd, events| {
            fds.push(PollFd::new(fd, events));
            fds.len() - 1
        };
        let control = self
            .control
            .as_ref()
            .map(|(fd, _)| add(fd.as_fd(), PollFlags::POLLIN));
        let inlet = self
            .inlet
            .as_ref()
            .filter(|inlet| !inlet.text.is_empty())
            .map(|inlet| add(inlet.fd.as_fd(), PollFlags::POLLOUT));
        let outlets: Vec<usize> = self
            .outlets
            .iter()
            .map(|outlet| add(outlet.fd.as_fd(), PollFlags::POLLIN))
            .collect();
        let timeout = match wait {
            true => PollTimeout::NONE,
            false => PollTimeout::ZERO,
        };
        poll(&mut fds, timeout)?;
        let ready = |index: usize| fds[index].any().unwrap_or(true);
        let mut found = Found {
            stops: ready(0),
            control: control.is_some_and(ready),
            inlet: inlet.is_some_and(ready),
            outlets: [false; 2],
        };
        for (index, flag) in outlets.into_iter().zip(&mut found.outlets) {
            *flag = ready(index);
        }
        Ok(found)
    }
}

impl Tracer<'_> {
    /// Waits until something happens, and handles all but stops. With `more`
    /// stops to take it does not wait.
    pub(super) fn wait(&mut self, stops: &SignalFd, more: bool) -> Result<(), TraceError> {
        let found = match self.streams.poll(stops, !more) {
            Ok(found) => found,
            Err(Errno::EINTR) => return Ok(()),
            Err(e) => return Err(TraceError::system("poll()")(e.into())),
        };
        if found.stops {
            // One SIGCHLD stands for any number of stops, and no more than one is
            // pending (signal(7), "Queueing and delivery semantics").
            let _ = stops.read_signal();
        }
        if found.outlets.contains(&true) {
            self.read_output(found.outlets);
        }
        if found.inlet {
            self.streams.feed();
        }
        if found.control {
            self.read_requests()?;
        }
        Ok(())
    }

    /// After the last end: what is still in the pipes.
    pub(super) fn drain_output(&mut self) {
        self.read_output([true; 2]);
        let at_ns = now_ns();
        for mut outlet in std::mem::take(&mut self.streams.outlets) {
            self.output_ended(&mut outlet, at_ns);
        }
    }

    fn read_output(&mut self, which: [bool; 2]) {
        let mut buffer = std::mem::take(&mut self.streams.buffer);
        let mut open = Vec::new();
        let outlets = std::mem::take(&mut self.streams.outlets);
        for (mut outlet, ready) in outlets.into_iter().zip(which) {
            if !ready || self.read_outlet(&mut outlet, &mut buffer) {
                open.push(outlet);
            }
        }
        self.streams.outlets = open;
        self.streams.buffer = buffer;
    }

    /// Reads one stream until it is empty; false: it has ended.
    fn read_outlet(&mut self, outlet: &mut Outlet, buffer: &mut [u8]) -> bool {
        loop {
            match read(&outlet.fd, buffer) {
                // A terminal's end is EIO.
                Ok(0) | Err(Errno::EIO) => {
                    self.output_ended(outlet, now_ns());
                    return false;
                }
                Ok(length) => {
                    let at_ns = now_ns();
                    let (outbox, pid, stream) =
                        (&mut self.outbox, self.main, outlet.lines.stream());
                    outlet.lines.push(&buffer[..length], |piece| {
                        outbox.push(said(at_ns, pid, stream, piece))
                    });
                    self.deliver();
                    // A program that writes without end must not keep its own
                    // stops waiting.
                    if length == buffer.len() {
                        return true;
                    }
                }
                Err(Errno::EINTR) => {}
                Err(_) => return true,
            }
        }
    }

    fn output_ended(&mut self, outlet: &mut Outlet, at_ns: i64) {
        let stream = outlet.lines.stream();
        if let Some(piece) = outlet.lines.finish() {
            self.outbox.push(said(at_ns, self.main, stream, piece));
        }
        self.emit(at_ns, self.main, What::StreamClosed { stream });
        self.deliver();
    }

    fn read_requests(&mut self) -> Result<(), TraceError> {
        let Some((fd, decoder)) = &mut self.streams.control else {
            return Ok(());
        };
        loop {
            match read(&*fd, &mut self.streams.buffer) {
                Ok(0) => {
                    self.streams.control = None;
                    self.end_everything();
                    return Ok(());
                }
                Ok(length) => decoder.push(&self.streams.buffer[..length]),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => break,
                Err(e) => return Err(TraceError::system("reading requests")(e.into())),
            }
        }
        let mut requests = Vec::new();
        while let Some(request) = decoder.next()? {
            requests.push(request);
        }
        for request in requests {
            self.obey(request);
        }
        Ok(())
    }

    fn obey(&mut self, request: Request) {
        match request {
            Request::End
            | Request::Signal {
                signal: SignalNumber(libc::SIGKILL),
                to: Target::All,
            } => self.end_everything(),
            Request::Signal { signal, to } => {
                let all: Vec<i32> = self.processes.keys().copied().collect();
                let targets = match to {
                    Target::Program => vec![self.main],
                    Target::All => all,
                    Target::Process(pid) => vec![pid],
                };
                for pid in targets {
                    // Only traced processes: a number may have been given anew.
                    if self.processes.contains_key(&pid) {
                        // An unknown signal, or a process that has just ended.
                        let _ = send_signal(pid, signal.0);
                    }
                }
            }
            Request::Write(text) => {
                if let Some(inlet) = &mut self.streams.inlet {
                    inlet.text.extend(text.into_bytes());
                }
                self.streams.feed();
            }
            Request::CloseStdin => {
                if let Some(inlet) = &mut self.streams.inlet {
                    inlet.closing = true;
                }
                self.streams.feed();
            }
        }
    }
}

fn said(at_ns: i64, pid: i32, stream: Stream, piece: Piece) -> Event {
    let what = match piece {
        Piece::Line(line) => What::Line(line),
        Piece::Limit => What::OutputLimit { stream },
    };
    Event {
        at_ns,
        pid,
        tid: pid,
        what,
    }
}

/// Fails for no descriptor that is open.
fn set_nonblocking(fd: &impl AsFd) {
    if let Ok(flags) = fcntl(fd, FcntlArg::F_GETFL) {
        let flags = OFlag::from_bits_retain(flags) | OFlag::O_NONBLOCK;
        let _ = fcntl(fd, FcntlArg::F_SETFL(flags));
    }
}
