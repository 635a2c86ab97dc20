//! Not knowing, by sweeping: what may happen over all places of what nobody knows.
//!
//! A known phase of the timer wheel is one place. An unknown one is sampled, and halved
//! where two neighbouring samples differ, so that both sides of a cliff are found. Each
//! other kind of uncertainty that decided something in a run is tried in each of its
//! alternatives.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::kernel::KernelFacts;
use crate::moments::Moments;
use crate::simulation::{ALTERNATIVES, Detail, Place, Run, Uncertain, simulate};
use crate::span::{Span, Spans};
use crate::wheel::Phase;
use halfopen_scenario::case::{Case, SignKind};

/// Ticks of the widest bucket whose phase is sampled: timers of two hours at HZ=250.
const PHASES: u64 = 1 << 15;
/// Samples at first.
const SAMPLES: u64 = 32;
/// Samples for each further alternative of something else.
const FEW_SAMPLES: u64 = 4;
/// Runs at most over all phases, for so many samples.
const MOST_RUNS: usize = 256;

/// A sign that may come first, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Possible {
    /// The sign; unnoticed when none came.
    pub kind: SignKind,
    /// The call that shows it.
    pub call: &'static str,
    /// The lane.
    pub lane: String,
    /// When, since the time that signs count from.
    pub at: Spans,
    /// The first byte after the last heal.
    pub first_byte: Option<Span>,
    /// The kernel function that ended the connection, if one did.
    pub function: Option<&'static str>,
    /// One of the runs: its place.
    pub place: Place,
}

/// What may happen.
#[derive(Debug, Clone, PartialEq)]
pub struct Swept {
    /// The signs that may come first.
    pub possible: Vec<Possible>,
    /// What the model does not contain, if the case needs it.
    pub unknown: Option<String>,
    /// Chance decides something: loss, jitter, corruption.
    pub by_chance: bool,
    /// How many runs that took.
    pub runs: usize,
}

/// The sign of one run, and when it came.
#[derive(Debug, Clone, PartialEq)]
struct Sample {
    sign: Option<(SignKind, &'static str, String)>,
    at: Duration,
    first_byte: Option<Duration>,
    function: Option<&'static str>,
    place: Place,
}

struct Sweep<'a> {
    case: &'a Case,
    kernel: KernelFacts,
    moments: &'a Moments,
    used: [bool; 7],
    unknown: Option<String>,
    runs: usize,
}

/// Everything that may be the first sign of a case.
pub fn sweep(case: &Case, kernel: KernelFacts, moments: &Moments) -> Swept {
    let mut sweep = Sweep {
        case,
        kernel,
        moments,
        used: [false; 7],
        unknown: None,
        runs: 0,
    };
    let mut lines: Vec<Vec<Sample>> = vec![sweep.phases([0; 7], SAMPLES)];
    // Each alternative of what decided something, by itself and with those before it.
    let mut tried: Vec<[u64; 7]> = vec![[0; 7]];
    for (kind, alternatives) in ALTERNATIVES.into_iter().enumerate() {
        if !sweep.used[kind] || kind == Uncertain::Chance as usize || sweep.unknown.is_some() {
            continue;
        }
        for choices in tried.clone() {
            for alternative in 1..alternatives {
                let mut choices = choices;
                choices[kind] = alternative;
                if alternatives == 2 {
                    tried.push(choices);
                }
                lines.push(sweep.phases(choices, FEW_SAMPLES));
            }
        }
    }
    Swept {
        possible: merge(lines, kernel),
        unknown: sweep.unknown,
        by_chance: sweep.used[Uncertain::Chance as usize],
        runs: sweep.runs,
    }
}

impl Sweep<'_> {
    fn run(&mut self, phase: Phase, choices: [u64; 7]) -> Sample {
        let place = Place { phase, choices };
        let run = simulate(self.case, self.kernel, self.moments, place, Detail::Signs);
        self.runs += 1;
        for (all, used) in self.used.iter_mut().zip(run.used) {
            *all |= used;
        }
        if self.unknown.is_none() {
            let endless = run
                .endless
                .then(|| "the simulation does not end".to_owned());
            self.unknown = run.unknown.clone().or(endless);
        }
        sample(run, place)
    }

    /// The runs over all phases, in their order.
    fn phases(&mut self, choices: [u64; 7], samples: u64) -> Vec<Sample> {
        if let Phase::Known { .. } = self.kernel.phase {
            return vec![self.run(self.kernel.phase, choices)];
        }
        let tick = self.kernel.wheel().tick();
        // An odd number of ticks apart, so that narrow buckets are sampled, too.
        let step = PHASES / samples + 1;
        let most = self.runs + MOST_RUNS * samples as usize / SAMPLES as usize;
        let mut line: BTreeMap<u64, Sample> = BTreeMap::new();
        let at = |jiffies: u64| Phase::Known {
            jiffies,
            into_tick: tick / 2,
        };
        let mut jiffies = 0;
        while jiffies < PHASES + step {
            line.insert(jiffies, self.run(at(jiffies), choices));
            if self.unknown.is_some() || self.used[Uncertain::Chance as usize] {
                break;
            }
            jiffies += step;
            if line.len() == 4 && line.values().all(|sample| sample.at == line[&0].at) {
                // No timer of this case depends on the wheel.
                break;
            }
        }
        let mut open: Vec<(u64, u64)> = neighbours(&line);
        while let Some((a, b)) = open.pop() {
            if b - a <= 1 || self.runs >= most || is_continuous(&line[&a], &line[&b], b - a, tick) {
                continue;
            }
            let middle = a + (b - a) / 2;
            let sample = self.run(at(middle), choices);
            line.insert(middle, sample);
            open.push((a, middle));
            open.push((middle, b));
        }
        line.into_values().collect()
    }
}

