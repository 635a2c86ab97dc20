//! Draws one row at a time on the lifelines.

use super::{CLOCK, Mark};

/// The columns of the lifelines.
pub(super) struct Canvas {
    lifelines: Vec<usize>,
    width: usize,
}

impl Canvas {
    pub(super) fn new(hosts: &[String], width: usize) -> Self {
        let width = width.saturating_sub(CLOCK + 2).max(20);
        let gaps = hosts.len().saturating_sub(1).max(1);
        let lifelines = (0..hosts.len()).map(|i| i * (width - 1) / gaps).collect();
        Canvas { lifelines, width }
    }

    /// The line of the hosts' names.
    pub(super) fn names(&self, hosts: &[String]) -> String {
        let mut line = vec![' '; self.width];
        for (i, host) in hosts.iter().enumerate() {
            self.write_at(&mut line, i, host, false);
        }
        let line: String = line.into_iter().collect();
        format!("{:CLOCK$}  {}\n", "", line.trim_end())
    }

    /// One row.
    pub(super) fn draw(&self, mark: &Mark) -> String {
        let mut line = vec![' '; self.width];
        for at in &self.lifelines {
            line[*at] = '|';
        }
        match mark {
            Mark::At(host, text) => self.write_at(&mut line, *host, text, true),
            Mark::Arrow {
                from,
                to,
                label,
                lost,
            } => self.arrow(&mut line, *from, *to, label, *lost),
            Mark::Across(text) => {
                let text = format!(" {text} ");
                return format!("{text:=^width$}", width = self.width);
            }
        }
        line.into_iter().collect()
    }

    /// Writes text beside a lifeline or on it: to its right, at the last lifeline to
    /// its left.
    fn write_at(&self, line: &mut Vec<char>, host: usize, text: &str, beside: bool) {
        let at = self.lifelines[host];
        let beside = usize::from(beside) * 2;
        let last = host > 0 && host + 1 == self.lifelines.len();
        let length = text.chars().count();
        let start = if last {
            (at + 1).saturating_sub(length + beside)
        } else {
            at + beside
        };
        // Long text extends past the right edge and is not cut.
        if line.len() < start + length {
            line.resize(start + length, ' ');
        }
        line.splice(start..start + length, text.chars());
    }

    fn arrow(&self, line: &mut [char], from: usize, to: usize, label: &str, lost: bool) {
        let (a, b) = (self.lifelines[from], self.lifelines[to]);
        let (left, right) = (a.min(b) + 1, a.max(b));
        if left >= right {
            return;
        }
        let shaft = &mut line[left..right];
        shaft.fill('-');
        let size = shaft.len();
        // The arrow of a lost packet ends before its destination.
        let short = if lost { (size / 8).max(1) } else { 0 };
        if a < b {
            shaft[size - short..].fill(' ');
            shaft[size - 1 - short] = if lost { 'x' } else { '>' };
        } else {
            shaft[..short].fill(' ');
            shaft[short] = if lost { 'x' } else { '<' };
        }
        let label: Vec<char> = format!(" {label} ")
            .chars()
            .take(size.saturating_sub(2))
            .collect();
        let start = (size - label.len()) / 2;
        shaft[start..start + label.len()].copy_from_slice(&label);
    }
}
