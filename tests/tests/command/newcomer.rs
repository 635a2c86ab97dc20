//! What somebody who is new here writes wrong, and what comes back: each mistake gets its
//! line, what was expected, and the cure, all of a file in one go.

use crate::place::Place;

/// What they began with.
const RIGHT: &str = "\
version: 1
scenarios:
  db-dies:
    about: The database host loses power.
    server: [listen, accept, echo]
    client: [connect, { exchange: hello }, read]
    faults:
      - { at: 500ms, crash: server }
    give_up: 15s
";

/// What is replaced by what; the line of the mistake; what the answer has in it: what was
/// expected, and the cure.
type Mistake = (&'static str, &'static str, u32, &'static [&'static str]);

const MISTAKES: &[Mistake] = &[
    ("version: 1\n", "", 1, &["has no `version`", "`version: 1`"]),
    ("version: 1", "version: 1.0", 1, &["expected `1`"]),
    (
        "scenarios:",
        "scenario:",
        2,
        &["no key `scenario`", "did you mean `scenarios`?"],
    ),
    (
        "db-dies",
        "DB_dies",
        3,
        &["lower-case words joined by hyphens", "write `db-dies`"],
    ),
    ("15s", "15", 9, &["has no unit", "write `15s` for seconds"]),
    ("15s", "15sec", 9, &["unknown unit `sec`", "write `15s`"]),
    (
        "500ms",
        "500 ms",
        8,
        &["such as `500ms`", "the units are us, ms, s"],
    ),
    (
        "crash: server",
        "power_off: server",
        8,
        &["unknown event", "did you mean `crash`?"],
    ),
    (
        "faults:",
        "fault:",
        7,
        &["no key `fault`", "did you mean `faults`?"],
    ),
    (
        "at: 500ms",
        "time: 500ms",
        8,
        &["expected one of: at, after", "did you mean `at`?"],
    ),
    ("at: 500ms, ", "", 8, &["does not say when", "`at: 500ms`"]),
    (
        "crash: server",
        "crash: sever",
        8,
        &["one of: client, server", "did you mean `server`?"],
    ),
    (
        "exchange: hello",
        "send: hello",
        6,
        &["unknown step `send`", "did you mean `write`?"],
    ),
    (
        ", read]",
        ", recv]",
        6,
        &["unknown step `recv`", "did you mean `read`?"],
    ),
    (
        ", read]",
        ", { wait: 5s }]",
        6,
        &["unknown step `wait`", "did you mean `sleep`?"],
    ),
    (
        ", read]",
        ", { wait_for: crashes }]",
        6,
        &["expected a mark: crash", "did you mean `crash`?"],
    ),
    (
        "[connect, {",
        "[{",
        6,
        &[
            "before there is a connection",
            "`connect` or `accept` before it",
        ],
    ),
    (
        "[connect,",
        "[connect: \"server:7000\",",
        6,
        &["one of: client, server", "{ to: server, port: 7000 }"],
    ),
    (
        "give_up: 15s",
        "timeout: 15s",
        9,
        &["no key `timeout`", "did you mean `give_up`?"],
    ),
    (
        "about:",
        "description:",
        4,
        &["no key `description`", "did you mean `about`?"],
    ),
    (
        "    give_up",
        "    detector: { keepalive: { idle: 5s } }\n    give_up",
        9,
        &["used by its name", "under `detectors:`"],
    ),
    (
        "    give_up",
        "    detector: keepalive\n    give_up",
        9,
        &[
            "unknown detector `keepalive`",
            "declare it under `detectors:`",
        ],
    ),
    (
        "    give_up",
        "    sysctls: { tcp_retries2: 3 }\n    give_up",
        9,
        &[
            "one of: client, server, all",
            "`all: { net.ipv4.tcp_retries2: ... }`",
        ],
    ),
    (
        "    give_up",
        "    sysctls: { client: { tcp_retries2: 3 } }\n    give_up",
        9,
        &["starts with `net.`", "write `net.ipv4.tcp_retries2`"],
    ),
    (
        "    give_up",
        "    sysctls: { client: { net.ipv4.tcp_retry2: 3 } }\n    give_up",
        9,
        &["no kernel has", "did you mean `net.ipv4.tcp_retries2`?"],
    ),
    (
        "    give_up",
        "    sysctls: { client: { net.ipv4.tcp_retries2: 1000 } }\n    give_up",
        9,
        &["from 0 to 255", "such as `3`"],
    ),
    (
        "    give_up",
        "    expect: ETIMEDOUT\n    give_up",
        9,
        &["a sign with one of: errno", "write `{ errno: ETIMEDOUT }`"],
    ),
    (
        "    give_up",
        "    expect: { errno: ETIMEOUT }\n    give_up",
        9,
        &["the name of an errno", "did you mean `ETIMEDOUT`?"],
    ),
    (
        "    give_up",
        "    expect: { errno: ETIMEDOUT, after: 5s..3s }\n    give_up",
        9,
        &["ends before it begins", "write `3s..5s`"],
    ),
    (
        "    give_up",
        "    matrix: { network: lan }\n    give_up",
        9,
        &["a list of values", "write `[lan]`"],
    ),
    (
        "crash: server",
        "impair: { cable: client, loss: 5 }",
        8,
        &["a share of the packets", "write `5%`"],
    ),
    (
        "500ms",
        "20s",
        8,
        &["when the case has given up", "less than `give_up`"],
    ),
    (
        "    about",
        "\tabout",
        4,
        &["not YAML", "indent with spaces"],
    ),
    (
        "accept, echo]",
        "accept, echo",
        6,
        &["not YAML", "the `[` on line 5 is not closed"],
    ),
    (
        ": The database",
        ": Failure: the database",
        4,
        &["not YAML", "wants quotes"],
    ),
    (
        "    give_up",
        "    nat: { inside: client }\n    give_up",
        9,
        &["no router that could keep state", "`network: routed`"],
    ),
    // What is said in another unit, or in another form.
    (
        ", read]",
        ", { write: { bytes: 20MB } }]",
        6,
        &["not a whole number", "write `20000000`"],
    ),
    (
        "[connect,",
        "[{ connect: 7000 },",
        6,
        &["unknown host `7000`", "write `{ port: 7000 }`"],
    ),
    (
        "crash: server",
        "drop: { from: client, probability: 50 }",
        8,
        &["within 0 and 1", "write `0.5`"],
    ),
    (
        "    give_up",
        "    expect: { errno: 110 }\n    give_up",
        9,
        &["the name of an errno", "write `ETIMEDOUT`"],
    ),
    (
        "    give_up",
        "    sysctls: { client: { net.ipv4.tcp_keepalive_time: 2h } }\n    give_up",
        9,
        &["a sysctl is a number", "write `7200`"],
    ),
    (
        "    give_up",
        "    sysctls: { all: { net.ipv4.netfilter.ip_conntrack_tcp_loose: 0 } }\n    give_up",
        9,
        &["since 4.9", "write `net.netfilter.nf_conntrack_tcp_loose`"],
    ),
    (
        "    give_up",
        "    sysctls: { all: { net.core.message_burst: 5 } }\n    give_up",
        9,
        &["the whole machine's", "on the machine itself"],
    ),
    (
        "    give_up",
        "    network: { hosts: [a, b], cables: [[a, b]] }\n    give_up",
        9,
        &["used by its name", "under `networks:`"],
    ),
    (
        "scenarios:",
        "detectors: { quick: { keepalive: true } }\nscenarios:",
        2,
        &["keepalive with one of", "write `{}`"],
    ),
    (
        "scenarios:",
        "detectors: { quick: { keepalive: { idle: 2s, probes: 3 } } }\nscenarios:",
        2,
        &["one of: idle", "did you mean `count`?"],
    ),
    (
        "scenarios:",
        "detectors: { quick: { heartbeat: { interval: 2s, timeout: 5s } } }\nscenarios:",
        2,
        &["no key `interval`", "did you mean `every`?"],
    ),
    (
        "[connect, { exchange: hello }, read]",
        "[{ pool: 3 }, { request: GET }]",
        6,
        &["`pool` with one of", "write `{ connections: 3 }`"],
    ),
    (
        "  db-dies:",
        "  - db-dies:",
        3,
        &["a mapping from names to scenarios", "without `-`"],
    ),
    (
        "\n      - { at: 500ms, crash: server }",
        " { at: 500ms, crash: server }",
        7,
        &["a list of events", "put `[` and `]` around it"],
    ),
    (
        "crash: server",
        "resume: server",
        8,
        &["never slept", "`suspend: server` before it"],
    ),
    // What is no YAML.
    (
        "[connect, { exchange: hello }, read]",
        "*steps",
        6,
        &["not YAML", "what `&name` marked"],
    ),
    (
        "hello }, read]",
        "hello, read]",
        6,
        &["not YAML", "close each `{`"],
    ),
    (
        "about: The",
        "about: \"The",
        4,
        &["not YAML", "end the text with the quote"],
    ),
    (
        "    give_up",
        "   give_up",
        9,
        &["not YAML", "indent it as far"],
    ),
    (
        "    give_up",
        "\u{a0}\u{a0}\u{a0}\u{a0}give_up",
        9,
        &["no key", "type it anew"],
    ),
];

