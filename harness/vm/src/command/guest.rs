//! The guest's side: starts the command and passes on what it writes.
//!
//! ```text
//! this thread  waits for the command
//! files        passes questions about files to the host, and its answers back
//! output       passes the command's output to the host
//! time         passes signals on, and kills the command when its time is up
//! ```

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use nix::unistd::{Pid, pipe};

use super::fuse::{MOST_BYTES, Message, op};
use super::mounts;
use crate::guest::Link;
use crate::protocol::command::{Ended, Request, Stream, kind};
use halfopen_sys::child::spawn_in_root;

/// How often signals are looked for, in guest time, while nothing is asked.
const SIGNAL_INTERVAL: Duration = Duration::from_secs(10);

/// How often the host is asked again, milliseconds of guest time.
const LATER: u16 = 1000;

/// Runs the command; how it ended.
pub(crate) fn serve(request: Request, link: &Link) -> Result<Ended, String> {
    let failed = |what: &str| {
        let what = what.to_owned();
        move |e: io::Error| format!("{what}: {e}")
    };
    link.open_gate()
        .map_err(failed("ask for the gate's ports"))?;
    halfopen_lab::internal::set_loopback_up().map_err(|e| halfopen_net::error::chain(&e))?;
    let device = mounts::mount_host().map_err(failed("mount the files of the host"))?;
    thread::scope(|scope| {
        let name = |name: &str| thread::Builder::new().name(name.into());
        // It ends with the guest.
        let files = link.clone();
        name("files")
            .spawn(move || answer_questions(&device, &files))
            .map_err(failed("start a thread"))?;
        let writable: Vec<PathBuf> = request
            .writable
            .iter()
            .map(|path| std::ffi::OsString::from(path.clone()).into())
            .collect();
        mounts::mount_rest(&writable).map_err(failed("make the command's file system"))?;
        let mut outputs = Outputs::new(&request).map_err(failed("make the command's streams"))?;
        let mut child = match start(&request, &mut outputs) {
            Ok(child) => child,
            Err(e) => {
                let errno = e.raw_os_error().unwrap_or(libc::EIO);
                return Ok(Ended::NotStarted { errno });
            }
        };
        outputs.given.clear();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
        let (done, when_done) = pipe()
            .map_err(io::Error::from)
            .map_err(failed("make a pipe"))?;
        let (streams, out) = (outputs.read, link.clone());
        let relay = name("output")
            .spawn_scoped(scope, move || relay(streams, &done, &out))
            .map_err(failed("start a thread"))?;
        let late = std::sync::Arc::new(AtomicBool::new(false));
        let (flag, time, give_up) = (late.clone(), link.clone(), request.give_up);
        name("time")
            .spawn(move || watch_time(pid, give_up, &time, &flag))
            .map_err(failed("start a thread"))?;
        let status = child.wait().map_err(failed("wait for the command"))?;
        drop(when_done);
        relay
            .join()
            .map_err(|_| "the output's thread panicked".to_owned())?
            .map_err(failed("pass output on"))?;
        Ok(
            match (late.load(Ordering::SeqCst), status.code(), status.signal()) {
                (true, ..) => Ended::StillRunning,
                (_, Some(code), _) => Ended::Exited(code),
                (_, None, signal) => Ended::Killed(signal.unwrap_or(0)),
            },
        )
    })
}

/// The command's standard output and error.
struct Outputs {
    /// This side, with the number of the stream.
    read: Vec<(u8, File)>,
    /// The command's side, until it has been started.
    given: Vec<OwnedFd>,
}

impl Outputs {
    fn new(request: &Request) -> io::Result<Self> {
        let mut outputs = Outputs {
            read: Vec::new(),
            given: Vec::new(),
        };
        let numbers: &[u8] = if request.joined { &[1] } else { &[1, 2] };
        for (number, stream) in numbers.iter().zip(request.output) {
            let (read, given) = open_stream(stream)?;
            outputs.read.push((*number, read));
            outputs.given.push(given);
        }
        Ok(outputs)
    }

    fn stdio(&self, number: usize) -> io::Result<Stdio> {
        let given = self.given.get(number).or(self.given.first());
        let given = given.ok_or(ErrorKind::BrokenPipe)?;
        Ok(given.try_clone()?.into())
    }
}

fn open_stream(stream: Stream) -> io::Result<(File, OwnedFd)> {
    match stream {
        Stream::Pipe => {
            let (read, given) = pipe()?;
            Ok((read.into(), given))
        }
        Stream::Terminal { rows, columns } => {
            let size = Winsize {
                ws_row: rows,
                ws_col: columns,
                ws_xpixel: 0,
                ws_ypixel: 0,
            };
            let pty = openpty(Some(&size), None)?;
            // The host's terminal does what terminals do with line ends.
            let mut settings = tcgetattr(&pty.slave)?;
            cfmakeraw(&mut settings);
            tcsetattr(&pty.slave, SetArg::TCSANOW, &settings)?;
            Ok((pty.master.into(), pty.slave))
        }
    }
}

