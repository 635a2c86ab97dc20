//! A case's setup in sentences: hosts, lanes with their detectors, faults. For `halfopen
//! explain`, and for the page, whose reader may not know the file of scenarios.

mod lanes;

use std::fmt::Write as _;

use halfopen_net::span::human;
use halfopen_scenario::case::{Case, Family, NodeKind, OnForgotten, When, describe};

use lanes::{detector, lane};

/// The sentences: the network, what each lane does, how each notices, what happens when.
pub fn setup(case: &Case) -> Vec<String> {
    let mut sentences = vec![network(case)];
    sentences.extend(case.lanes.iter().map(lane));
    sentences.extend(case.lanes.iter().filter_map(detector));
    sentences.extend(events(case));
    sentences
}

fn network(case: &Case) -> String {
    let hosts: Vec<String> = case
        .network
        .names(&[NodeKind::Host])
        .map(str::to_owned)
        .collect();
    let cables: Vec<String> = case
        .network
        .cables
        .iter()
        .map(|(a, b)| format!("{a}-{b}"))
        .collect();
    let family = match case.family {
        Family::Ipv4 => "IPv4",
        Family::Ipv6 => "IPv6",
    };
    let mut text = format!(
        "The hosts {} are joined by {} {}, and speak {family}.",
        list(&hosts),
        if cables.len() == 1 {
            "the cable"
        } else {
            "the cables"
        },
        list(&cables)
    );
    for nat in &case.network.nats {
        let then = match nat.on_forgotten {
            OnForgotten::Silence => "drops the packets of one that it has forgotten",
            OnForgotten::Reset => "answers the packets of one that it has forgotten with RST",
            OnForgotten::Resume => "tracks one that it has forgotten again",
        };
        let (router, idle) = (&nat.router, human(nat.idle));
        let _ = write!(
            text,
            " {router} keeps state of connections, forgets one after {idle} without a packet, \
             and {then}."
        );
    }
    for (host, set) in &case.sysctls {
        let set: Vec<String> = set
            .iter()
            .map(|(key, value)| format!("{key} = {value}"))
            .collect();
        let host = if host == "all" { "Every host" } else { host };
        let _ = write!(text, " {host} has {}.", list(&set));
    }
    text
}

fn events(case: &Case) -> Vec<String> {
    let text = |event: &halfopen_scenario::case::Event| {
        let what = describe(&event.action);
        let when = match &event.when {
            When::At(time) if time.is_zero() => "From the beginning".to_owned(),
            When::At(time) => format!("{} after the start", human(*time)),
            When::After { mark, by } if by.is_zero() => format!("At the mark `{mark}`"),
            When::After { mark, by } => format!("{} after the mark `{mark}`", human(*by)),
        };
        format!("{when}: {what}.")
    };
    case.events.iter().map(text).collect()
}

/// `a, b and c`.
pub fn list(words: &[String]) -> String {
    match words {
        [] => "nobody".into(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
