//! What is to be run, and how.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// A program to run under the tracer.
#[derive(Debug)]
pub struct Program {
    /// The name, looked up in PATH of `env` when it has no slash, and its arguments.
    pub argv: Vec<String>,
    /// The whole environment.
    pub env: Vec<(String, String)>,
    /// The working directory; None: the tracer's.
    pub cwd: Option<PathBuf>,
    /// Who runs it.
    pub user: User,
    /// Standard input.
    pub stdin: Stdin,
    /// Standard output.
    pub stdout: Output,
    /// Standard error.
    pub stderr: Output,
    /// How many bytes of each stream become [`crate::What::Line`] events; the rest is
    /// read and dropped, so that the program does not block.
    pub output_limit: u64,
    /// What the child does before it becomes the program, in this order.
    pub setup: Vec<Setup>,
    /// Whether its calls are observed. Without, it runs at its own speed, and events are
    /// those of its processes and its output.
    pub observed: bool,
}

impl Program {
    /// `argv` with this process's environment, no input, and its output as lines.
    pub fn new<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            env: std::env::vars_os()
                .filter_map(|(name, value)| {
                    Some((name.into_string().ok()?, value.into_string().ok()?))
                })
                .collect(),
            cwd: None,
            user: User::Same,
            stdin: Stdin::Null,
            stdout: Output::Lines,
            stderr: Output::Lines,
            output_limit: 16 << 20,
            setup: Vec::new(),
            observed: true,
        }
    }

    pub(crate) fn name(&self) -> &str {
        self.argv.first().map_or("", String::as_str)
    }
}

/// Who runs the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum User {
    /// The tracer's user.
    Same,
    /// Another user and group, without supplementary groups, as setpriv(1)
    /// does it. Needs CAP_SETUID and CAP_SETGID.
    Ids {
        /// The user.
        uid: u32,
        /// The group.
        gid: u32,
    },
    /// A user namespace of its own inside the tracer's, in which the tracer's
    /// user has these ids: for programs that refuse to be root, where no second
    /// user is mapped. The tracer stays outside. The namespace owns no network
    /// namespace, so the program gets neither ports below
    /// net.ipv4.ip_unprivileged_port_start nor CAP_NET_ADMIN.
    Nested {
        /// The user that the program sees.
        uid: u32,
        /// The group that it sees.
        gid: u32,
    },
}

/// Standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stdin {
    /// /dev/null.
    Null,
    /// The tracer's own.
    Inherit,
    /// A file.
    File(PathBuf),
    /// This text, and then its end.
    Text(String),
    /// This text, after which the pipe stays open for [`crate::Request::Write`].
    Open(String),
}

/// Standard output or standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// The tracer's own.
    Inherit,
    /// /dev/null.
    Null,
    /// A pipe: each line becomes an event. Many programs then write in blocks.
    Lines,
    /// A pseudo-terminal of its own: each line becomes an event, and the
    /// program writes line by line, since it takes it for a terminal.
    Terminal,
}

/// Something that the child does before it becomes the program.
#[derive(Debug)]
#[non_exhaustive]
pub enum Setup {
    /// Enters a network, mount, UTS or IPC namespace (setns(2)). A PID
    /// namespace would hold for the program's children only.
    Namespace(OwnedFd),
    /// Begins a session of its own, without a controlling terminal (setsid(2)).
    Session,
}
