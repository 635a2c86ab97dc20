//! Not knowing, by sweeping: what may happen over all places of what nobody knows.
//!
//! A known phase of the timer wheel is one place. Of an unknown one only the remainder by
//! the widest bucket matters in which a timer was due. It is sampled, and halved where two
//! neighbouring samples differ, so that both sides of a cliff are found. Each
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
const MOST_PHASES: u64 = 1 << 15;
/// Samples at first.
const SAMPLES: u64 = 32;
/// Events of all runs of a case; after so many nothing is refined any more. About a second.
const MOST_EVENTS: usize = 2_000_000;
/// Runs where chance decides.
const SEEDS: u64 = 200;
/// Samples for each further alternative of something else.
const FEW_SAMPLES: u64 = 4;
/// Runs at most over all phases, for so many samples: each phase that decides the times
/// of retransmissions, which are at most two minutes apart.
const MOST_RUNS: usize = 520;

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
    /// How many runs showed it.
    pub runs: usize,
}

/// What may happen, the sign of most runs first.
#[derive(Debug, Clone, PartialEq)]
pub struct Swept {
    /// The signs that may come first.
    pub possible: Vec<Possible>,
    /// What the model does not contain, if the case needs it.
    pub unknown: Option<String>,
    /// Chance decides something: loss, jitter, corruption. The times are then those of nine
    /// in ten runs.
    pub by_chance: bool,
    /// There are phases of the wheel between which it changes and that were not tried.
    pub thin: bool,
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
    /// The widest bucket that decided something.
    granule: u64,
    /// Where two neighbouring samples differ, not all between them were tried.
    thin: bool,
    runs: usize,
    events: usize,
}

/// Everything that may be the first sign of a case.
pub fn sweep(case: &Case, kernel: KernelFacts, moments: &Moments) -> Swept {
    let mut sweep = Sweep {
        case,
        kernel,
        moments,
        used: [false; 7],
        unknown: None,
        granule: 1,
        thin: false,
        runs: 0,
        events: 0,
    };
    let mut lines: Vec<Vec<Sample>> = vec![sweep.phases([0; 7], SAMPLES)];
    let thin = sweep.thin;
    // Each alternative of what decided something, by itself and with those before it.
    let mut tried: Vec<[u64; 7]> = vec![[0; 7]];
    for (kind, alternatives) in ALTERNATIVES.into_iter().enumerate() {
        if !sweep.used[kind] || sweep.is_settled() {
            continue;
        }
        for choices in tried.clone() {
            for alternative in 1..alternatives {
                if sweep.events >= 2 * MOST_EVENTS {
                    break;
                }
                let mut choices = choices;
                choices[kind] = alternative;
                if alternatives == 2 {
                    tried.push(choices);
                }
                lines.push(sweep.phases(choices, FEW_SAMPLES));
            }
        }
    }
    if sweep.used[Uncertain::Chance as usize] && sweep.unknown.is_none() {
        let samples = sweep.seeds();
        return Swept {
            possible: shares(samples, kernel),
            unknown: sweep.unknown,
            by_chance: true,
            thin: false,
            runs: sweep.runs,
        };
    }
    Swept {
        possible: merge(lines, kernel),
        unknown: sweep.unknown,
        by_chance: false,
        thin,
        runs: sweep.runs,
    }
}

impl Sweep<'_> {
    fn run(&mut self, phase: Phase, choices: [u64; 7]) -> Sample {
        let place = Place { phase, choices };
        let run = simulate(self.case, self.kernel, self.moments, place, Detail::Signs);
        self.runs += 1;
        self.events += run.events;
        for (all, used) in self.used.iter_mut().zip(run.used) {
            *all |= used;
        }
        self.granule = self.granule.max(run.granule).min(MOST_PHASES);
        if self.unknown.is_none() {
            let endless = run
                .endless
                .then(|| "the simulation does not end".to_owned());
            self.unknown = run.unknown.clone().or(endless);
        }
        sample(run, place)
    }

    /// Whether more runs change nothing.
    fn is_settled(&self) -> bool {
        self.unknown.is_some() || self.used[Uncertain::Chance as usize]
    }

    /// Runs that differ in everything that nobody knows, and in what chance decides.
    fn seeds(&mut self) -> Vec<Sample> {
        let mut samples = Vec::new();
        for seed in 1..=SEEDS {
            let mut choices = [0; 7];
            for (kind, alternatives) in ALTERNATIVES.into_iter().enumerate() {
                // Another order for each kind: odd steps by the golden ratio.
                let step = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (8 + kind);
                choices[kind] = step % alternatives;
            }
            choices[Uncertain::Chance as usize] = seed;
            choices[Uncertain::Pace as usize] = 0;
            let phase = match self.kernel.phase {
                Phase::Known { .. } => self.kernel.phase,
                Phase::Unknown => Phase::Known {
                    jiffies: (seed * (MOST_PHASES / SEEDS)) | 1,
                    into_tick: self.kernel.wheel().tick() / 2,
                },
            };
            samples.push(self.run(phase, choices));
            if self.unknown.is_some() || self.events >= MOST_EVENTS {
                break;
            }
        }
        samples
    }

    /// The runs over all phases, in their order.
    fn phases(&mut self, choices: [u64; 7], samples: u64) -> Vec<Sample> {
        if let Phase::Known { .. } = self.kernel.phase {
            return vec![self.run(self.kernel.phase, choices)];
        }
        let tick = self.kernel.wheel().tick();
        let most = self.runs + MOST_RUNS * samples as usize / SAMPLES as usize;
        let mut line: BTreeMap<u64, Sample> = BTreeMap::new();
        let at = |jiffies: u64| Phase::Known {
            jiffies,
            into_tick: tick / 2,
        };
        let mut covered = 0;
        while self.granule > covered && !self.is_settled() {
            covered = self.granule;
            // An odd number of ticks apart, so that narrow buckets are sampled, too.
            let step = (covered / samples) | 1;
            for jiffies in (0..covered + step).step_by(step as usize) {
                let needed = line.is_empty() || self.events < MOST_EVENTS;
                if needed && !self.is_settled() && !line.contains_key(&jiffies) {
                    line.insert(jiffies, self.run(at(jiffies), choices));
                }
            }
        }
        let mut open: Vec<(u64, u64)> = neighbours(&line);
        while let Some((a, b)) = open.pop() {
            if b - a <= 1 || is_continuous(&line[&a], &line[&b], b - a, tick) {
                continue;
            }
            if self.runs >= most || self.events >= MOST_EVENTS {
                self.thin = true;
                break;
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
                    possible.runs += 1;
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
                    runs: 1,
                }),
            }
        }
    }
    all.sort_by_key(|possible| std::cmp::Reverse(possible.runs));
    all
}

/// The signs of runs in which chance decides, with the times of nine in ten of them.
fn shares(samples: Vec<Sample>, kernel: KernelFacts) -> Vec<Possible> {
    let mut each = merge(samples.iter().map(|s| vec![s.clone()]).collect(), kernel);
    for possible in &mut each {
        let named = |s: &&Sample| match &s.sign {
            None => possible.kind == SignKind::Unnoticed,
            Some(sign) => *sign == (possible.kind.clone(), possible.call, possible.lane.clone()),
        };
        let mut times: Vec<Duration> = samples.iter().filter(named).map(|s| s.at).collect();
        times.sort_unstable();
        let tail = times.len() / 20;
        if let Some(most) = times.get(tail..times.len() - tail)
            && let (Some(from), Some(to)) = (most.first(), most.last())
        {
            possible.at = Spans::one(Span::new(*from, *to));
        }
    }
    each
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
