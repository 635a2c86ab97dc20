//! Writes to standard output and standard error.
//!
//! `println!` panics when the reader has gone away (`halfopen list | head`);
//! nothing here does. Colours are written always and taken out again where
//! the reader is no terminal (anstream), or NO_COLOR says so.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use serde::Serialize;

use anstyle::{AnsiColor, Style};

use halfopen_report::json::Layout;
use halfopen_report::table::LOG_WIDTH;
use halfopen_sys::terminal;

use super::error::CliError;

/// Writes text for people to standard output.
pub(crate) fn say(text: &str) -> Result<(), CliError> {
    let mut out = anstream::stdout().lock();
    finish(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Writes to standard output by a function, buffered.
pub(crate) fn write_with(
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), CliError> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    finish(write(&mut out).and_then(|()| out.flush()))
}

/// How JSON is written: indented where people read it.
pub(crate) fn layout() -> Layout {
    match io::stdout().is_terminal() {
        true => Layout::Indented,
        false => Layout::Compact,
    }
}

/// Writes JSON to standard output.
pub(crate) fn write_json(document: &impl Serialize) -> Result<(), CliError> {
    write_with(|out| layout().write(document, out))
}

/// A reader that closed the pipe is no error; a full disk is.
fn finish(result: io::Result<()>) -> Result<(), CliError> {
    match result {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(CliError::Output(e)),
        _ => Ok(()),
    }
}

/// Writes a line to standard error. A failure is ignored: there is no other
/// place to report it.
pub(crate) fn remark(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// An error, marked as one.
pub(crate) fn error(text: &str) {
    let red = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
    remark(&format!("{red}error{red:#}: {text}"));
}

/// How wide a report may be: the terminal's width within reason, or that of a log.
pub(crate) fn width() -> u16 {
    terminal::columns(io::stdout()).map_or(LOG_WIDTH, |columns| columns.clamp(60, 160))
}

/// Colours a rendered table: scenarios bold, verdicts by their kind.
pub(crate) fn coloured(table: &str) -> String {
    let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
    let verdicts = [
        ("as expected", colour(AnsiColor::Green)),
        ("DIFFERS", colour(AnsiColor::Red).bold()),
        ("FAILED", colour(AnsiColor::Red).bold()),
        ("NOT SET UP", colour(AnsiColor::Red).bold()),
        ("DISTURBED", colour(AnsiColor::Yellow).bold()),
        ("not run", colour(AnsiColor::Yellow)),
        ("known", colour(AnsiColor::Yellow)),
        ("observed", colour(AnsiColor::Cyan)),
    ];
    let mut coloured = String::with_capacity(table.len() * 2);
    for line in table.lines() {
        let bold = Style::new().bold();
        match verdicts
            .iter()
            .find_map(|(verdict, style)| Some((line.strip_suffix(verdict)?, verdict, style)))
        {
            Some((before, verdict, style)) => {
                coloured.push_str(&format!("{before}{style}{verdict}{style:#}"))
            }
            None if line.is_empty() || line.starts_with(' ') => coloured.push_str(line),
            None => coloured.push_str(&format!("{bold}{line}{bold:#}")),
        }
        coloured.push('\n');
    }
    coloured
}

/// Makes a directory that results are to be kept in, unless it is there.
///
/// # Errors
/// When it cannot be made; `flag` is what asked for it.
pub(crate) fn make_directory(directory: &Path, flag: &str) -> Result<(), CliError> {
    std::fs::create_dir_all(directory)
        .map_err(|e| CliError::Usage(format!("{flag} {}: {e}", directory.display())))
}
