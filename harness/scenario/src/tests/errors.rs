//! How mistakes are shown, and what is refused because of its size.

use super::{PAIR, bad, scenario};

#[test]
fn all_errors_show_at_once_with_their_lines() {
    let errors = bad(&scenario(
        "server: [listen, accpet, echo]
client: [connect, { wait_for: crahs }, { sleep: 90 }]
faults: [{ at: 500ms, crash: servr }]",
    ));
    let lines: Vec<u32> = errors
        .problems()
        .iter()
        .map(|problem| problem.span.line)
        .collect();
    assert_eq!(lines, [6, 7, 8], "{errors}");
}

#[test]
fn an_error_shows_line_marker_expectation_and_advice() {
    let errors = bad(&scenario(&format!(
        "{PAIR}faults: [{{ at: 500ms, crash: servr }}]"
    )));
    let want = "\
error: unknown host `servr`
 --> test.yaml:8:34
  |
8 |     faults: [{ at: 500ms, crash: servr }]
  |                                  ^^^^^ expected one of: client, server
  = help: did you mean `server`?
";
    assert_eq!(errors.to_string(), want);
}

#[test]
fn an_error_in_some_cases_says_in_which() {
    let errors = bad(&scenario(&format!(
        "{PAIR}matrix: {{ network: [link, routed] }}\nfaults: [{{ at: 1s, crash: router }}]"
    )));
    assert_eq!(errors.problems().len(), 1);
    assert_eq!(errors.problems()[0].notes, ["in the case `a/network=link`"]);
}

#[test]
fn a_scenario_needs_give_up_and_no_about() {
    let errors = bad("version: 1\nscenarios:\n  a:\n    server: [listen]\n");
    assert_eq!(errors.problems().len(), 1, "{errors}");
    assert!(errors.to_string().contains("has no `give_up`"), "{errors}");
}

/// A mistake does not hide others: not one in the network's name, the detector's, or
/// the matrix, nor one of two in the same mapping.
#[test]
fn all_that_can_be_known_is_shown_at_once() {
    let lines = |lines: &str| {
        let errors = bad(&scenario(lines));
        let spans = errors.problems().iter().map(|problem| problem.span);
        let mut lines: Vec<u32> = spans.map(|span| span.line).collect();
        lines.dedup();
        lines
    };
    let in_any_network = "detector: nosuch
network: nosuch
server: [listen, accept, echo]
client: [connect, { wait_for: never }, read]
faults:
  - { at: 1s, crash: srever }
  - { crash: server }
  - { at: 5m, cut: client }";
    assert_eq!(lines(in_any_network), [6, 7, 9, 11, 12, 13]);
    let routers_only = "network: nosuch\nserver: [listen, accept, echo]
client: [connect, read]
faults: [{ at: 1s, crash: router }, { at: 2s, crash: client }]";
    assert_eq!(lines(routers_only), [6], "there is such a network");
    let beside_the_matrix = "matrix: { retries: [], family: [ipv4, ipv4], unused: [1, 2] }
server: [listen, accept, echo]
client: [connect, { raed: 9 }, { wait_for: never }]
expect: { errno: ETIMEOUT, call: raed, after: 3 }
faults: [{ at: 1s, shutdown: { host: srever, grace: 5 } }]";
    let errors = bad(&scenario(beside_the_matrix)).to_string();
    for said in [
        "has no values",
        "`ipv4` twice",
        "unknown step `raed`",
        "unknown errno",
        "unknown call",
        "unknown host `srever`",
        "grace: 5 }",
        "after: 3 }",
    ] {
        assert!(errors.contains(said), "{said}: {errors}");
    }
    let unused = "matrix: { axe: [1, 2] }\nserver: [listen, accept, ehco]\nclient: [connect, read]";
    assert_eq!(
        lines(unused),
        [6, 7],
        "an unused axis beside another mistake"
    );
}

#[test]
fn a_matrix_that_explodes_is_refused_without_expanding_it() {
    let axis = |name: char| {
        format!(
            "{name}: [{}]",
            (0..100)
                .map(|n| n.to_string())
                .collect::<Vec<_>>()
                .join(", ")
        )
    };
    let axes: Vec<String> = ('a'..='h').map(axis).collect();
    let text = bad(&scenario(&format!(
        "{PAIR}matrix: {{ {} }}",
        axes.join(", ")
    )))
    .to_string();
    assert!(text.contains("more than 2000 cases"), "{text}");
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for n in 1..12 {
        let list = vec![format!("*a{}", n - 1); 10].join(", ");
        text.push_str(&format!("a{n}: &a{n} [{list}]\n"));
    }
    let message = bad(&text).to_string();
    assert!(message.contains("aliases stand for more than"), "{message}");
}

#[test]
fn an_unknown_option_in_a_set_step_is_shown_once() {
    let errors = bad(&scenario(
        "server: [listen, accept, echo]\nclient: [connect, { set: { lingr: 0s, linger: 0s } }]",
    ));
    assert_eq!(errors.problems().len(), 1, "{errors}");
    assert!(
        errors.to_string().contains("did you mean `linger`?"),
        "{errors}"
    );
}
