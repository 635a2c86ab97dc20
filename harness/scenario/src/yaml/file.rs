//! Reads text files, and explains why one cannot be read. No other module does I/O.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use super::error::{InputErrors, Problem, Span};

/// The largest text that is read, in bytes.
pub const MAX_BYTES: u64 = 4 << 20;

/// A kind of file, for messages.
pub struct Kind {
    /// `a file of scenarios`.
    pub what: &'static str,
    /// Advice if there is none.
    pub missing: &'static str,
    /// Advice if a directory was named instead.
    pub directory: &'static str,
}

/// Reads the text of a file.
///
/// # Errors
///
/// A file that is missing, cannot be read, is a directory, is larger than
/// 4 MiB or is not UTF-8 text.
pub fn text(path: &Path, kind: &Kind) -> Result<String, InputErrors> {
    let name = path.display().to_string();
    let bytes = read(path, kind).map_err(|problem| InputErrors::whole(&name, *problem))?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(error) => {
            let good = error.utf8_error().valid_up_to();
            let lossy = String::from_utf8_lossy(error.as_bytes()).into_owned();
            let before = String::from_utf8_lossy(&error.as_bytes()[..good]).into_owned();
            let line = before.matches('\n').count();
            let column = before
                .rsplit('\n')
                .next()
                .map_or(0, |last| last.chars().count());
            let problem = match error.as_bytes() {
                [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
                    binary(line, column).help("this looks like UTF-16: save it as UTF-8")
                }
                _ => binary(line, column),
            };
            Err(InputErrors::new(&name, &lossy, vec![problem]))
        }
    }
}

fn read(path: &Path, kind: &Kind) -> Result<Vec<u8>, Box<Problem>> {
    let whole = Span::default();
    let cannot = |error: std::io::Error| {
        Box::new(match error.kind() {
            ErrorKind::NotFound => Problem::new(whole, "there is no such file")
                .expected(kind.what)
                .help(kind.missing),
            ErrorKind::PermissionDenied => Problem::new(whole, "this file may not be read")
                .expected(format!("{} that this user may read", kind.what)),
            ErrorKind::IsADirectory => directory(kind),
            _ => Problem::new(whole, format!("failed to read this file: {error}"))
                .expected(kind.what),
        })
    };
    let data = std::fs::metadata(path).map_err(cannot)?;
    if data.is_dir() {
        return Err(Box::new(directory(kind)));
    }
    if data.len() > MAX_BYTES {
        return Err(Box::new(too_large(data.len(), kind)));
    }
    // A pipe or a device has no length: read no more than the limit.
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(cannot)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Box::new(too_large(bytes.len() as u64, kind)));
    }
    Ok(bytes)
}

fn directory(kind: &Kind) -> Problem {
    Problem::new(Span::default(), "this is a directory")
        .expected(kind.what)
        .help(kind.directory)
}

/// The problem of a text of more than [`MAX_BYTES`].
pub(crate) fn too_large(bytes: u64, kind: &Kind) -> Problem {
    let size = format!("{}.{} MiB", bytes >> 20, ((bytes & 0xf_ffff) * 10) >> 20);
    Problem::new(
        Span::default(),
        format!("this is too large to be {}: {size}", kind.what),
    )
    .expected(format!("at most {} MiB", MAX_BYTES >> 20))
    .help("is it another file? If not, split it")
}

/// The problem of a file that is not text. `line` and `column` are 0-based.
pub(super) fn binary(line: usize, column: usize) -> Problem {
    let number = |index: usize| u32::try_from(index + 1).unwrap_or(u32::MAX);
    let span = Span {
        line: number(line),
        column: number(column),
        length: 1,
    };
    Problem::new(span, "this is not text")
        .expected("YAML in UTF-8")
        .help("is it another file, or saved in another encoding?")
}
