//! The pipe of a mark, which lanes wait on. `case_run` sets marks; endpoints have
//! the reading ends.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::fcntl::OFlag;
use nix::unistd::pipe2;

use halfopen_lab::LabError;

/// An event that any number of processes can wait for: a pipe whose writing end is
/// closed to set the mark, which its readers see as a hang-up, at once and from then
/// on.
///
/// Between fork() and exec() of an endpoint that another thread starts, the child
/// has a copy of the writing end: then readers see the mark up to a millisecond
/// late.
#[derive(Debug)]
pub struct Mark {
    reader: OwnedFd,
    writer: Option<OwnedFd>,
}

impl Mark {
    /// A mark that is not set.
    ///
    /// # Errors
    /// When this process has no descriptors left.
    pub fn new() -> Result<Self, LabError> {
        let (reader, writer) =
            pipe2(OFlag::O_CLOEXEC).map_err(|e| LabError::system("make the pipe of a mark", e))?;
        Ok(Mark {
            reader,
            writer: Some(writer),
        })
    }

    /// Sets the mark. Setting it again changes nothing.
    pub fn set(&mut self) {
        self.writer = None;
    }

    /// Whether the mark is set.
    pub fn is_set(&self) -> bool {
        self.writer.is_none()
    }

    /// The end to wait on: poll() shows POLLHUP once the mark is set.
    pub fn reader(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}
