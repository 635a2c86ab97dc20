//! Columns of numbers, and targets.

use std::time::Duration;

/// Measured times of one thing.
#[derive(Debug, Default, Clone)]
pub struct Times(Vec<Duration>);

impl Times {
    pub fn push(&mut self, time: Duration) {
        self.0.push(time);
        self.0.sort_unstable();
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The time that this share of all does not exceed (nearest rank).
    pub fn quantile(&self, share: f64) -> Duration {
        let rank = (share * self.0.len() as f64).ceil() as usize;
        let last = self.0.len().saturating_sub(1);
        let at = rank.saturating_sub(1).min(last);
        self.0.get(at).copied().unwrap_or_default()
    }

    pub fn median(&self) -> Duration {
        self.quantile(0.5)
    }

    /// One row: number, minimum, median, 99th percentile, maximum.
    pub fn row(&self, what: &str) {
        let ms = |share| format!("{:.3}", self.quantile(share).as_secs_f64() * 1e3);
        println!(
            "  {what:44} {:>5} {:>10} {:>10} {:>10} {:>10}",
            self.0.len(),
            ms(0.0),
            ms(0.5),
            ms(0.99),
            ms(1.0)
        );
    }
}

impl FromIterator<Duration> for Times {
    fn from_iter<I: IntoIterator<Item = Duration>>(times: I) -> Self {
        let mut all: Vec<_> = times.into_iter().collect();
        all.sort_unstable();
        Times(all)
    }
}

/// The line above rows.
pub fn heading(what: &str) {
    println!(
        "\n{what:46} {:>5} {:>10} {:>10} {:>10} {:>10}",
        "n", "min ms", "median ms", "p99 ms", "max ms"
    );
}

pub fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64().max(1e-9)
}

/// What was promised, and whether it held.
#[derive(Debug, Default)]
pub struct Targets(Vec<(String, String, bool)>);

impl Targets {
    pub fn add(&mut self, target: &str, measured: String, met: bool) {
        self.0.push((target.to_owned(), measured, met));
    }

    /// Prints them; true when all are met.
    pub fn show(&self) -> bool {
        println!("\ntargets");
        for (target, measured, met) in &self.0 {
            let met = if *met { "met" } else { "NOT MET" };
            println!("  {target:62} {measured:>12}  {met}");
        }
        self.0.iter().all(|(_, _, met)| *met)
    }
}
