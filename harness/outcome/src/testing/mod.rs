//! Outcomes written by hand in the form that a run gives them, for the tests of
//! this crate and of the reports. Not a public interface.
#![allow(missing_docs)]

mod outcomes;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::baseline::SavedRun;
use crate::environment::Environment;
use crate::record::{Outcome, Verdict};
use halfopen_scenario::case::{Case, SignKind};
use halfopen_scenario::parse;

pub use outcomes::{crash, disturbed, failed, not_run, not_the_book, unnoticed};

/// The environment of [`all`].
pub fn environment() -> Environment {
    Environment {
        kernel: "6.12.0".into(),
        hz: Some(250),
        time: "real".into(),
        congestion_control: "reno".into(),
        halfopen: "0.1.0".into(),
        privileges: "root".into(),
        sysctls: BTreeMap::from([("net.ipv4.tcp_retries2".into(), "15".into())]),
        overrides: BTreeMap::new(),
        connection_objects: BTreeMap::from([("TCP".into(), 2368), ("filp".into(), 192)]),
        wheel: None,
    }
}

/// One outcome of each kind.
pub fn all() -> Vec<Outcome> {
    let mut differs = crash("keepalive-2-1-3", "ECONNRESET", 1_204, Verdict::Differs);
    differs
        .surprises
        .push("an RST reached the client although the host was silent".into());
    differs.outside = Some("ETIMEDOUT was predicted, ECONNRESET was seen".into());
    let predicted = halfopen_predict::Prediction {
        sign: SignKind::Errno("ETIMEDOUT".into()),
        call: Some("read".into()),
        lane: Some("client".into()),
        earliest: Duration::from_millis(3_000),
        latest: Duration::from_millis(3_080),
        branches: vec![],
        because: "retransmissions until 1.4 s have passed since the first".into(),
        first_byte: None,
        others: vec![],
        share: None,
        rules: vec![halfopen_predict::RuleId::Retransmission],
    };
    differs.prediction = Some(predicted.clone());
    let mut as_predicted = crash("none", "ETIMEDOUT", 3_052, Verdict::AsExpected);
    as_predicted.prediction = Some(predicted);
    vec![
        as_predicted,
        differs,
        crash("user-timeout-3s", "ETIMEDOUT", 3_208, Verdict::Observed),
        unnoticed(),
        not_the_book(),
        not_run(),
        failed(),
    ]
}

/// The cases of which [`all`] holds outcomes.
pub const CASES: &str = "
version: 1
detectors:
  keepalive-2-1-3: { keepalive: { idle: 2s, interval: 1s, count: 3 } }
  user-timeout-3s: { user_timeout: 3s }
scenarios:
  host-crash-while-writing:
    about: The server loses power.
    matrix: { detector: [none, keepalive-2-1-3, user-timeout-3s], network: [lan] }
    sysctls: { client: { net.ipv4.tcp_retries2: 3 } }
    server: [listen, accept, echo]
    client: [connect, { exchange: hello }, { wait_for: crash }, { write: query }, read]
    faults: [{ at: 500ms, drop: { to: server }, name: crash }]
    give_up: 300s
  idle-client:
    about: Nothing happens.
    server: [listen, accept, echo]
    client: [connect, { exchange: hello }, read]
    give_up: 5s
  keepalive-defaults:
    about: Two hours.
    clock: virtual
    server: [listen, accept, echo]
    client: [connect, { exchange: hello }, read]
    give_up: 5s
  lab-broken:
    about: It cannot be built.
    server: [listen, accept, echo]
    client: [connect, { exchange: hello }, read]
    give_up: 5s
";

/// The parsed [`CASES`].
pub fn cases() -> Vec<Case> {
    parse("t", CASES).expect("the fixture is right").cases
}

/// [`all`] in the form of a baseline.
pub fn saved_run() -> SavedRun {
    let outcomes = all();
    SavedRun::of(&environment(), &cases(), &outcomes)
}
