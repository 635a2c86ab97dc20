//! How far a run is, on standard error: a bar on a terminal, now and then a
//! line in a log.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indexmap::IndexMap;
use indicatif::{ProgressBar, ProgressStyle};

use halfopen_net::span::human;

use super::output;
use halfopen_runner::Progress;

/// A log gets no more than one line in this time.
const LOG_EVERY: Duration = Duration::from_secs(5);

/// Shows how far a run is.
pub(super) struct Meter {
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

impl Meter {
    /// A bar when standard error is a terminal.
    pub(super) fn new() -> Self {
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
        Meter {
            total: 0,
            done: 0,
            began,
            running: IndexMap::new(),
            display,
        }
    }

    /// Takes note of an event.
    pub(super) fn see(&mut self, event: &Progress<'_>) {
        match event {
            Progress::Total { cases } => self.total = *cases,
            Progress::Started { id } => {
                self.running.insert((*id).to_owned(), Instant::now());
            }
            Progress::Finished { outcome } => {
                // Keeps the order of the others: they began in it.
                self.running.shift_remove(&outcome.id);
                self.done += 1;
            }
        }
        self.show();
    }

    /// How long it took; the bar goes away.
    pub(super) fn finish(self) -> Duration {
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
                if last.elapsed() >= LOG_EVERY && self.done < self.total {
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
