//! A client of QEMU's monitor (QMP, one JSON object per line), by which [`super::save`]
//! saves a guest's devices.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

use crate::error::VmError;

/// This program's end of the monitor's socket.
pub(super) struct Monitor {
    stream: UnixStream,
    unread: Vec<u8>,
}

impl Monitor {
    /// Both ends of the socket: the second one is for QEMU.
    pub(super) fn pair() -> Result<(Self, OwnedFd), VmError> {
        let make = || {
            let (local, remote) = UnixStream::pair()?;
            local.set_nonblocking(true)?;
            let monitor = Monitor {
                stream: local,
                unread: Vec::new(),
            };
            Ok((monitor, remote.into()))
        };
        make().map_err(VmError::system::<std::io::Error>("make qemu's monitor"))
    }

    /// Sends a command. QEMU executes one after the other.
    pub(super) fn execute(&mut self, command: &str, arguments: &Value) -> Result<(), VmError> {
        let line = json!({"execute": command, "arguments": arguments});
        self.stream
            .write_all(format!("{line}\n").as_bytes())
            .map_err(VmError::system("tell qemu what to do"))
    }

    /// The messages that QEMU has sent since the last call.
    pub(super) fn receive(&mut self) -> Result<Vec<Value>, VmError> {
        let mut bytes = [0; 4096];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => break,
                Ok(count) => self.unread.extend_from_slice(&bytes[..count]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == ErrorKind::ConnectionReset => break,
                Err(e) => return Err(VmError::system("hear qemu")(e)),
            }
        }
        let mut messages = Vec::new();
        while let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.unread.drain(..=end).collect();
            let message = serde_json::from_slice(&line);
            let message = message
                .map_err(|e| VmError::system("understand qemu")(std::io::Error::other(e)))?;
            messages.push(message);
        }
        Ok(messages)
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
