//! The catalogue as a user runs it: its wall time against its longest case,
//! and how far reported moments are from the wire's own evidence.

use std::error::Error;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::SCENARIOS;
use super::numbers::{Targets, Times, heading, ratio};

const HALFOPEN: &str = env!("CARGO_BIN_EXE_halfopen");

/// What several runs showed.
#[derive(Debug, Default)]
pub struct Catalogue {
    all: Times,
    longest: Times,
    longest_id: String,
    errnos: Times,
    others: Times,
    far: Vec<(Duration, String)>,
}

pub fn measure(rounds: usize, arguments: &[&str]) -> Result<Catalogue, Box<dyn Error>> {
    let mut found = Catalogue::default();
    for _ in 0..rounds {
        let (took, run) = run(arguments)?;
        found.all.push(took);
        found.evidence(&run);
        if found.longest_id.is_empty() {
            found.longest_id = longest(&run).ok_or("no case of the catalogue ran")?;
        }
        let (took, _) = self::run(&[&found.longest_id])?;
        found.longest.push(took);
    }
    Ok(found)
}

fn run(arguments: &[&str]) -> Result<(Duration, Value), Box<dyn Error>> {
    let start = Instant::now();
    let output = Command::new(HALFOPEN)
        .args(["run", SCENARIOS])
        .args(arguments)
        .args(["--format", "json"])
        .stderr(Stdio::null())
        .output()?;
    let took = start.elapsed();
    let run = serde_json::from_slice(&output.stdout)
        .map_err(|e| format!("{HALFOPEN} ended with {} ({e})", output.status))?;
    Ok((took, run))
}

fn cases(run: &Value) -> impl Iterator<Item = &Value> {
    run["cases"].as_array().into_iter().flatten()
}

/// The case that ended last, counted from its own start: its last look at the
/// sockets is its end.
fn longest(run: &Value) -> Option<String> {
    let end = |case: &Value| {
        let looks = case["netstat"].as_array()?;
        looks.iter().filter_map(|n| n["at_ns"].as_i64()).max()
    };
    let (_, case) = cases(run)
        .filter_map(|c| Some((end(c)?, c)))
        .max_by_key(|(end, _)| *end)?;
    case["id"].as_str().map(str::to_owned)
}

impl Catalogue {
    fn evidence(&mut self, run: &Value) {
        for case in cases(run) {
            let sign = &case["first_sign"];
            let (Some(reported), Some(wire)) = (
                sign["since_fault_ns"].as_i64(),
                sign["wire_evidence_ns"].as_i64(),
            ) else {
                continue;
            };
            let apart = Duration::from_nanos(reported.abs_diff(wire));
            if sign["errno"].is_string() {
                self.errnos.push(apart);
            } else {
                self.others.push(apart);
            }
            let id = case["id"].as_str().unwrap_or_default();
            self.far.push((apart, id.to_owned()));
        }
        self.far.sort_by(|a, b| b.cmp(a));
    }

    pub fn show(&self, targets: &mut Targets) {
        heading("the catalogue");
        self.all.row("all cases");
        self.longest.row("the longest case alone");
        println!("  (the longest: {})", self.longest_id);
        let more = ratio(self.all.median(), self.longest.median());
        targets.add(
            "the catalogue at most 15 % longer than its longest case",
            format!("{more:.3}"),
            more <= 1.15,
        );
        heading("a reported moment, from the wire's evidence of it");
        self.errnos.row("an errno");
        if !self.others.is_empty() {
            self.others.row("end of file, poll hang-up");
        }
        for (apart, id) in self.far.iter().take(3) {
            println!("    {:9.3} ms  {id}", apart.as_secs_f64() * 1e3);
        }
        for (name, share) in [("median", 0.5), ("99th percentile", 0.99)] {
            let apart = self.errnos.quantile(share);
            let met = !self.errnos.is_empty() && apart < Duration::from_millis(1);
            targets.add(
                &format!("an errno's time below 1 ms from the wire's evidence, {name}"),
                format!("{:.3} ms", apart.as_secs_f64() * 1e3),
                met,
            );
        }
    }
}
