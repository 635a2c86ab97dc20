//! What a reader of a program's record should know, as text.

use std::collections::BTreeSet;

use halfopen_trace::Errno;
use halfopen_trace::event::{Cost, End, Stream, Unseen};

use super::{OUTPUT_LIMIT, end_text};

/// A thousand stops within this time are 1 % of a program's time, at 10 us each
/// (harness/trace/examples/call_cost.rs).
const BUSY_NS: i64 = 1_000_000_000;

/// A program is chatty after so many thousands of stops that came as fast as that. The
/// start of a JVM is a few.
const CHATTY: u32 = 20;

/// Notes that are made once.
#[derive(Debug)]
pub(super) struct Notes {
    few_users: bool,
    refused: BTreeSet<String>,
    /// Thousands of stops that came fast.
    busy: u32,
    last_cost_ns: i64,
}

impl Notes {
    /// `few_users`: a call that asks for a user is refused here, and not elsewhere.
    pub(super) fn new(few_users: bool) -> Self {
        Self {
            few_users,
            refused: BTreeSet::new(),
            busy: 0,
            last_cost_ns: 0,
        }
    }

    pub(super) fn refused(&mut self, call: &str, errno: Errno) -> Option<String> {
        let first = self.few_users && self.refused.insert(call.to_owned());
        first.then(|| {
            format!(
                "it called {call}() and got {errno}: without root's privileges a program has \
                 one user and no other groups (user_namespaces(7)); run halfopen as root, or \
                 in virtual time, or turn off what asks for another user"
            )
        })
    }

    /// Called after every thousand stops, `ran_ns` after the start of the program.
    pub(super) fn cost(&mut self, cost: Cost, ran_ns: i64) -> Option<String> {
        let took = ran_ns - std::mem::replace(&mut self.last_cost_ns, ran_ns);
        if took > BUSY_NS {
            return None;
        }
        self.busy += 1;
        (self.busy == CHATTY).then(|| {
            format!(
                "it makes so many calls that observing them slows it: {} stops so far, of some \
                 10 us each; `observe: wire` leaves its calls alone",
                cost.stops
            )
        })
    }
}

pub(super) fn output_limit(stream: Stream) -> String {
    let (most, name) = (OUTPUT_LIMIT >> 20, name_of(stream));
    format!("it wrote more than {most} MiB to {name}; the rest was read and dropped")
}

pub(super) fn closed(stream: Stream) -> String {
    let name = name_of(stream);
    format!("it closed {name} and runs on: what it would write there is not seen")
}

pub(super) fn background(end: End, left: usize) -> String {
    format!(
        "its first process ended ({}) and left {left} behind: it went into the background; \
         there is an option that keeps it in the foreground",
        end_text(end),
    )
}

pub(super) fn unseen(unseen: Unseen) -> &'static str {
    match unseen {
        Unseen::ThirtyTwoBit => {
            "it is a 32-bit program, whose calls are not seen; use a 64-bit build"
        }
        Unseen::IoUring => {
            "it asked for io_uring and was told that there is none: its calls are seen, \
             but are not those that it makes elsewhere"
        }
        Unseen::LostParent => "sockets that one of its processes inherited are not known",
        _ => "some of its calls are not seen",
    }
}

fn name_of(stream: Stream) -> &'static str {
    match stream {
        Stream::Stdout => "standard output",
        Stream::Stderr => "standard error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chatty_program_is_said_once_and_a_busy_start_is_not() {
        let mut notes = Notes::new(false);
        let mut stops = 0;
        let mut after = |ms: i64| {
            stops += 1000;
            let cost = Cost { stops, held_ns: 0 };
            notes.cost(cost, ms * 1_000_000)
        };
        // A start of five thousand stops, then a program that wakes now and then.
        let start = (1..=5).map(|n| 100 * n);
        let idle = (1..=50).map(|n| 5_000 * n);
        assert!(start.chain(idle).all(|ms| after(ms).is_none()));
        let said: Vec<String> = (1..=100).filter_map(|n| after(250_000 + 20 * n)).collect();
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains("70000 stops so far"), "{said:?}");
    }

    #[test]
    fn a_refused_user_is_said_where_it_is_this_programs_doing() {
        let refused = Errno(nix::libc::EPERM);
        assert_eq!(Notes::new(false).refused("setgroups", refused), None);
        let mut notes = Notes::new(true);
        let said = notes.refused("setgroups", refused).expect("the first one");
        assert!(
            said.starts_with("it called setgroups() and got EPERM"),
            "{said}"
        );
        assert_eq!(notes.refused("setgroups", refused), None);
    }
}