#[test]
fn each_mistake_has_its_line_what_was_expected_and_the_cure() {
    let place = Place::empty();
    for &(from, to, line, answers) in MISTAKES {
        assert!(RIGHT.contains(from), "{from}");
        place.write("scenarios.yaml", &RIGHT.replacen(from, to, 1));
        let ran = place.halfopen("check");
        assert_eq!(ran.code, Some(2), "{to:?}: {ran}");
        let at = format!("scenarios.yaml:{line}:");
        for said in answers.iter().copied().chain([at.as_str()]) {
            assert!(ran.stderr.contains(said), "{to:?} without {said:?}: {ran}");
        }
    }
}

/// Mistakes of the words, not of YAML, all in one file.
#[test]
fn all_mistakes_of_a_file_come_in_one_go() {
    let wrong = [
        (
            "{ at: 500ms, crash: server }",
            "{ at: 500, crash: sever }\n      - { at: 1min, crsh: server }",
        ),
        ("read]", "recv, { wait_for: crashes }]"),
        ("15s", "15sec"),
        (
            "    give_up",
            "    detector: keepalive\n    sysctls: { client: { net.ipv4.tcp_retry2: 3 } }\n    networks: lan\n    give_up",
        ),
    ];
    let file = wrong.iter().fold(RIGHT.to_owned(), |file, (from, to)| {
        assert!(file.contains(from), "{from}");
        file.replacen(from, to, 1)
    });
    let ran = Place::with(&file).halfopen("check");
    assert_eq!(ran.code, Some(2), "{ran}");
    for said in [
        "`500` has no unit",
        "unknown host `sever`",
        "unknown step `recv`",
        "unknown unit `sec`",
        "unknown event `crsh`",
        "unknown unit `min`",
        "unknown detector `keepalive`",
        "no kernel has a sysctl `net.ipv4.tcp_retry2`",
        "no key `networks`",
        "9 errors in scenarios.yaml",
    ] {
        assert!(ran.stderr.contains(said), "{said}: {ran}");
    }
}

