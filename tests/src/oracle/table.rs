//! Counts of predictions that held, as a table.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use halfopen_net::span::human;

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

/// What one kernel's cases came to.
#[derive(Debug)]
pub struct Row {
    /// The kernel.
    pub release: String,
    /// The catalogue's.
    pub catalogue: Count,
    /// Those nobody wrote.
    pub generated: Count,
    /// Each that fell outside, and how.
    pub outside: Vec<(String, String)>,
}

impl Row {
    /// A kernel without any yet.
    pub fn new(release: &str) -> Self {
        Row {
            release: release.to_owned(),
            catalogue: Count::default(),
            generated: Count::default(),
            outside: Vec::new(),
        }
    }
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

    /// The medians, as the end of a sentence.
    pub fn widths_in_words(&self) -> String {
        self.medians().map_or_else(String::new, |(before, after)| {
            format!(
                "; median width {}, and {} where the phase is known",
                human(before),
                human(after)
            )
        })
    }
}

/// docs/oracle.md, as far as it is measured; what is known of the exceptions
/// stands below a line and is kept.
pub fn document(rows: &[Row], seed: u64, cases: u64) -> String {
    let mut text = format!(
        "# The check of the predictor\n\n\
         `ci/oracle --seed {seed} --cases {cases} --write docs/oracle.md`: the catalogue and \
         {cases} generated cases, in virtual time. *Inside*: the sign and the call are those \
         predicted, and the time lies in the interval. *Open*: the rules say in words why they do \
         not decide. Median widths are those of signs that a timer of the kernel brings: as \
         predicted before the run, and, where it is known where the timer wheel stood and when \
         the programs acted, as compared, with one tick (4 ms) for the way from the timer to the \
         program.\n\n\
         | kernel | catalogue inside | generated inside | median width | where the phase is known |\n\
         |---|--:|--:|--:|--:|\n"
    );
    for row in rows {
        let median = row.generated.medians();
        let of = |pick: fn((Duration, Duration)) -> Duration| {
            median.map_or_else(String::new, |m| human(pick(m)))
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            row.release,
            row.catalogue.words(),
            row.generated.words(),
            of(|m| m.0),
            of(|m| m.1),
        );
    }
    let mut outside = rows
        .iter()
        .flat_map(|row| row.outside.iter().map(move |o| (row, o)))
        .peekable();
    if outside.peek().is_some() {
        text.push_str("\n## Outside\n\n| kernel | case | how |\n|---|---|---|\n");
    }
    for (row, (id, how)) in outside {
        let _ = writeln!(text, "| {} | `{id}` | {how} |", row.release);
    }
    let mut open: BTreeMap<&str, usize> = BTreeMap::new();
    for (why, n) in rows
        .iter()
        .flat_map(|r| r.generated.undecided.iter().chain(&r.catalogue.undecided))
    {
        *open.entry(why).or_default() += n;
    }
    if !open.is_empty() {
        text.push_str("\n## Open\n\n| cases, all kernels | why |\n|--:|---|\n");
    }
    for (why, n) in open {
        let _ = writeln!(text, "| {n} | {why} |");
    }
    text
}
