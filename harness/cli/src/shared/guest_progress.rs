//! How far guests are, on standard error, by their own clocks: a bar for each on a
//! terminal, a line every few seconds in a log.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use halfopen_net::span::human;
use halfopen_vm::cases::Progress as Event;

use super::output;

/// The shortest time between two lines of a log.
const LOG_INTERVAL: Duration = Duration::from_secs(5);

/// Shows how far each guest is.
pub(super) struct GuestProgress {
    guests: Vec<Guest>,
    cases: usize,
    began: Instant,
    display: Display,
}

struct Guest {
    release: String,
    clock: Duration,
    done: usize,
    booted: bool,
    noticed: bool,
}

enum Display {
    Bars(Vec<ProgressBar>),
    Log { last: Instant },
}

impl GuestProgress {
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
            booted: false,
            noticed: false,
        };
        GuestProgress {
            guests: releases.iter().map(guest).collect(),
            cases,
            began,
            display,
        }
    }

    /// Takes note of an event of one guest, and shows it.
    pub(super) fn record(&mut self, index: usize, event: &Event<'_>) {
        let Some(guest) = self.guests.get_mut(index) else {
            return;
        };
        match event {
            Event::Booted(booted) => {
                // A kernel may have several guests, which refuse the same.
                let booted_before = std::mem::replace(&mut guest.booted, true);
                for refused in booted.refused.iter().filter(|_| !booted_before) {
                    output::remark(&format!("{}: {refused}", guest.release));
                }
            }
            Event::NotRestored(why) => {
                if !std::mem::replace(&mut guest.noticed, true) {
                    output::remark(&format!("{}: is booted: {why}", guest.release));
                }
            }
            Event::Clock(clock) => guest.clock = guest.clock.max(*clock),
            Event::Started(_) => {}
            Event::Finished(_) => guest.done += 1,
        }
        self.show(index);
    }

    /// Removes the bars.
    pub(super) fn finish(self) {
        if let Display::Bars(bars) = &self.display {
            bars.iter().for_each(ProgressBar::finish_and_clear);
        }
    }

    fn show(&mut self, index: usize) {
        let elapsed = human(Duration::from_secs(self.began.elapsed().as_secs()));
        let state = |guest: &Guest| {
            let clock = match guest.booted {
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
                bars[index].set_message(format!("{}, {elapsed}", state(guest)));
            }
            Display::Log { last } => {
                if last.elapsed() >= LOG_INTERVAL {
                    *last = Instant::now();
                    let all: Vec<String> = self
                        .guests
                        .iter()
                        .filter(|g| g.booted && g.done < self.cases)
                        .map(|g| format!("{}, {} of {} done", state(g), g.done, self.cases))
                        .collect();
                    output::remark(&format!("{elapsed}: {}", all.join("; ")));
                }
            }
        }
    }
}
