//! Commands whose socket calls are observed (feature `trace`).

use std::ffi::OsStr;
use std::io::{self, ErrorKind, Read};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use halfopen_trace::Event;

use super::Host;
use crate::error::LabError;
use crate::sandbox::TRACER;

/// A program on a host whose socket calls, lines of output, signals and end are observed:
/// from [`Host::observe`].
#[derive(Debug)]
pub struct Observed {
    name: String,
    tracer: Child,
    events: Arc<Mutex<Vec<Event>>>,
    reading: JoinHandle<io::Result<()>>,
}

impl Host {
    /// Starts an unmodified program on the host and observes it: which call on which
    /// connection, from when to when, with which result, by ptrace(2) and a seccomp filter
    /// (`halfopen-trace`). Its standard input is this program's; what it writes becomes
    /// events. As [`Host::command`], it resolves the names of the lab's hosts, and a crash of
    /// the host kills it.
    ///
    /// ```no_run
    /// # fn example(lab: &mut halfopen_lab::Lab) -> Result<(), Box<dyn std::error::Error>> {
    /// let psql = lab.host("client")?.observe(["psql", "-h", "server", "-c", "SELECT pg_sleep(60)"])?;
    /// // ...
    /// lab.reboot("server")?;
    /// for event in psql.wait()? {
    ///     println!("{} {event}", event.at_ns); // recvfrom(...) = ECONNRESET
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`LabError::Down`] when the host is down, [`LabError::System`] when no process can be
    /// started.
    pub fn observe<S: AsRef<OsStr>>(
        &self,
        words: impl IntoIterator<Item = S>,
    ) -> Result<Observed, LabError> {
        // The tracer is this program once more: sandbox/tracer.rs.
        let mut command = self.command("/proc/self/exe")?;
        command.args(words).env(TRACER, "1").stdout(Stdio::piped());
        let name = command.get_args().next().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        let failed = |e| LabError::system(format!("observe {name}"), e);
        let mut tracer = command.spawn().map_err(failed)?;
        let stream = tracer.stdout.take();
        let stream = stream.ok_or_else(|| failed(ErrorKind::BrokenPipe.into()))?;
        let events = Arc::default();
        let shared = Arc::clone(&events);
        let reading = std::thread::Builder::new()
            .name("observing".into())
            .spawn(move || read(stream, &shared))
            .map_err(failed)?;
        Ok(Observed {
            name,
            tracer,
            events,
            reading,
        })
    }
}

impl Observed {
    /// What was seen so far.
    pub fn events(&self) -> Vec<Event> {
        let events = self.events.lock();
        events.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for the end of the program, and of all that it started. Returns what was seen;
    /// [`What::Ended`](halfopen_trace::What::Ended) says how it ended, unless its host
    /// crashed.
    ///
    /// # Errors
    /// [`LabError::System`] when it could not be started or observed; standard error says
    /// why.
    pub fn wait(mut self) -> Result<Vec<Event>, LabError> {
        let what = format!("observe {}", self.name);
        let status = self.tracer.wait();
        let status = status.map_err(|e| LabError::system(what.clone(), e))?;
        let read = self.reading.join();
        let read = read.unwrap_or_else(|_| Err(ErrorKind::Other.into()));
        read.map_err(|e| LabError::system(what.clone(), e))?;
        // Without a code a signal has ended it: the host has crashed.
        match status.code() {
            None | Some(0) => {}
            Some(_) => return Err(LabError::system(what, io::Error::other(status.to_string()))),
        }
        let events =
            std::mem::take(&mut *self.events.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(events)
    }
}

/// Reads events until the tracer has ended; one that it could not finish is left out.
fn read(mut stream: ChildStdout, into: &Mutex<Vec<Event>>) -> io::Result<()> {
    loop {
        let mut length = [0; 4];
        let mut bytes = Vec::new();
        let whole = stream.read_exact(&mut length).and_then(|()| {
            bytes.resize(u32::from_le_bytes(length) as usize, 0);
            stream.read_exact(&mut bytes)
        });
        match whole {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            Err(e) => return Err(e),
        }
        let event = postcard::from_bytes(&bytes).map_err(io::Error::other)?;
        into.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(event);
    }
}