fn start(request: &Request, outputs: &mut Outputs) -> io::Result<Child> {
    let mut words = request.words.iter().cloned().map(std::ffi::OsString::from);
    let program = words.next().ok_or(ErrorKind::InvalidInput)?;
    let environment = request.environment.iter().cloned();
    let stdin = match request.no_input {
        true => Stdio::null(),
        false => File::open(mounts::input_path())?.into(),
    };
    let mut command = Command::new(program);
    command
        .args(words)
        .env_clear()
        .envs(environment.map(|(name, value)| {
            (
                std::ffi::OsString::from(name),
                std::ffi::OsString::from(value),
            )
        }))
        .stdin(stdin)
        .stdout(outputs.stdio(0)?)
        .stderr(outputs.stdio(1)?);
    let directory = std::ffi::OsString::from(request.directory.clone());
    spawn_in_root(&mut command, Path::new(mounts::ROOT), Path::new(&directory))
}

/// Passes each message of the kernel to the host, and its answer back.
fn answer_questions(device: &File, link: &Link) {
    let (mut reading, mut writing) = (device, device);
    let mut message = vec![0; MOST_BYTES as usize + (64 << 10)];
    message[0] = kind::FUSE;
    // Reads of standard input that the host has no answer to yet.
    let mut later: Vec<Vec<u8>> = Vec::new();
    // ENOENT: the question was withdrawn.
    let mut answer = |bytes: &[u8]| drop(writing.write(bytes));
    let mut is_answered = |message: &[u8]| match link.ask(message) {
        Ok(bytes) if bytes == kind::LATER => false,
        Ok(bytes) => {
            if !bytes.is_empty() {
                answer(&bytes);
            }
            true
        }
        Err(e) => {
            eprintln!("halfopen guest: ask about files: {e}");
            true
        }
    };
    loop {
        if !later.is_empty() {
            let mut fds = [PollFd::new(device.as_fd(), PollFlags::POLLIN)];
            if poll(&mut fds, LATER) == Ok(0) {
                later.retain(|message| !is_answered(message));
                continue;
            }
        }
        let length = match reading.read(&mut message[1..]) {
            Ok(length) => length,
            // ENOENT: the question was withdrawn.
            Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::EINTR)) => continue,
            Err(e) => {
                eprintln!("halfopen guest: questions about files: {e}");
                return;
            }
        };
        let message = &message[..=length];
        if let Some(interrupted) = interrupted(message) {
            later.retain(|message| match Message::parse(&message[1..]) {
                Some(waits) if waits.unique == interrupted => {
                    let _ = (&*device).write(&waits.answer(Err(libc::EINTR)));
                    false
                }
                _ => true,
            });
        } else if !is_answered(message) {
            later.push(message.to_vec());
        }
    }
}

/// The number of the question that nobody waits for any more: its process was killed.
fn interrupted(message: &[u8]) -> Option<u64> {
    let message = Message::parse(&message[1..])?;
    (message.operation == op::INTERRUPT).then(|| message.body.u64(0))
}

/// Passes on what the streams have until `done` hangs up, and then what is left in them.
/// A process that outlives the command may hold them open.
fn relay(mut streams: Vec<(u8, File)>, done: &OwnedFd, link: &Link) -> io::Result<()> {
    let mut bytes = vec![0; 64 << 10];
    let mut ended = false;
    while !streams.is_empty() {
        let mut fds: Vec<PollFd<'_>> = streams
            .iter()
            .map(|(_, stream)| PollFd::new(stream.as_fd(), PollFlags::POLLIN))
            .collect();
        if !ended {
            fds.push(PollFd::new(done.as_fd(), PollFlags::POLLIN));
        }
        let timeout = if ended {
            PollTimeout::ZERO
        } else {
            PollTimeout::NONE
        };
        match poll(&mut fds, timeout) {
            Err(nix::Error::EINTR) => continue,
            Err(e) => return Err(e.into()),
            Ok(0) => return Ok(()),
            Ok(_) => {}
        }
        let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(false)).collect();
        ended = ended || ready.last().copied().unwrap_or(false);
        let mut index = 0;
        let mut failed = None;
        streams.retain_mut(|(number, stream)| {
            let is_ready = ready[index];
            index += 1;
            if !is_ready {
                return true;
            }
            match stream.read(&mut bytes) {
                // EIO: the last process with the terminal has ended.
                Ok(0) | Err(_) => false,
                Ok(count) => {
                    let request = [&[kind::OUTPUT, *number], &bytes[..count]].concat();
                    match link.ask(&request) {
                        Ok(answer) => answer.first() != Some(&kind::CLOSED),
                        Err(e) => {
                            failed = Some(e);
                            false
                        }
                    }
                }
            }
        });
        if let Some(e) = failed {
            return Err(e);
        }
    }
    Ok(())
}

/// Passes the host's signals on, and kills the command when its time is up.
fn watch_time(pid: Pid, give_up: Duration, link: &Link, late: &AtomicBool) {
    let mut left = give_up;
    while !left.is_zero() {
        let nap = left.min(SIGNAL_INTERVAL);
        thread::sleep(nap);
        left -= nap;
        let signals = link.take_signals();
        for number in (1..32).filter(|number| signals >> number & 1 == 1) {
            if let Ok(signal) = Signal::try_from(number) {
                // It may have ended.
                let _ = kill(pid, signal);
            }
        }
    }
    late.store(true, Ordering::SeqCst);
    let _ = kill(pid, Signal::SIGKILL);
}
