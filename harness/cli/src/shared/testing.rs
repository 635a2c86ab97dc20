//! Cases for the tests of this crate.

use halfopen_scenario::case::Case;

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

/// Three cases of one scenario.
pub(crate) fn three_cases() -> Vec<Case> {
    halfopen_scenario::parse("t", THREE_CASES)
        .expect("the fixture is right")
        .cases
}
