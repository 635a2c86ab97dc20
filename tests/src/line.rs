//! What a bad line did, measured on the wire, against what was asked of it.

use std::fmt::Write as _;

use halfopen_outcome::record::{Outcome, Packet, Status};
use halfopen_scenario::case::Case;

/// Of a normal distribution so many standard deviations away from the mean is
/// less than one in a million: an interval for what chance decides.
const SIGMAS: f64 = 4.9;

/// Bad lines of each kind, by each mechanism.
///
/// # Panics
/// When `line.yaml` is wrong.
pub fn cases() -> Vec<Case> {
    let parsed = halfopen_scenario::parse("line.yaml", include_str!("line.yaml"));
    parsed.unwrap_or_else(|e| panic!("{e}")).cases
}

/// Whether the line did what it was asked for; what was measured, in words.
///
/// # Errors
/// What was measured, and why it is wrong.
pub fn check(outcome: &Outcome) -> Result<String, String> {
    if outcome.status != Status::Ran || outcome.wire.lost_by_capture > 0 {
        return Err(format!("{}: {:?}", outcome.id, outcome.status));
    }
    if !outcome.surprises.is_empty() {
        return Err(format!("{}: {}", outcome.id, outcome.surprises.join("; ")));
    }
    let fault = outcome.faults.first().ok_or("no fault")?;
    let (_, mechanism) = fault.what.rsplit_once(", by ").ok_or("no mechanism")?;
    let mut measured = Measured {
        words: format!("{:11} by {mechanism:7}", outcome.axes["line"]),
        wrong: Vec::new(),
    };
    let kind = outcome.axes["line"].as_str();
    let from: &[&str] = match kind {
        "delay" | "jitter" | "reordering" => &["client", "server"],
        _ => &["client"],
    };
    let sent: Vec<&Packet> = (outcome.wire.packets.iter())
        .filter(|p| from.contains(&p.from.as_str()))
        .collect();
    let copies = outcome.wire.packets.iter().filter(|p| p.from == "wire");
    let lost = sent.iter().filter(|p| p.delivered_ns.is_none()).count();
    let under_way: Vec<f64> = (sent.iter())
        .filter_map(|p| Some((p.delivered_ns? - p.sent_ns) as f64 / 1e6))
        .collect();
    let n = sent.len();
    match kind {
        "loss" | "corruption" => measured.share("lost", lost, n, 0.05, 1.0),
        "bursts" => {
            // A chain's variance is that of single throws times
            // (1 + c) / (1 - c), c being what two packets in a row have in common.
            let common: f64 = 1.0 - 1.0 / 3.0 - (1.0 / 3.0) * 0.05 / 0.95;
            let stretch = ((1.0 + common) / (1.0 - common)).sqrt();
            measured.share("lost", lost, n, 0.05, stretch);
            let begun = (sent.windows(2))
                .filter(|w| w[0].delivered_ns.is_some() && w[1].delivered_ns.is_none())
                .count();
            let mean = lost as f64 / begun.max(1) as f64;
            // Lengths are geometric: sqrt(3 * 2) is their standard deviation.
            let slack = SIGMAS * 6f64.sqrt() / (begun.max(1) as f64).sqrt();
            measured.near("packets a burst", mean, 3.0, slack);
        }
        "duplication" => measured.share("came twice", copies.count(), n, 0.05, 1.0),
        "delay" => {
            let median = median(&round_trips(outcome));
            measured.near("ms a round trip", median, 160.5, 0.8);
            measured.least("ms under way, least", least(&under_way), 80.0);
        }
        "jitter" => {
            let count = under_way.len() as f64;
            let mean = under_way.iter().sum::<f64>() / count;
            let square = |ms: &f64| (ms - mean).powi(2);
            let spread = (under_way.iter().map(square).sum::<f64>() / count).sqrt();
            // Evenly spread between 60 and 100: 20 / sqrt(3), and the standard
            // errors of its mean and of its standard deviation.
            let sigma = 20.0 / 3f64.sqrt();
            measured.near("ms under way", mean, 80.1, SIGMAS * sigma / count.sqrt());
            measured.near(
                "ms spread",
                spread,
                sigma,
                SIGMAS * sigma * 0.45 / count.sqrt(),
            );
            measured.least("ms, least", least(&under_way), 60.0);
        }
        "reordering" => {
            let early = under_way.iter().filter(|ms| **ms < 10.0).count();
            measured.share("not delayed", early, under_way.len(), 0.25, 1.0);
        }
        "rate" => {
            let data: Vec<&&Packet> = sent.iter().filter(|p| p.len > 1000).collect();
            let at = |p: Option<&&&Packet>| p.and_then(|p| p.delivered_ns).unwrap_or(0) as f64;
            // A full bucket lets some pass at once; then what was delivered
            // after a frame, at the moment it was.
            let bucket = 20;
            let (first, last) = (at(data.get(bucket)), at(data.last()));
            let after = data.iter().skip(bucket + 1);
            let bytes: u64 = after.map(|p| u64::from(p.frame)).sum();
            let rate = bytes as f64 * 8.0 / ((last - first) / 1e9) / 1e6;
            measured.near("Mbit/s", rate, 8.0, 0.08);
        }
        other => return Err(format!("no check for {other}")),
    }
    if measured.wrong.is_empty() {
        Ok(measured.words)
    } else {
        Err(format!("{}: {}", measured.words, measured.wrong.join("; ")))
    }
}

struct Measured {
    words: String,
    wrong: Vec<String>,
}

impl Measured {
    /// So many of `n`, each with this probability.
    fn share(&mut self, what: &str, count: usize, n: usize, p: f64, stretch: f64) {
        let expected = p * n as f64;
        let slack = SIGMAS * (expected * (1.0 - p)).sqrt() * stretch;
        let percent = 100.0 * count as f64 / n.max(1) as f64;
        let _ = write!(self.words, "  {count} of {n} {what} ({percent:.1} %)");
        if n < 300 || (count as f64 - expected).abs() > slack {
            self.wrong
                .push(format!("{what}: {expected:.0} ± {slack:.0} expected"));
        }
    }

    fn near(&mut self, what: &str, value: f64, expected: f64, slack: f64) {
        let _ = write!(self.words, "  {value:.2} {what}");
        if (value - expected).abs() > slack {
            self.wrong
                .push(format!("{what}: {expected:.2} ± {slack:.2} expected"));
        }
    }

    fn least(&mut self, what: &str, value: f64, least: f64) {
        let _ = write!(self.words, "  {value:.3} {what}");
        if value < least {
            self.wrong.push(format!("{what}: {least} expected"));
        }
    }
}

/// How long the client's exchanges took, milliseconds: from the write to the
/// last of the reads that belong to it.
fn round_trips(outcome: &Outcome) -> Vec<f64> {
    let client = outcome.endpoints.iter().filter(|e| e.lane == "client");
    let calls = client.flat_map(|e| &e.processes).flat_map(|p| &p.calls);
    let mut trips: Vec<f64> = Vec::new();
    let mut began = None;
    for call in calls {
        match (call.call.as_str(), began, call.end_ns) {
            ("write", _, _) => {
                began = Some(call.start_ns);
                trips.push(0.0);
            }
            ("read", Some(began), Some(end)) => {
                if let Some(last) = trips.last_mut() {
                    *last = (end - began) as f64 / 1e6;
                }
            }
            _ => {}
        }
    }
    // The last read is the one that waits for the end.
    trips.pop();
    trips
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}
