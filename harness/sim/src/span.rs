//! Intervals of time, and several of them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::wheel::{Jiffies, Phase, Wheel};

/// An interval, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Span {
    /// Not before.
    pub earliest: Duration,
    /// Not after.
    pub latest: Duration,
}

impl Span {
    /// A moment.
    pub const fn at(time: Duration) -> Self {
        Span {
            earliest: time,
            latest: time,
        }
    }

    /// From one time to another.
    pub fn new(earliest: Duration, latest: Duration) -> Self {
        Span {
            earliest,
            latest: latest.max(earliest),
        }
    }

    /// This interval, later by `other`.
    pub fn plus(self, other: Span) -> Self {
        Span {
            earliest: self.earliest.saturating_add(other.earliest),
            latest: self.latest.saturating_add(other.latest),
        }
    }

    /// This interval, later by `time`.
    pub fn after(self, time: Duration) -> Self {
        self.plus(Span::at(time))
    }

    /// This interval counted from `zero` on; what lies before becomes 0.
    pub fn since(self, zero: Duration) -> Self {
        Span {
            earliest: self.earliest.saturating_sub(zero),
            latest: self.latest.saturating_sub(zero),
        }
    }

    /// The later one of two things that both must have happened.
    pub fn both(self, other: Span) -> Self {
        Span {
            earliest: self.earliest.max(other.earliest),
            latest: self.latest.max(other.latest),
        }
    }

    /// How far the ends are apart.
    pub fn width(self) -> Duration {
        self.latest - self.earliest
    }

    /// Whether a moment lies in it.
    pub fn contains(self, time: Duration) -> bool {
        self.earliest <= time && time <= self.latest
    }
}

/// Gaps below this are no branches of their own.
const GAP: Duration = Duration::from_millis(40);

/// Intervals that do not touch, in order: the branches of what may happen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spans(Vec<Span>);

impl Spans {
    /// One interval.
    pub fn one(span: Span) -> Self {
        Spans(vec![span])
    }

    /// Joins those that (nearly) touch.
    pub fn of(mut all: Vec<Span>) -> Self {
        all.sort_unstable();
        let mut joined: Vec<Span> = Vec::new();
        for span in all {
            match joined.last_mut() {
                Some(last) if span.earliest <= last.latest.saturating_add(GAP) => {
                    last.latest = last.latest.max(span.latest);
                }
                _ => joined.push(span),
            }
        }
        Spans(joined)
    }

    /// From ticks at which something happened in simulations that began at `jiffies`, in an
    /// unknown or known part of a tick.
    pub fn of_ticks(ticks: &[(Jiffies, Jiffies)], wheel: Wheel, phase: Phase) -> Self {
        let mut waited: Vec<u64> = ticks.iter().map(|(began, at)| at - began).collect();
        waited.sort_unstable();
        waited.dedup();
        let spans = waited
            .into_iter()
            .map(|ticks| match phase {
                Phase::Known { into_tick, .. } => {
                    Span::at(wheel.span(ticks).saturating_sub(into_tick))
                }
                // The first tick comes after 0 to 1 tick.
                Phase::Unknown => Span::new(wheel.span(ticks.saturating_sub(1)), wheel.span(ticks)),
            })
            .collect();
        Spans::of(spans)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// From the first one's beginning to the last one's end.
    pub fn hull(&self) -> Option<Span> {
        Some(Span {
            earliest: self.0.first()?.earliest,
            latest: self.0.last()?.latest,
        })
    }

    /// The intervals.
    pub fn iter(&self) -> impl Iterator<Item = Span> {
        self.0.iter().copied()
    }

    /// Each interval changed by `change`.
    pub fn map(&self, change: impl Fn(Span) -> Span) -> Self {
        Spans::of(self.iter().map(change).collect())
    }

    /// Those of both.
    pub fn and(self, other: Spans) -> Self {
        Spans::of(self.0.into_iter().chain(other.0).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(a: u64, b: u64) -> Span {
        Span::new(Duration::from_millis(a), Duration::from_millis(b))
    }

    #[test]
    fn neighbours_are_joined_and_branches_are_not() {
        let spans = Spans::of(vec![ms(6_000, 6_500), ms(3_000, 3_100), ms(3_130, 3_200)]);
        assert_eq!(
            spans.iter().collect::<Vec<_>>(),
            [ms(3_000, 3_200), ms(6_000, 6_500)]
        );
        assert_eq!(spans.hull(), Some(ms(3_000, 6_500)));
    }

    #[test]
    fn a_tick_in_an_unknown_part_of_a_tick() {
        let wheel = Wheel::new(250);
        let spans = Spans::of_ticks(&[(100, 152), (101, 153)], wheel, Phase::Unknown);
        assert_eq!(spans.hull(), Some(ms(204, 208)));
    }
}
