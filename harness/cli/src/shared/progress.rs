//! How far a run on this machine is, on standard error: a bar on a terminal, a
//! line every few seconds in a log.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indexmap::IndexMap;
use indicatif::{ProgressBar, ProgressStyle};

use halfopen_net::span::human;

use halfopen_runner::Progress as Event;

use super::output;

/// The shortest time between two lines of a log.
const LOG_INTERVAL: Duration = Duration::from_secs(5);

/// Shows how far a run is.
pub(crate) struct Progress {
    total: usize,
    done: usize,
    began: Instant,
    /// Cases that run now, the longest-running first.
    running: IndexMap<String, Instant>,
    display: Display,
}

enum Display {
    Bar(ProgressBar),
    Log { last: Instant },
}

impl Progress {
    /// A bar when standard error is a terminal.
    pub(crate) fn new() -> Self {
        let began = Instant::now();
        let display = if std::io::stderr().is_terminal() {
            let bar = ProgressBar::new(0);
            let style =
                ProgressStyle::with_template("{bar:24} {pos} of {len}, {elapsed}  {wide_msg}")
                    .unwrap_or_else(|_| ProgressStyle::default_bar());
            bar.set_style(style.progress_chars("=> "));
            bar.enable_steady_tick(Duration::from_millis(250));
            Display::Bar(bar)
        } else {
            Display::Log { last: began }
        };
        Progress {
            total: 0,
            done: 0,
            began,
            running: IndexMap::new(),
            display,
        }
    }

    /// Takes note of an event, and shows it.
    pub(crate) fn record(&mut self, event: &Event<'_>) {
        match event {
            Event::Total { cases } => self.total = *cases,
            Event::Started { id } => {
                self.running.insert((*id).to_owned(), Instant::now());
            }
            Event::Finished { outcome } => {
                // shift_remove() keeps the order of the others, which is that of their start.
                self.running.shift_remove(&outcome.id);
                self.done += 1;
            }
        }
        self.show();
    }

    /// Removes the bar, and returns how long the run took.
    pub(crate) fn finish(self) -> Duration {
        if let Display::Bar(bar) = &self.display {
            bar.finish_and_clear();
        }
        self.began.elapsed()
    }

    fn show(&mut self) {
        let elapsed = self.began.elapsed();
        match &mut self.display {
            Display::Bar(bar) => {
                bar.set_length(self.total as u64);
                bar.set_position(self.done as u64);
                bar.set_message(
                    self.running
                        .first()
                        .map_or_else(String::new, |(id, _)| id.clone()),
                );
            }
            Display::Log { last } => {
                if last.elapsed() >= LOG_INTERVAL && self.done < self.total {
                    *last = Instant::now();
                    let seconds = human(Duration::from_secs(elapsed.as_secs()));
                    let oldest = self
                        .running
                        .first()
                        .map_or_else(String::new, |(id, since)| {
                            let since = human(Duration::from_secs(since.elapsed().as_secs()));
                            format!("; longest: {id}, {since}")
                        });
                    output::remark(&format!(
                        "{} of {} done, {seconds}{oldest}",
                        self.done, self.total
                    ));
                }
            }
        }
    }
}
