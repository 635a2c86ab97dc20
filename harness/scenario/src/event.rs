//! Events: what the runner does, and when.

use std::time::Duration;

use super::case::{Event, When};
use super::decode::Decoder;
use super::error::{Problem, Span};
use super::event_action::{Healing, event_action};
use super::fields::Verb;
use super::impair;
use super::lane::Scene;
use super::mark::{Setter, Timing, Waiter};
use super::name;
use super::scalar;
use super::tree::Node;

/// The verbs of events.
pub const VERBS: [&str; 20] = [
    "kill",
    "freeze",
    "thaw",
    "shutdown",
    "crash",
    "reboot",
    "restart",
    "cut",
    "impair",
    "heal",
    "drop",
    "reject",
    "route",
    "address_removed",
    "interface",
    "neighbour",
    "forget",
    "move",
    "type",
    "netstat",
];
pub const MODIFIERS: [&str; 5] = ["at", "after", "by", "name", "when"];
/// What can be undone.
const HEALED: [&str; 8] = [
    "cut",
    "impair",
    "drop",
    "reject",
    "route",
    "address_removed",
    "interface",
    "neighbour",
];

/// The events of a case, with their final names, and when each happens.
pub fn events<'a>(
    dec: &Decoder<'a, '_>,
    scene: &mut Scene,
    node: Option<&'a Node>,
) -> Option<(Vec<Event>, Vec<Timing>)> {
    let Some(node) = node else {
        return Some((Vec::new(), Vec::new()));
    };
    let mut events = Vec::new();
    let mut timings = Vec::new();
    let mut healings = Vec::new();
    let mut spans = Vec::new();
    let mut kinds = Vec::new();
    let mut sound = true;
    for item in dec.list(
        node,
        "a list of events such as `{ at: 500ms, crash: server }`",
    )? {
        let Some(verb) = dec.verb(item, "event", &VERBS, &MODIFIERS) else {
            scene.marks.lose();
            sound = false;
            continue;
        };
        if !dec.when(&verb.fields) {
            continue;
        }
        let when = timing(dec, scene, &verb);
        let name = match verb.fields.get("name") {
            None => Some((verb.verb.clone(), true, verb.span)),
            Some(node) => dec
                .scalar(node, "a name for the event", name::kebab)
                .map(|name| (name, false, node.span)),
        };
        if let Some((name, by_default, span)) = name.clone() {
            scene.marks.set(Setter {
                name,
                span,
                lane: None,
                order: 0,
                by_default,
            });
        }
        let action = event_action(dec, scene, &verb, &mut healings);
        let (Some((when, span)), Some((name, ..)), Some(action)) = (when, name, action) else {
            sound = false;
            continue;
        };
        let (after, by) = match &when {
            When::At(at) => (None, *at),
            When::After { mark, by } => (Some(mark.clone()), *by),
        };
        timings.push(Timing {
            name: name.clone(),
            after,
            by,
            span,
        });
        kinds.push((name.clone(), verb.verb.clone()));
        spans.push(verb.span);
        events.push(Event {
            name,
            when,
            action,
            line: item.span.line,
        });
    }
    check_healings(dec, &kinds, &healings);
    if !sound {
        return None;
    }
    let names = scene.marks.number_events();
    for ((event, timing), name) in events.iter_mut().zip(&mut timings).zip(names) {
        event.name.clone_from(&name);
        timing.name = name;
    }
    impair::check_overlaps(dec, &scene.network, &events, &spans);
    Some((events, timings))
}

fn check_healings(dec: &Decoder<'_, '_>, kinds: &[(String, String)], healings: &[Healing]) {
    for Healing { what, span } in healings {
        let same: Vec<&(String, String)> = kinds.iter().filter(|(name, _)| name == what).collect();
        let curable = || {
            kinds
                .iter()
                .filter(|(_, kind)| HEALED.contains(&kind.as_str()))
                .map(|(name, _)| name.as_str())
        };
        match same.as_slice() {
            [] => dec.problem(
                Problem::new(*span, format!("no event is called `{what}`"))
                    .expected(name::one_of(curable().chain(["all"])))
                    .maybe_help(name::did_you_mean(what, curable().chain(["all"]))),
            ),
            [(_, kind)] if HEALED.contains(&kind.as_str()) => {}
            [(_, kind)] => {
                let problem = Problem::new(
                    *span,
                    format!("`{what}` is a {kind}, which cannot be healed"),
                )
                .expected(name::one_of(curable().chain(["all"])));
                dec.problem(match kind.as_str() {
                    "freeze" => problem.help("`thaw: LANE` undoes it"),
                    "crash" => problem.help("`reboot: HOST` is a crash that comes back"),
                    _ => problem,
                });
            }
            several => dec.problem(
                Problem::new(
                    *span,
                    format!("`{what}` could be any of {} events", several.len()),
                )
                .expected("the name of one event, or `all`")
                .help("give each a `name:`"),
            ),
        }
    }
}

/// When an event happens, and where that is written.
fn timing<'a>(dec: &Decoder<'a, '_>, scene: &mut Scene, verb: &Verb<'a>) -> Option<(When, Span)> {
    let fields = &verb.fields;
    match (fields.get("at"), fields.get("after")) {
        (Some(_), Some(_)) => {
            let span = fields.key("after").unwrap_or(verb.span);
            dec.problem(Problem::new(span, "both `at` and `after`").expected("one of the two"));
            None
        }
        (None, None) => {
            dec.problem(
                Problem::new(verb.span, format!("this `{}` does not say when", verb.verb))
                    .expected("`at: 500ms` (after the start) or `after: MARK` beside it"),
            );
            None
        }
        (Some(at), None) => {
            if let Some(span) = fields.key("by") {
                dec.problem(
                    Problem::new(span, "`by` belongs to `after`")
                        .expected("`at` alone, or `after: MARK` with `by`"),
                );
                return None;
            }
            let place = dec.resolve(at)?.span;
            let at = dec.scalar(at, scalar::DURATION, scalar::duration)?;
            Some((When::At(at), place))
        }
        (None, Some(after)) => {
            let node = dec.resolve(after)?;
            let mark = dec.text(node, "the name of a mark")?;
            scene.marks.wait(Waiter {
                name: mark.clone(),
                span: node.span,
                lane: None,
                order: 0,
            });
            let by = match fields.get("by") {
                None => Duration::ZERO,
                Some(node) => dec.scalar(node, scalar::DURATION, scalar::duration)?,
            };
            Some((When::After { mark, by }, node.span))
        }
    }
}
