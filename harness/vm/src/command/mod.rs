//! Runs one command in a guest as if it ran here: with this machine's files, its
//! standard streams, environment and working directory, and as root.
//!
//! ```text
//! host      restores a guest, answers its requests
//! streams   the standard streams: kinds, and writing to them
//! files     this machine's files as a FUSE server, on the host
//! fuse      the messages of FUSE
//! guest     starts the command in the guest, passes its output on
//! mounts    the file system that the command sees
//! ```
//!
//! The guest's kernel has a FUSE file system. Its messages are passed to the host and
//! answered there while the guest stands still (gate.rs), so nothing has to be
//! known in advance about which files a command needs, and reading them takes no time
//! of the guest's clock. Writing goes through below the directories that the request
//! names; elsewhere it stays in the guest's memory (overlayfs) and ends with it.

mod files;
mod fuse;
mod guest;
mod host;
mod mounts;
mod streams;

pub use crate::protocol::command::Ended;
pub(crate) use guest::serve;
pub use host::{Command, Options, run};
