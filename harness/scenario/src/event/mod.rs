//! Decodes events: faults and other things that the runner does, and when. It needs the
//! scene, the network's lookups and the names of signals; the catalogue uses it.

use std::time::Duration;

use crate::case::{Event, When};
use crate::scene::{Scene, Setter, Timing, Waiter};
use crate::yaml::{Decoder, Node, Problem, Span, Value, Verb, name, scalar};

mod action;
mod change;
mod cut;
mod heal;
mod host;
mod impair;
mod line;
mod loss;
mod middlebox;
mod mtu;
mod packet;
mod place;
mod rule;
mod sleep;
mod table;

pub use heal::check_first_byte;
pub use sleep::check_sleepers;
pub use table::EVENT;

use action::event_action;
use heal::check_healings;

/// The events of a case with their final names (None: a mistake was noted), and when
/// each happens, as far as that is known.
pub fn events<'a>(
    dec: &Decoder<'a, '_>,
    scene: &mut Scene,
    node: Option<&'a Node>,
) -> (Option<Vec<Event>>, Vec<Timing>) {
    let Some(node) = node else {
        return (Some(Vec::new()), Vec::new());
    };
    let mut events = Vec::new();
    let mut timings = Vec::new();
    let mut healings = Vec::new();
    let mut spans = Vec::new();
    let mut kinds = Vec::new();
    let mut valid = true;
    let example = "a list of events such as `{ at: 500ms, crash: server }`";
    let Some(list) = dec.list(node, example) else {
        return (None, timings);
    };
    for item in list {
        let Some(verb) = dec.verb(item, &EVENT) else {
            scene.marks.set_incomplete();
            times_of_no_event(dec, item);
            valid = false;
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
        let (Some((when, span)), Some((name, ..))) = (when, name) else {
            valid = false;
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
        let Some(action) = action else {
            valid = false;
            continue;
        };
        spans.push(verb.span);
        events.push(Event {
            name,
            when,
            action,
            line: item.span.line,
        });
    }
    check_healings(dec, &kinds, &healings);
    if !valid {
        return (None, timings);
    }
    let names = scene.marks.number_events();
    for ((event, timing), name) in events.iter_mut().zip(&mut timings).zip(names) {
        event.name.clone_from(&name);
        timing.name = name;
    }
    impair::check_overlaps(dec, &scene.network, &events, &spans);
    let wakers = sleep::check_wakers(dec, &events, &spans);
    (wakers.map(|()| events), timings)
}

/// Notes what is wrong with the times of an event that is none, too.
fn times_of_no_event<'a>(dec: &Decoder<'a, '_>, item: &'a Node) {
    let Value::Map(entries) = &item.value else {
        return;
    };
    for (key, value) in entries {
        if matches!(key.name.as_str(), "at" | "by") {
            dec.scalar(value, scalar::DURATION, scalar::duration);
        }
    }
}

/// When an event happens, and where the file says it.
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
