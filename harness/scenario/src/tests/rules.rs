//! Each rule broken once.

use super::{PAIR, bad, scenario};

/// Each rule, broken once: the scenario's lines, and words of the message.
#[test]
fn each_broken_rule_has_its_message() {
    let with_pair: &[(&str, &str)] = &[
        ("detector: kepalive", "unknown detector"),
        ("network: lann", "unknown network"),
        ("family: ipv5", "unknown address family"),
        ("watch: [cleint]", "unknown lane"),
        ("watch: []", "nobody is watched"),
        ("clock: sometimes", "unknown clock"),
        ("book: { errno: ETIMEOUT }", "unknown errno"),
        ("book: { errno: EPIPE, eof: true }", "in one sign"),
        ("book: { after: 9m }", "says nothing"),
        ("book: { eof: false }", "can only be `true`"),
        (
            "book: { unnoticed: true, after: 3s }",
            "nothing was noticed",
        ),
        ("expect: { signal: SIGPIP }", "unknown signal"),
        ("expect: { eof: true, call: raed }", "unknown call"),
        (
            "expect: { eof: true, after: 3s..2s }",
            "ends before it begins",
        ),
        (
            "expect: [{ when: { family: ipv6 }, eof: true }]",
            "unknown axis",
        ),
        ("matrix: { size: [1, 2] }", "nothing uses the axis"),
        ("matrix: { family: [] }", "has no values"),
        ("matrix: { family: [ipv4, ipv4] }", "twice"),
        (
            "matrix: { family: [ipv4] }\nfamily: ipv6",
            "both fixed and an axis",
        ),
        (
            "matrix: { family: [ipv4, ipv6] }\nexclude: [{ family: ipv7 }]",
            "unknown value of the axis",
        ),
        (
            "matrix: { family: [ipv4] }\nexclude: [{ family: ipv4 }]",
            "no case is left",
        ),
        (
            "matrix: { family: [ipv4, ipv6] }\nexpect: [{ eof: true }, { when: { family: ipv6 }, unnoticed: true }]",
            "never reached",
        ),
        (
            "sysctls: { clinet: { net.ipv4.tcp_sack: 1 } }",
            "unknown host",
        ),
        (
            "sysctls: { client: { net.ipv4.tcp_retires2: 3 } }",
            "no kernel has a sysctl",
        ),
        (
            "sysctls: { client: { kernel.panic: 1 } }",
            "not a sysctl of a network namespace",
        ),
        (
            "sysctls: { client: { net.ipv4./../x: 1 } }",
            "not the name of a sysctl",
        ),
        (
            "sysctls: { client: { net.ipv4.tcp_retries2: 256 } }",
            "out of range",
        ),
        (
            "sysctls: { client: { net.ipv4.tcp_sack: true } }",
            "not a value of a sysctl",
        ),
        ("faults: [{ crash: server }]", "does not say when"),
        (
            "faults: [{ at: 1s, after: x, crash: server }]",
            "both `at` and `after`",
        ),
        ("faults: [{ at: 30s, crash: server }]", "has given up"),
        (
            "faults: [{ at: 20s, crash: server }, { after: crash, by: 10s, netstat: }]",
            "has given up",
        ),
        ("faults: [{ at: -1s, crash: server }]", "cannot be negative"),
        ("faults: [{ at: 1s }]", "does nothing"),
        (
            "faults: [{ at: 1s, crash: server, cut: server }]",
            "in one event",
        ),
        (
            "faults: [{ after: never, crash: server }]",
            "nothing sets the mark",
        ),
        (
            "faults: [{ after: crash, crash: server }]",
            "waits for itself",
        ),
        ("faults: [{ at: 1s, heal: cut }]", "no event is called"),
        (
            "faults: [{ at: 1s, crash: server }, { at: 2s, heal: crash }]",
            "cannot be healed",
        ),
        ("faults: [{ at: 1s, drop: { at: sender } }]", "who sends"),
        (
            "faults: [{ at: 1s, drop: { at: receiver } }]",
            "who receives",
        ),
        ("faults: [{ at: 1s, drop: { at: client } }]", "not a router"),
        (
            "faults: [{ at: 1s, drop: { by: tc, count: 3 } }]",
            "cannot count",
        ),
        (
            "faults: [{ at: 1s, drop: { probability: 1.5 } }]",
            "not within 0 and 1",
        ),
        ("faults: [{ at: 1s, drop: { count: 0 } }]", "out of range"),
        ("faults: [{ at: 1s, drop: { dport: 0 } }]", "out of range"),
        (
            "faults: [{ at: 1s, drop: { flags: [SIN] } }]",
            "unknown TCP flag",
        ),
        (
            "faults: [{ at: 1s, drop: { flags: [SYN], without: [SYN] } }]",
            "no packet is like that",
        ),
        (
            "family: ipv6\nfaults: [{ at: 1s, reject: { to: server, with: protocol-unreachable } }]",
            "ICMPv6 has no",
        ),
        (
            "faults: [{ at: 1s, cut: { cable: client, carrier: gone } }]",
            "unknown carrier",
        ),
        (
            "network: lan\nfaults: [{ at: 1s, crash: switch }]",
            "is a switch",
        ),
        (
            "network: lan\nfaults: [{ at: 1s, cut: switch }]",
            "has 2 cables",
        ),
        (
            "network: lan\nfaults: [{ at: 1s, cut: { cable: [client, server] } }]",
            "no cable joins",
        ),
        (
            "network: lan\nfaults: [{ at: 1s, drop: {} }]",
            "has 2 cables",
        ),
        ("lanes: { third: [connect] }", "no host is called"),
        ("lanes: { x: { on: client, steps: [] } }", "no steps"),
        (
            "lanes: { x: { on: client, count: 0, steps: [connect] } }",
            "out of range",
        ),
        (
            "lanes: { X_y: { on: client, steps: [connect] } }",
            "kebab-case",
        ),
        ("lanes: { client: [connect] }", "a second lane"),
        (
            "lanes: { x: { on: client, steps: [read] } }",
            "before there is a connection",
        ),
        (
            "lanes: { x: { on: client, steps: [accept] } }",
            "does not listen yet",
        ),
        (
            "lanes: { x: { on: client, steps: [{ connect: sever }] } }",
            "unknown host",
        ),
        (
            "lanes: { x: { on: client, steps: [{ connect: { address: fd00::1 } }] } }",
            "ipv6 address in an ipv4 case",
        ),
        (
            "lanes: { x: { on: client, steps: [connect, { read: 1, on: y }] } }",
            "unknown connection",
        ),
        (
            "lanes: { x: { on: client, steps: [{ sleep: 1s, on: y }] } }",
            "not done on a connection",
        ),
        (
            "lanes: { x: { on: client, steps: [{ wait_for: m }, { sleep: 1s, mark: m }] } }",
            "same lane sets later",
        ),
        (
            "lanes: { x: { on: client, steps: [{ sleep: 1s, mark: m }, { sleep: 1s, mark: m }] } }",
            "set twice",
        ),
        (
            "lanes: { x: { on: client, steps: [connect, { write: \"\" }] } }",
            "nothing to send",
        ),
        (
            "lanes: { x: { on: client, steps: [connect, { write: \"${size}\" }] } }",
            "unknown axis",
        ),
        (
            "lanes: { x: { on: client, steps: [sleep] } }",
            "needs a value",
        ),
        (
            "lanes: { x: { on: client, steps: [{ exit: 3 }] } }",
            "takes no value",
        ),
    ];
    for (lines, words) in with_pair {
        let errors = bad(&scenario(&format!("{PAIR}{lines}")));
        let text = errors.to_string();
        assert!(text.contains(words), "{lines}\nwant: {words}\ngot: {text}");
        assert_eq!(errors.problems().len(), 1, "{lines}\n{text}");
    }
    let alone: &[(&str, &str)] = &[
        ("", "has no lanes"),
        ("client: []", "no steps"),
        ("client: [connect]", "no other host listens"),
        ("clientt: [connect]", "has no key `clientt`"),
        (
            "detector: none\nlanes: { x: { on: client, steps: [{ sleep: 1s }] } }\nexclude: []\nmatrix: { detector: [none] }",
            "both fixed",
        ),
    ];
    for (lines, words) in alone {
        let text = bad(&scenario(lines)).to_string();
        assert!(text.contains(words), "{lines}\nwant: {words}\ngot: {text}");
    }
    let files: &[(&str, &str)] = &[
        ("", "no scenarios here"),
        ("# nothing\n", "no scenarios here"),
        ("~", "no scenarios here"),
        ("scenarios: {}", "has no `version`"),
        ("version: 2\nscenarios: {}", "version `2`"),
        ("version: 1", "has no `scenarios`"),
        ("version: 1\nscenarios: {}", "no scenarios here"),
        ("version: 1\nscenario: {}", "did you mean `scenarios`"),
        ("[1, 2]", "a list where"),
        ("a: [", "not YAML"),
        ("version: 1\nversion: 1", "used twice"),
        ("version: 1\n---\nversion: 1", "more than one YAML document"),
        (
            "version: 1\ndetectors: { x: { keepalive: { idle: 500ms } } }\nscenarios: {}",
            "not a whole number of seconds",
        ),
        (
            "version: 1\ndetectors: { x: { keepalive: { idle: 10h } } }\nscenarios: {}",
            "out of range",
        ),
        (
            "version: 1\ndetectors: { x: { keepalive: { count: 128 } } }\nscenarios: {}",
            "out of range",
        ),
        (
            "version: 1\ndetectors: { x: { keepalive: { by: sysctl } } }\nscenarios: {}",
            "sets no value",
        ),
        (
            "version: 1\ndetectors: { x: { user_timeout: 3 } }\nscenarios: {}",
            "has no unit",
        ),
        (
            "version: 1\ndetectors: { none: { poll: 3s } }\nscenarios: {}",
            "detects nothing",
        ),
        (
            "version: 1\nnetworks: { lan: { hosts: [a], cables: [] } }\nscenarios: {}",
            "built in",
        ),
        (
            "version: 1\nnetworks: { n: { hosts: [a, b], cables: [] } }\nscenarios: {}",
            "no cable leads",
        ),
        (
            "version: 1\nnetworks: { n: { hosts: [a, a], cables: [] } }\nscenarios: {}",
            "is taken",
        ),
        (
            "version: 1\nnetworks: { n: { hosts: [a, b], cables: [[a, c]] } }\nscenarios: {}",
            "unknown node",
        ),
    ];
    for (file, words) in files {
        let text = bad(file).to_string();
        assert!(text.contains(words), "{file}\nwant: {words}\ngot: {text}");
    }
}

#[test]
fn a_broken_network_does_not_blame_its_users() {
    let text = format!(
        "version: 1\nnetworks: {{ n: {{ hosts: [client, server], cables: [] }} }}\nscenarios:\n  a:\n    about: x\n    give_up: 3s\n    network: n\n    {}",
        PAIR.replace('\n', "\n    ")
    );
    assert_eq!(bad(&text).problems().len(), 1);
}
