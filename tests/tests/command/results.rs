//! Runs and what they report.

use serde_json::Value;

use crate::place::{Place, QUICK, assert_said};

#[test]
fn table() {
    let ran = Place::with(QUICK).halfopen("run");
    assert_said("run", &ran);
}

#[test]
fn built_in_catalogue_runs() {
    let ran = Place::empty().halfopen("run connect-invalid");
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(ran.stdout.contains("2 as expected, 0 differ"), "{ran}");
}

/// The flag and the cures are in the output, not only in the documentation.
#[test]
fn what_was_not_run_and_what_was_not_expected_have_a_cure() {
    let hours = QUICK.replace("  killed:\n", "  killed:\n    clock: virtual\n");
    let ran = Place::with(&hours).halfopen("run killed");
    assert_eq!(ran.code, Some(3), "{ran}");
    assert!(ran.stdout.contains("1 case not run: "), "{ran}");
    assert!(ran.stdout.contains("--time virtual"), "{ran}");

    let expected = "    expect: { eof: true, call: read, after: 0s }\n";
    let ran = Place::with(&QUICK.replace(expected, "")).halfopen("run killed");
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(ran.stdout.contains("`expect:`"), "{ran}");
    assert!(ran.stdout.contains("--save"), "{ran}");
}

#[test]
fn case_that_differs() {
    let wrong = "    expect: { errno: ETIMEDOUT, call: read, after: 2s }\n    server: [listen, accept, echo]";
    let right =
        "    expect: { eof: true, call: read, after: 0s }\n    server: [listen, accept, echo]";
    assert!(QUICK.contains(right));
    let ran = Place::with(&QUICK.replace(right, wrong)).halfopen("run killed");
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.stdout.contains("DIFFERS"), "{ran}");
    assert!(
        ran.stdout.contains("expected ETIMEDOUT, saw end of file"),
        "{ran}"
    );
}

#[test]
fn ladder_shows_every_call_and_packet() {
    let ran = Place::with(QUICK).halfopen("run killed --ladder");
    for word in [
        "connect() = 0",
        "SYN+ACK",
        "FIN",
        "read() = 0",
        "SIGKILL",
        "CLOSE_WAIT",
    ] {
        assert!(ran.stdout.contains(word), "{word}: {ran}");
    }
}

#[test]
fn json_keeps_its_keys() {
    let ran = Place::with(QUICK).halfopen("run killed --format json");
    assert_eq!(ran.code, Some(0), "{ran}");
    let json: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}\n{ran}"));
    has(&json, &["schema", "environment", "cases"]);
    assert_eq!(json["schema"], 1);
    has(
        &json["environment"],
        &["kernel", "hz", "time", "congestion_control", "halfopen"],
    );
    assert_eq!(json["environment"]["congestion_control"], "reno");
    assert_eq!(json["environment"]["time"], "real");

    let case = &json["cases"][0];
    has(
        case,
        &[
            "id",
            "scenario",
            "axes",
            "book",
            "first_sign",
            "endpoints",
            "wire",
            "prediction",
            "verdict",
            "surprises",
        ],
    );
    let sign = &case["first_sign"];
    has(
        sign,
        &["endpoint", "call", "outcome", "errno", "since_fault_ns"],
    );
    assert_eq!(
        (&sign["endpoint"], &sign["call"]),
        (&"client".into(), &"read".into())
    );
    assert!(sign["since_fault_ns"].is_i64(), "{sign}");
    has(
        &case["wire"]["counts"],
        &[
            "keepalive_probes",
            "retransmissions",
            "syn",
            "fin",
            "rst",
            "icmp",
        ],
    );
    assert_eq!(case["wire"]["counts"]["fin"], 1);
    let calls = &case["endpoints"][0]["processes"][0]["calls"][0];
    has(
        calls,
        &["call", "conn", "line", "start_ns", "end_ns", "result"],
    );
    assert_eq!(case["verdict"], "as_expected");
}

#[test]
fn sysctl_from_the_command_line_changes_the_result() {
    let place = Place::with(
        "
version: 1
scenarios:
  silence:
    about: SYNs get lost.
    expect: { errno: ETIMEDOUT, call: connect, after: 3s }
    server: [listen, accept]
    client: [{ wait_for: drop }, connect]
    faults:
      - { at: 50ms, drop: { to: server, flags: [SYN] } }
    give_up: 5s
",
    );
    let ran = place.halfopen("run");
    assert_eq!(
        ran.code,
        Some(1),
        "the pinned six retries take two minutes: {ran}"
    );
    assert!(
        ran.stdout.contains("expected ETIMEDOUT, saw unnoticed"),
        "{ran}"
    );
    let set = "--sysctl client:net.ipv4.tcp_syn_retries=1";
    let ran = place.halfopen(&format!("run {set} --format json"));
    assert_eq!(ran.code, Some(0), "{ran}");
    let json: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}\n{ran}"));
    let overrides = &json["environment"]["overrides"]["client"];
    assert_eq!(overrides["net.ipv4.tcp_syn_retries"], "1", "{overrides}");
}

fn has(value: &Value, keys: &[&str]) {
    for key in keys {
        assert!(value.get(key).is_some(), "no `{key}` in {value}");
    }
}

