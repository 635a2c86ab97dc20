//! How JSON is written: on one line for programs and files, indented for a terminal.

use std::io::{self, Write};

use serde::Serialize;

/// How JSON is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Without white space: less than half as long.
    Compact,
    /// For people to read.
    Indented,
}

impl Layout {
    /// Writes a document, with a newline at its end.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write(self, document: &impl Serialize, to: &mut dyn Write) -> io::Result<()> {
        let written = match self {
            Layout::Compact => serde_json::to_writer(&mut *to, document),
            Layout::Indented => serde_json::to_writer_pretty(&mut *to, document),
        };
        written.map_err(io::Error::from)?;
        to.write_all(b"\n")
    }
}
