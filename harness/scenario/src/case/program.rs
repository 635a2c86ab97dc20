//! Programs as lanes: what is run on a host instead of a script.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Lane;

/// An unmodified program. In its texts `${host}` stands for the address of a host
/// in the case's family; axes are replaced already.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Program {
    /// Its name or path, and its arguments.
    pub run: Vec<String>,
    /// When it counts as ready; None: nobody waits for it.
    pub ready: Option<Ready>,
    /// The signal that asks it to end, without `SIG`; None: TERM.
    pub stop: Option<String>,
    /// Variables on top of the caller's environment.
    pub env: BTreeMap<String, String>,
    /// Its working directory; None: an empty one of its own.
    pub cwd: Option<String>,
    /// Who runs it, by name or number; None: the caller's user.
    pub user: Option<String>,
    /// Its standard input.
    pub stdin: Input,
    /// Commands that are run before, in the same place, one after the other.
    pub prepare: Vec<Vec<String>>,
    /// Files and directories that it needs in a guest, besides itself and its
    /// libraries.
    #[serde(default)]
    pub files: Vec<String>,
    /// What is observed of it.
    #[serde(default)]
    pub observe: Observe,
    /// Its output is also written to the caller's own.
    #[serde(default)]
    pub echo: bool,
}

/// What is observed of a program besides its packets, its lines and its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Observe {
    /// Every call on a socket.
    #[default]
    Calls,
    /// Nothing: it runs at its own speed.
    Wire,
}

/// When a program that others connect to is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ready {
    /// It listens; None: on any TCP port.
    Listening(Option<u16>),
    /// It has written a line that contains this.
    Output(String),
    /// It has run for so long.
    After(Duration),
}

/// A program's standard input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// /dev/null.
    Null,
    /// This text, and then its end.
    Text(String),
    /// Open; this text is written so long after the start.
    At {
        /// How long after the start of the case.
        after: Duration,
        /// The text.
        text: String,
    },
    /// Open; events of the case write to it.
    Open,
    /// The caller's own.
    Inherit,
}

impl Program {
    /// All texts in which `${host}` may stand.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let commands = self.prepare.iter().flatten().chain(&self.run);
        commands.chain(self.env.values()).map(String::as_str)
    }

    /// Replaces `${folder}` by the directory of the scenarios' file.
    pub fn resolve_folder(&mut self, folder: &str) {
        let commands = self.prepare.iter_mut().flatten().chain(&mut self.run);
        let texts = commands.chain(self.env.values_mut());
        for text in texts.chain(&mut self.files).chain(&mut self.cwd) {
            *text = text.replace(FOLDER, folder);
        }
    }
}

/// Stands for the directory of the scenarios' file in a program's texts.
pub const FOLDER: &str = "${folder}";

impl Lane {
    /// Whether others connect to it: its first step listens, or it is a program
    /// that is waited for.
    pub fn is_server(&self) -> bool {
        let first = self.steps.first().map(|step| &step.action);
        matches!(first, Some(super::Action::Listen { .. }))
            || self.program.as_ref().is_some_and(|p| p.ready.is_some())
    }
}