/// The command line: what was typed, and what to type.
#[test]
fn mistakes_on_the_command_line_name_the_cure() {
    let place = Place::with(RIGHT);
    for (words, cure) in [
        ("rnu", "'run'"),
        ("run --sysctls client:net.ipv4.tcp_retries2=3", "'--sysctl'"),
        ("run db-dise", "did you mean `db-dies`?"),
        ("run scenario.yaml", "`halfopen run FILE`"),
        (
            "run --sysctl net.ipv4.tcp_retries2=3",
            "write HOST:KEY=VALUE",
        ),
        (
            "run --sysctl client:tcp_retries2=3",
            "write client:net.ipv4.tcp_retries2=3",
        ),
        ("run --jobs many", "write a number from 1"),
        ("run db-dies more.yaml", "a file of scenarios comes first"),
        ("run --format xml", "table"),
        ("tune --notice-within 30 --ride-out 10s", "write `30s`"),
        (
            "tune --notice-within 30s --ride-out 10s --check idle",
            "write idle=30s",
        ),
        (
            "tune --notice-within 30s --ride-out 10s --check idle=60,keepidle=30s",
            "write idle, interval, count",
        ),
        (
            "tune --notice-within 30s --ride-out 10s --check idle=60,keepidle=30s",
            "write `60s`",
        ),
        (
            "predict --fault crash --keepalive 60/20/3",
            "write IDLE,INTERVAL,COUNT",
        ),
        ("predict --fault power-off", "crash"),
    ] {
        let ran = place.halfopen(words);
        assert_eq!(ran.code, Some(2), "{words}: {ran}");
        assert!(ran.stderr.contains(cure), "{words}: {ran}");
    }
}

/// Settings of a machine that decide nothing because they are misspelt: a false green
/// otherwise.
#[test]
fn mistakes_in_a_file_of_sysctls_are_found_in_one_go() {
    let place = Place::with(RIGHT);
    place.write(
        "wrong.conf",
        "net.ipv4.tcp_retires2 = 8\n-net.ipv4.tcp_retires2 = 8\nnet.ipv4.tcp_keepalive_time = 10m\n\
         net.ipv4.tcp_keepalive_probes: 3\nnet.bridge.bridge-nf-call-iptables = 1\n",
    );
    let ran = place.halfopen("impact --to wrong.conf --predict");
    assert_eq!(ran.code, Some(2), "{ran}");
    for said in [
        "did you mean `net.ipv4.tcp_retries2`?",
        "write `600` if it counts seconds",
        "write `net.ipv4.tcp_keepalive_probes = 3`",
        "3 errors in wrong.conf",
    ] {
        assert!(ran.stderr.contains(said), "{said}: {ran}");
    }
    place.write(
        "old.conf",
        "net.ipv4.netfilter.ip_conntrack_max = 9\nnet.ipv4.tcp_max_ssthresh = 9\n\
         net.core.message_cost = 5\n",
    );
    let ran = place.halfopen("impact --to old.conf --predict --format json");
    assert_eq!(ran.code, Some(0), "{ran}");
    for said in ["since 4.9", "since 3.13", "the whole machine's"] {
        assert!(ran.stdout.contains(said), "{said}: {ran}");
    }
}
