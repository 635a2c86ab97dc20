//! Decodes `heal`, and checks what refers to one.

use crate::case::{Case, EventAction};
use crate::yaml::{Decoder, Node, Problem, Span, name};

/// The event that a `heal` undoes.
pub struct Healing {
    /// The event's name.
    pub what: String,
    /// Where the `heal` names it.
    pub span: Span,
}

/// `heal: drop`, or `heal: all`; the name is added to `healings`.
pub fn heal<'a>(
    dec: &Decoder<'a, '_>,
    node: &'a Node,
    healings: &mut Vec<Healing>,
) -> Option<EventAction> {
    let node = dec.resolve(node)?;
    let what = dec.text(node, "the name of an event, or `all`")?;
    if what == "all" {
        return Some(EventAction::Heal { what: None });
    }
    healings.push(Healing {
        what: what.clone(),
        span: node.span,
    });
    Some(EventAction::Heal { what: Some(what) })
}

/// Verbs whose events can be undone.
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

pub(super) fn check_healings(
    dec: &Decoder<'_, '_>,
    kinds: &[(String, String)],
    healings: &[Healing],
) {
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

/// Notes a sign with `first_byte`, which counts from a heal, in a case without one.
pub fn check_first_byte<'a>(
    dec: &Decoder<'a, '_>,
    case: &Case,
    place: Option<&'a Node>,
) -> Option<()> {
    let signs = [&case.book, &case.expect];
    let stated = signs.into_iter().flatten().any(|s| s.first_byte.is_some());
    let heals = |action: &EventAction| matches!(action, EventAction::Heal { .. });
    if !stated || case.events.iter().any(|e| heals(&e.action)) {
        return Some(());
    }
    if let Some(place) = place {
        dec.problem(
            Problem::new(
                place.span,
                "`first_byte` counts from a heal, and nothing is healed",
            )
            .expected("an event such as `{ after: cut, by: 2s, heal: cut }`"),
        );
    }
    None
}