fn neighbours(line: &BTreeMap<u64, Sample>) -> Vec<(u64, u64)> {
    let keys: Vec<u64> = line.keys().copied().collect();
    keys.windows(2).map(|pair| (pair[0], pair[1])).collect()
}

/// Whether nothing but the distance to the same tick lies between two phases.
fn is_continuous(a: &Sample, b: &Sample, ticks: u64, tick: Duration) -> bool {
    let apart = tick * u32::try_from(ticks).unwrap_or(u32::MAX);
    a.sign == b.sign && (a.at == b.at || a.at == b.at + apart)
}

fn sample(run: Run, place: Place) -> Sample {
    let at = run
        .sign
        .as_ref()
        .map_or(Duration::ZERO, |sign| sign.at.saturating_sub(run.reference));
    Sample {
        sign: run
            .sign
            .as_ref()
            .map(|sign| (sign.kind.clone(), sign.call, sign.lane.clone())),
        at,
        first_byte: run.first_byte,
        function: run.sign.and_then(|sign| sign.function),
        place,
    }
}

/// The signs of all runs with the times between those that follow each other.
fn merge(lines: Vec<Vec<Sample>>, kernel: KernelFacts) -> Vec<Possible> {
    let known = kernel.phase != Phase::Unknown;
    // Nobody knows where in a tick the case began.
    let half = kernel.wheel().tick() / 2;
    let span = |a: Duration, b: Duration| {
        let (from, to) = (a.min(b), a.max(b));
        let waits = !known && to > Duration::ZERO;
        match waits {
            true => Span::new(from.saturating_sub(half), to + half),
            false => Span::new(from, to),
        }
    };
    let mut all: Vec<Possible> = Vec::new();
    for line in lines {
        let before: Vec<Option<&Sample>> =
            std::iter::once(None).chain(line.iter().map(Some)).collect();
        for (sample, before) in line.iter().zip(before) {
            let joined = before.filter(|before| before.sign == sample.sign);
            let from = joined.map_or(sample.at, |before| near(before, sample, kernel));
            let at = span(from, sample.at);
            let byte = sample.first_byte.map(|byte| span(byte, byte));
            let (kind, call, lane) = match &sample.sign {
                None => (SignKind::Unnoticed, "", String::new()),
                Some(sign) => sign.clone(),
            };
            let same = |p: &&mut Possible| p.kind == kind && p.call == call && p.lane == lane;
            let paced = sample.place.choices[Uncertain::Pace as usize] == 1;
            match all.iter_mut().find(same) {
                Some(_) if paced => {}
                Some(possible) => {
                    let old = std::mem::take(&mut possible.at);
                    possible.at = old.and(Spans::one(at));
                    possible.first_byte = match (possible.first_byte, byte) {
                        (Some(a), Some(b)) => Some(Span::new(
                            a.earliest.min(b.earliest),
                            a.latest.max(b.latest),
                        )),
                        (a, b) => a.or(b),
                    };
                }
                None => all.push(Possible {
                    kind,
                    call,
                    lane,
                    at: Spans::one(at),
                    first_byte: byte,
                    function: sample.function,
                    place: sample.place,
                }),
            }
        }
    }
    all
}

/// How far the times between two neighbouring samples reach: to the other one's, unless
/// a cliff lies between them.
fn near(before: &Sample, sample: &Sample, kernel: KernelFacts) -> Duration {
    const CLIFF: Duration = Duration::from_millis(2_100);
    let ticks = jiffies(sample.place).saturating_sub(jiffies(before.place));
    if is_continuous(before, sample, ticks, kernel.wheel().tick()) {
        return before.at;
    }
    let apart = before.at.abs_diff(sample.at);
    // In long times the buckets are wide, and only sampled.
    let wide = sample.at / 20;
    if apart <= CLIFF.min(wide.max(Duration::from_millis(300))) {
        before.at
    } else {
        sample.at
    }
}

fn jiffies(place: Place) -> u64 {
    match place.phase {
        Phase::Known { jiffies, .. } => jiffies,
        Phase::Unknown => 0,
    }
}
