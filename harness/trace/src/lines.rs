//! Bytes of output to lines.

use crate::event::{Line, Stream};

/// A line that is longer is given in pieces.
const MAX_LINE: usize = 64 << 10;

/// What became of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Line(Line),
    /// The limit was reached; said once.
    Limit,
}

/// Cuts one stream into lines.
#[derive(Debug)]
pub(crate) struct Lines {
    stream: Stream,
    partial: Vec<u8>,
    left: u64,
    limited: bool,
}

impl Lines {
    pub(crate) fn new(stream: Stream, limit: u64) -> Self {
        Self {
            stream,
            partial: Vec::new(),
            left: limit,
            limited: false,
        }
    }

    pub(crate) fn stream(&self) -> Stream {
        self.stream
    }

    /// Takes bytes and gives every line that they complete to `each`.
    pub(crate) fn push(&mut self, bytes: &[u8], mut each: impl FnMut(Piece)) {
        if self.limited {
            return;
        }
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX);
        let taken = &bytes[..bytes.len().min(wanted)];
        self.left -= taken.len() as u64;
        for piece in taken.split_inclusive(|byte| *byte == b'\n') {
            self.partial.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.partial.pop();
                each(Piece::Line(self.take(true)));
            } else if self.partial.len() >= MAX_LINE {
                each(Piece::Line(self.take(false)));
            }
        }
        if taken.len() < bytes.len() {
            self.limited = true;
            self.finish().map(&mut each);
            each(Piece::Limit);
        }
    }

    /// What is left when the stream ends.
    pub(crate) fn finish(&mut self) -> Option<Piece> {
        match self.partial.is_empty() {
            true => None,
            false => Some(Piece::Line(self.take(false))),
        }
    }

    fn take(&mut self, complete: bool) -> Line {
        let bytes = std::mem::take(&mut self.partial);
        Line {
            stream: self.stream,
            text: String::from_utf8_lossy(&bytes).into_owned(),
            complete,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(limit: u64, chunks: &[&str]) -> Vec<String> {
        let mut lines = Lines::new(Stream::Stdout, limit);
        let mut got = Vec::new();
        let mut each = |piece| match piece {
            Piece::Line(line) if line.complete => got.push(line.text),
            Piece::Line(line) => got.push(format!("{}...", line.text)),
            Piece::Limit => got.push("limit".into()),
        };
        for chunk in chunks {
            lines.push(chunk.as_bytes(), &mut each);
        }
        lines.finish().map(&mut each);
        got
    }

    #[test]
    fn lines_come_whole_wherever_reads_cut_them() {
        assert_eq!(lines(99, &["a\nb", "c\n", "\nd"]), ["a", "bc", "", "d..."]);
    }

    #[test]
    fn the_limit_is_said_once() {
        assert_eq!(
            lines(5, &["abc\nde", "f\n", "ghi\n"]),
            ["abc", "d...", "limit"]
        );
    }

    #[test]
    fn a_line_without_end_is_given_in_pieces() {
        let long = "x".repeat(MAX_LINE);
        let got = lines(u64::MAX, &[&long, "y\n"]);
        assert_eq!((got.len(), got[1].as_str()), (2, "y"));
    }
}
