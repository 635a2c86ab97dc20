//! How far guests are, on standard error: by their own clocks.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use halfopen_net::span::human;
use halfopen_vm::cases::Progress;

use super::output;

/// A log gets no more than one line in this time.
const LOG_EVERY: Duration = Duration::from_secs(5);

/// Shows how far each guest is.
pub(super) struct Meter {
    guests: Vec<Guest>,
    cases: usize,
    began: Instant,
    display: Display,
}

struct Guest {
    release: String,
    clock: Duration,
    done: usize,
    up: bool,
    noticed: bool,
}

enum Display {
    Bars(Vec<ProgressBar>),
    Log { last: Instant },
}

impl Meter {
    /// Bars when standard error is a terminal.
    pub(super) fn new(releases: &[&str], cases: usize) -> Self {
        let began = Instant::now();
        let display = if std::io::stderr().is_terminal() {
            let all = MultiProgress::new();
            let style = ProgressStyle::with_template("{bar:24} {pos} of {len}  {wide_msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("=> ");
            let bar = |_: &&str| {
                let bar = all.add(ProgressBar::new(cases as u64));
                bar.set_style(style.clone());
                bar
            };
            Display::Bars(releases.iter().map(bar).collect())
        } else {
            Display::Log { last: began }
        };
        let guest = |release: &&str| Guest {
            release: (*release).to_owned(),
            clock: Duration::ZERO,
            done: 0,
            up: false,
            noticed: false,
        };
        Meter {
            guests: releases.iter().map(guest).collect(),
            cases,
            began,
            display,
        }
    }

    /// Takes note of an event of one guest.
    pub(super) fn see(&mut self, index: usize, event: &Progress<'_>) {
        let Some(guest) = self.guests.get_mut(index) else {
            return;
        };
        match event {
            Progress::Booted(booted) => {
                // A kernel may have several guests.
                let known = std::mem::replace(&mut guest.up, true);
                for refused in booted.refused.iter().filter(|_| !known) {
                    output::remark(&format!("{}: {refused}", guest.release));
                }
            }
            Progress::Notice(why) => {
                if !std::mem::replace(&mut guest.noticed, true) {
                    output::remark(&format!("{}: is booted: {why}", guest.release));
                }
            }
            Progress::Clock(clock) => guest.clock = guest.clock.max(*clock),
            Progress::Started(_) => {}
            Progress::Finished(_) => guest.done += 1,
        }
        self.show(index);
    }

    /// The bars go away.
    pub(super) fn finish(self) {
        if let Display::Bars(bars) = &self.display {
            bars.iter().for_each(ProgressBar::finish_and_clear);
        }
    }

    fn show(&mut self, index: usize) {
        let elapsed = human(Duration::from_secs(self.began.elapsed().as_secs()));
        let words = |guest: &Guest| {
            let clock = match guest.up {
                true => format!(
                    "{} of guest time",
                    human(Duration::from_secs(guest.clock.as_secs()))
                ),
                false => "starts".to_owned(),
            };
            format!("{}: {clock}", guest.release)
        };
        match &mut self.display {
            Display::Bars(bars) => {
                let guest = &self.guests[index];
                bars[index].set_position(guest.done as u64);
                bars[index].set_message(format!("{}, {elapsed}", words(guest)));
            }
            Display::Log { last } => {
                if last.elapsed() >= LOG_EVERY {
                    *last = Instant::now();
                    let all: Vec<String> = self
                        .guests
                        .iter()
                        .filter(|g| g.up && g.done < self.cases)
                        .map(|g| format!("{}, {} of {} done", words(g), g.done, self.cases))
                        .collect();
                    output::remark(&format!("{elapsed}: {}", all.join("; ")));
                }
            }
        }
    }
}
