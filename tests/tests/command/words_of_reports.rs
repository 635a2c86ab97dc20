//! The words that reports of real failures needed. The catalogue has each once
//! (tests/tests/catalogue.rs).

use crate::place::Place;

/// They take hours: tests/tests/virtual_time runs them.
#[test]
fn the_reports_can_be_said() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/reports.yaml");
    let ran = Place::empty().halfopen(&format!("check {file}"));
    assert_eq!(ran.code, Some(0), "{ran}");
}

#[test]
fn a_check_that_does_not_hold_differs() {
    let place = Place::with(
        "version: 1
scenarios:
  checked:
    server: [listen, accept, { read: 100 }, close, { sleep: 1h }]
    client: [connect, { write: hello }, { sleep: 1h }]
    faults: [{ at: 1s, netstat: , name: closed }]
    checks:
      - { at: closed, host: server, state: FIN_WAIT2, sockets: 2 }
    give_up: 1500ms
",
    );
    let ran = place.halfopen("run");
    assert_eq!(ran.code, Some(1), "{ran}");
    let said = "the check on line 8: expected 2 sockets in FIN_WAIT2 on server at `closed`, saw 1";
    assert!(ran.stdout.contains(said), "{ran}");
}
