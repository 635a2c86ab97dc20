//! Words typed by a person: reads them, calls `run` and `report`, says what
//! went wrong and how it is cured.

mod args;
mod baseline;
mod catalogue;
pub mod doctor;
mod error;
mod foretell;
mod guests;
mod guests_meter;
mod impact;
mod interrupt;
mod list;
mod main;
mod output;
mod progress;
mod question;
mod run;
mod select;
mod tune;

pub use error::Exit;
pub use main::main;

/// A file for this room's tests.
#[cfg(test)]
const THREE_CASES: &str = "
version: 1
detectors:
  keepalive-2-1-3: { keepalive: { idle: 2s, interval: 1s, count: 3 } }
  user-timeout-3s: { user_timeout: 3s }
scenarios:
  host-crash-while-writing:
    about: The server loses power.
    matrix: { detector: [none, keepalive-2-1-3, user-timeout-3s] }
    server: [listen, accept, echo]
    client: [connect, { exchange: hello }, read]
    faults: [{ at: 500ms, crash: server }]
    give_up: 5s
";
