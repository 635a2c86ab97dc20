//! Serves this machine's files to a guest: each message of its FUSE file system becomes
//! a system call here, with the rights of this process. Everything can be read;
//! writing is refused (EROFS) but below the directories that were named.
//!
//! ```text
//! nodes   which path a number of FUSE stands for
//! read    looking, reading
//! write   changing
//! ```

mod nodes;
mod read;
mod write;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::nodes::Nodes;
use super::fuse::{self, Body, Message, op};
use crate::protocol::command::kind::LATER;

/// A guest stands still for so long when it reads standard input and there is none. So
/// what a fast writer sends comes at the same moment of the guest's clock each time.
/// With a slow one, other threads of the command must go on.
const INPUT_WAIT: Duration = Duration::from_millis(200);

/// The server's state.
pub(super) struct FileServer {
    nodes: Nodes,
    handles: BTreeMap<u64, Handle>,
    next_handle: u64,
    writable: Vec<PathBuf>,
    /// How long the guest stands still for its input.
    input_wait: Duration,
}

/// What an open file or directory is.
enum Handle {
    File(File),
    /// Names and types, sorted: the order of a directory differs between machines.
    Directory(Vec<(std::ffi::OsString, u32)>),
    /// Standard input.
    Input,
}

/// The error of an operation: its errno.
type Answered = Result<Vec<u8>, i32>;

fn errno(e: io::Error) -> i32 {
    e.raw_os_error().unwrap_or(libc::EIO)
}

impl FileServer {
    /// A server that writes below `writable` only.
    pub(super) fn new(writable: Vec<PathBuf>) -> Self {
        FileServer {
            nodes: Nodes::default(),
            handles: BTreeMap::new(),
            next_handle: 1,
            writable,
            input_wait: INPUT_WAIT,
        }
    }

    /// The answer to a message; empty where FUSE expects none, [`LATER`] where there is
    /// none yet.
    pub(super) fn answer(&mut self, message: &[u8]) -> Vec<u8> {
        let Some(message) = Message::parse(message) else {
            return Vec::new();
        };
        if !message.is_answered() {
            return Vec::new();
        }
        match self.serve(&message) {
            Err(libc::EAGAIN) => LATER.to_vec(),
            result => message.answer(result),
        }
    }

    fn serve(&mut self, message: &Message<'_>) -> Answered {
        let (node, body) = (message.node, message.body);
        match message.operation {
            op::INIT => Ok(fuse::init(body)),
            op::LOOKUP => self.lookup(node, body.names(0).0),
            op::GETATTR => self.attributes(node, body),
            op::READLINK => self.link_target(node),
            op::OPEN => self.open(node, body.u32(0)),
            op::READ => self.read(body),
            op::STATFS => self.statfs(node),
            op::OPENDIR => self.open_directory(node),
            op::READDIR => self.read_directory(body),
            op::RELEASE | op::RELEASEDIR => {
                self.handles.remove(&body.u64(0));
                Ok(Vec::new())
            }
            op::SETATTR => self.set_attributes(node, body),
            op::SYMLINK => self.symlink(node, body),
            op::MKDIR => self.make_directory(node, body),
            op::UNLINK => self.remove(node, body, false),
            op::RMDIR => self.remove(node, body, true),
            op::RENAME => self.rename(node, body.u64(0), body.names(8), 0),
            op::RENAME2 => self.rename(node, body.u64(0), body.names(16), body.u32(8)),
            op::LINK => self.hard_link(node, body),
            op::CREATE => self.create(node, body),
            op::WRITE => self.write(body),
            op::FSYNC | op::FSYNCDIR => self.sync(body),
            // The kernel does without, from then on: extended attributes, flushing,
            // access(2), copying ranges.
            _ => Err(libc::ENOSYS),
        }
    }

    fn path(&self, node: u64) -> Result<&Path, i32> {
        self.nodes.path(node).ok_or(libc::ESTALE)
    }

    fn child(&self, node: u64, name: &OsStr) -> Result<PathBuf, i32> {
        Ok(self.path(node)?.join(name))
    }

    /// The path, if it may be changed.
    fn writable(&self, path: PathBuf) -> Result<PathBuf, i32> {
        let below = |root: &PathBuf| path.starts_with(root) && path != *root;
        match self.writable.iter().any(below) {
            true => Ok(path),
            false => Err(libc::EROFS),
        }
    }

    fn add_handle(&mut self, handle: Handle) -> u64 {
        let number = self.next_handle;
        self.next_handle += 1;
        self.handles.insert(number, handle);
        number
    }

    fn file(&self, body: Body<'_>) -> Result<&File, i32> {
        match self.handles.get(&body.u64(0)) {
            Some(Handle::File(file)) => Ok(file),
            _ => Err(libc::EBADF),
        }
    }
}

#[cfg(test)]
mod tests;