/// Lanes, programs' keys, captures and sockets as they really are.
#[test]
fn json_of_a_run_holds_to_its_schema() {
    let place = Place::with(QUICK);
    let schema: Value = serde_json::from_str(&place.halfopen("schema run").stdout).expect("JSON");
    let ran = place.halfopen("run --format json");
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(
        ran.stdout.lines().count(),
        1,
        "compact where no terminal reads it"
    );
    let run: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let violations = halfopen_report::json::schema::violations(&schema, &run);
    assert_eq!(violations, Vec::<String>::new());
}

/// Three machines, one of which had nothing to do. How the parts are divided does not
/// matter to what they make together.
#[test]
fn parts_of_several_machines_become_one_run() {
    let place = Place::with(QUICK);
    for part in ["1", "2", "3"] {
        let ran = place.halfopen(&format!("run --partition count:{part}/3 --format json"));
        assert_eq!(ran.code, Some(0), "{ran}");
        place.write(&format!("{part}.json"), &ran.stdout);
    }
    let merged = place.halfopen("merge 1.json 2.json 3.json");
    assert_eq!(merged.code, Some(0), "{merged}");
    assert!(
        merged.stderr.contains("3 as expected, 0 differ"),
        "{merged}"
    );
    let json: Value = serde_json::from_str(&merged.stdout).expect("JSON");
    assert_eq!(json["totals"]["cases"], 3);
    let schema: Value = serde_json::from_str(&place.halfopen("schema run").stdout).expect("JSON");
    let violations = halfopen_report::json::schema::violations(&schema, &json);
    assert_eq!(violations, Vec::<String>::new());

    let twice = place.halfopen("merge 1.json 2.json 1.json");
    assert_eq!((twice.code, twice.stdout.as_str()), (Some(2), ""));
    assert!(twice.stderr.contains("both have the case"), "{twice}");
    let missing = place.halfopen("merge 1.json 4.json");
    assert_eq!(missing.code, Some(2), "{missing}");
    assert!(missing.stderr.contains("4.json"), "{missing}");

    // What differs anywhere differs in the whole.
    let wrong = QUICK.replace("eof: true, call: read", "errno: EPIPE, call: read");
    place.write("scenarios.yaml", &wrong);
    let ran = place.halfopen("run killed --format json");
    assert_eq!(ran.code, Some(1), "{ran}");
    place.write("killed.json", &ran.stdout);
    let refused = place.halfopen("run refused --format json");
    place.write("refused.json", &refused.stdout);
    let merged = place.halfopen("merge refused.json killed.json");
    assert_eq!(merged.code, Some(1), "{merged}");
    assert!(merged.stderr.contains("killed: DIFFERS"), "{merged}");
}

/// A server that takes turns: the second connection was never served, whatever the
/// fault does.
#[test]
fn a_fault_gets_no_credit_for_what_was_wrong_before_it() {
    let place = Place::with(
        "version: 1
detectors: { rt: { read_timeout: 1s } }
scenarios:
  never-served:
    detector: rt
    expect: { timeout: true, call: read }
    server: [listen, { serve: { each: [echo] } }]
    client: [{ connect: { count: 2 } }, { exchange: hello }, read]
    faults: [{ at: 500ms, freeze: server }]
    give_up: 3s
",
    );
    let ran = place.halfopen("run");
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.stdout.contains("NOT SET UP"), "{ran}");
    assert!(
        ran.stdout
            .contains("when `freeze` struck, the exchange of client on line 8 had not ended"),
        "{ran}"
    );
    assert!(
        ran.stdout.contains("0 as expected, 0 differ, 1 not set up"),
        "{ran}"
    );
}

/// Several lanes are watched, and nothing strikes: each lane's sign, and what its time
/// counts from.
#[test]
fn each_watched_lane_has_its_sign_in_the_table() {
    let place = Place::with(
        "version: 1
scenarios:
  two-lanes:
    server: [listen, accept, { read: 100 }, { sleep: 200ms }, close, { sleep: 1h }]
    client: [connect, { write: hello }, read]
    watch: [client, server]
    give_up: 2s
",
    );
    let ran = place.halfopen("run");
    let rows: Vec<&str> = ran.stdout.lines().skip(2).take(3).collect();
    let words = |row: &str| row.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(words(rows[0]), "two-lanes");
    assert!(
        words(rows[1]).starts_with("- - EOF client read start + "),
        "{ran}"
    );
    assert_eq!(words(rows[2]), "unnoticed server -", "{ran}");
}

#[test]
fn a_router_s_sysctls_are_written() {
    let place = Place::with(
        "version: 1
scenarios:
  no-forwarding:
    sysctls: { router: { net.ipv4.ip_forward: 0 } }
    network: routed
    detector: own-limit
    server: [listen, accept, echo]
    client: [connect]
    give_up: 9s
detectors: { own-limit: { user_timeout: 1s } }
",
    );
    let ran = place.halfopen("run");
    assert!(!ran.stdout.contains("FAILED"), "{ran}");
    assert!(
        ran.stdout.contains("ETIMEDOUT"),
        "nothing is forwarded: {ran}"
    );
}
