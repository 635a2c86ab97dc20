//! What host and guest say to each other about a command.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A command, for the guest.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    /// The program and its arguments.
    pub(crate) words: Vec<Bytes>,
    pub(crate) environment: Vec<(Bytes, Bytes)>,
    pub(crate) directory: Bytes,
    /// Directories below which writing goes through to the host.
    pub(crate) writable: Vec<Bytes>,
    /// Standard output and standard error.
    pub(crate) output: [Stream; 2],
    /// Both are the same file, so that what is written to them keeps its order.
    pub(crate) joined: bool,
    /// Standard input has nothing.
    pub(crate) no_input: bool,
    /// When the command is killed, by the guest's clock.
    pub(crate) give_up: Duration,
}

/// Text of the system, which need not be UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bytes(Vec<u8>);

impl From<&OsStr> for Bytes {
    fn from(text: &OsStr) -> Self {
        Bytes(text.as_bytes().to_owned())
    }
}

impl From<Bytes> for OsString {
    fn from(text: Bytes) -> Self {
        OsString::from_vec(text.0)
    }
}

/// What a standard stream is on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Stream {
    /// A terminal of this size.
    Terminal { rows: u16, columns: u16 },
    /// Something else.
    Pipe,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ended {
    /// By itself.
    Exited(i32),
    /// By this signal.
    Killed(i32),
    /// It was killed because its time was up.
    StillRunning,
    /// It could not be started.
    NotStarted {
        /// The errno of execve(2).
        errno: i32,
    },
}

/// The first byte of a guest's request.
pub(crate) mod kind {
    /// A message of FUSE follows; the answer is FUSE's, nothing, or [`LATER`].
    pub(crate) const FUSE: u8 = b'F';
    /// There is no answer yet: the guest asks again.
    pub(crate) const LATER: &[u8] = b"l";
    /// The number of a stream and what was written to it follow; the answer is
    /// [`OPEN`] or [`CLOSED`].
    pub(crate) const OUTPUT: u8 = b'O';
    /// The stream takes more.
    pub(crate) const OPEN: u8 = b'o';
    /// Nobody reads the stream any more.
    pub(crate) const CLOSED: u8 = b'c';
}

/// The name, in the root directory that the guest sees, of standard input.
pub(crate) const INPUT: &str = ".halfopen-input";
