//! Decodes single settings of a scenario: who has the detector, who is watched, when
//! the case ends.

use std::time::Duration;

use crate::case::{Case, EventAction, Lane};
use crate::yaml::{Decoder, Fields, Node, Problem, Refusal, Value, name, scalar};

/// The longest a case may last: a week.
const MAX_GIVE_UP: Duration = Duration::from_secs(7 * 24 * 3600);

pub(super) fn plain(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Scalar(text) => Some(text),
        _ => None,
    }
}

/// The node of a setting: the scenario's key, or the axis of that name.
pub(super) fn setting<'a>(
    dec: &Decoder<'a, '_>,
    fields: &Fields<'a>,
    name: &str,
) -> Option<&'a Node> {
    fields.get(name).or_else(|| dec.axis(name))
}

/// The lanes that get the scenario's detector.
pub(super) fn detector_on<'a>(
    dec: &Decoder<'a, '_>,
    fields: &Fields<'a>,
    lanes: &[String],
    matters: bool,
) -> Option<Vec<String>> {
    let has = |name: &str| lanes.iter().any(|lane| lane == name);
    let Some(node) = setting(dec, fields, "detector_on") else {
        if matters && !has("client") {
            let span = fields
                .key("detector")
                .or_else(|| fields.key("matrix"))
                .unwrap_or(fields.span);
            dec.problem(
                Problem::new(
                    span,
                    "no lane is called `client`, which gets the detector by default",
                )
                .expected("`detector_on:` with a lane, or a lane's own `detector:`"),
            );
            return None;
        }
        return Some(vec!["client".to_owned()]);
    };
    let node = dec.resolve(node)?;
    if plain(node) == Some("both") && has("client") && has("server") {
        return Some(vec!["client".to_owned(), "server".to_owned()]);
    }
    let known = || lanes.iter().map(String::as_str);
    match &node.value {
        Value::List(list) => list
            .iter()
            .map(|node| dec.known(node, "lane", known()))
            .collect(),
        _ if has("client") && has("server") => dec
            .known(node, "lane", known().chain(["both"]))
            .map(|lane| vec![lane]),
        _ => dec.known(node, "lane", known()).map(|lane| vec![lane]),
    }
}

pub(super) fn texts<'a>(dec: &Decoder<'a, '_>, node: Option<&'a Node>) -> Option<Vec<String>> {
    let Some(node) = node else {
        return Some(Vec::new());
    };
    dec.list(node, "a list such as `[H1, \"UNP 5.14\"]`")?
        .iter()
        .map(|node| dec.text(node, "text"))
        .collect()
}

pub(super) fn give_up<'a>(dec: &Decoder<'a, '_>, fields: &Fields<'a>) -> Option<Duration> {
    let node = dec.needed(fields, "give_up")?;
    dec.scalar(node, "a duration of more than 0 and at most 7d", |text| {
        let time = scalar::positive(text)?;
        if time > MAX_GIVE_UP {
            return Err(Refusal::new(format!("{text} is longer than 7d")));
        }
        Ok(time)
    })
}

/// The lanes that `watch:` names; empty without it.
pub(super) fn watch<'a>(
    dec: &Decoder<'a, '_>,
    fields: &Fields<'a>,
    lanes: &[String],
) -> Option<Vec<String>> {
    let Some(node) = fields.get("watch") else {
        return Some(Vec::new());
    };
    let list = dec.list(node, "a list of lanes such as `[client]`")?;
    if list.is_empty() {
        dec.problem(
            Problem::new(node.span, "nobody is watched")
                .expected(name::one_of(lanes.iter().map(String::as_str))),
        );
        return None;
    }
    let mut watched: Vec<String> = Vec::new();
    for node in list {
        let lane = dec.known(node, "lane", lanes.iter().map(String::as_str))?;
        if watched.contains(&lane) {
            dec.problem(
                Problem::new(node.span, format!("`{lane}` is here twice"))
                    .expected("each lane once"),
            );
            return None;
        }
        watched.push(lane);
    }
    Some(watched)
}

/// The lanes that are watched by default: the client, unless the first fault acts on
/// it; else every lane on which the first fault does not act; else all.
pub fn watch_by_default(case: &Case) -> Vec<String> {
    let first = case.events.iter().find(|event| event.is_fault());
    let victim = |lane: &Lane| match first.map(|event| &event.action) {
        Some(
            EventAction::Kill { lane: name, .. }
            | EventAction::Freeze { lane: name }
            | EventAction::Restart { lane: name, .. },
        ) => *name == lane.name,
        Some(
            EventAction::Shutdown { host, .. }
            | EventAction::Crash { host }
            | EventAction::Suspend { host }
            | EventAction::Reboot { host, .. }
            | EventAction::Move { from: host, .. },
        ) => *host == lane.host,
        _ => false,
    };
    if let Some(client) = case
        .lanes
        .iter()
        .find(|lane| lane.name == "client" && !victim(lane))
    {
        return vec![client.name.clone()];
    }
    let spared: Vec<String> = case
        .lanes
        .iter()
        .filter(|lane| !victim(lane))
        .map(|lane| lane.name.clone())
        .collect();
    if spared.is_empty() {
        case.lanes.iter().map(|lane| lane.name.clone()).collect()
    } else {
        spared
    }
}
