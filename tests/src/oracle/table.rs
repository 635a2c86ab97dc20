//! How many fell inside, in a table.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::trial::Finding;

/// What one kernel's cases of one kind came to.
#[derive(Debug, Default)]
pub struct Count {
    /// Cases that were run.
    pub cases: usize,
    /// Inside.
    pub inside: usize,
    /// Outside.
    pub outside: usize,
    /// Undecided, by the reason.
    pub undecided: BTreeMap<String, usize>,
    /// Not run, by the reason.
    pub failed: BTreeMap<String, usize>,
    widths: Vec<(Duration, Duration)>,
}

impl Count {
    /// One case more.
    pub fn add(&mut self, finding: &Finding) {
        self.cases += 1;
        match finding {
            Finding::Inside(width) => {
                self.inside += 1;
                self.widths.extend(width);
            }
            Finding::Outside(_) => self.outside += 1,
            Finding::Undecided(why) => *self.undecided.entry(why.clone()).or_default() += 1,
            Finding::Failed(why) => *self.failed.entry(why.clone()).or_default() += 1,
        }
    }

    /// Cases the rules decide.
    pub fn decided(&self) -> usize {
        self.inside + self.outside
    }

    /// The width in the middle, of intervals that a timer of the kernel ends:
    /// before the run, and once programs and faults had acted.
    pub fn medians(&self) -> Option<(Duration, Duration)> {
        let middle = |of: fn(&(Duration, Duration)) -> Duration| {
            let mut widths: Vec<Duration> = self.widths.iter().map(of).collect();
            widths.sort_unstable();
            widths.get(widths.len() / 2).copied()
        };
        Some((middle(|w| w.0)?, middle(|w| w.1)?))
    }

    /// `196 of 196`, with what the rules leave open.
    pub fn words(&self) -> String {
        let mut text = format!("{} of {}", self.inside, self.decided());
        let open: usize = self.undecided.values().sum();
        if open > 0 {
            let _ = write!(text, ", {open} open");
        }
        let failed: usize = self.failed.values().sum();
        if failed > 0 {
            let _ = write!(text, ", {failed} not run");
        }
        text
    }
}
