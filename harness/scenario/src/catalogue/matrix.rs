//! Decodes the matrix of a scenario: its axes, its points, and which are excluded.

use crate::yaml::{Axes, Decoder, Fields, Findings, Node, Point, Problem, Value, name};

/// Axes that are settings of the scenario and need no `${axis}`.
pub const SETTINGS: [&str; 4] = ["detector", "network", "family", "detector_on"];

/// The most cases of a file.
pub const MAX_CASES: usize = 2000;

/// The axes of `matrix:`, and whether they can be expanded: otherwise a mistake was
/// noted.
pub fn axes<'a>(dec: &Decoder<'a, '_>, scenario: &Fields<'a>) -> (Axes<'a>, bool) {
    let mut axes = Axes::new();
    let Some(node) = scenario.get("matrix") else {
        return (axes, true);
    };
    let Some(entries) = dec.map(node, "a mapping from axis to a list of values") else {
        return (axes, false);
    };
    let mut valid = true;
    for (key, values) in entries {
        let spelt = key.name.starts_with(|c: char| c.is_ascii_lowercase())
            && key
                .name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-');
        if !spelt {
            dec.problem(
                Problem::new(
                    key.span,
                    format!("`{}` cannot be the name of an axis", key.name),
                )
                .expected("lower-case letters, digits, `_` and `-`"),
            );
            valid = false;
        }
        let Some(list) = dec.list(values, "a list of values") else {
            valid = false;
            continue;
        };
        if list.is_empty() {
            dec.problem(
                Problem::new(
                    values.span,
                    format!("the axis `{}` has no values", key.name),
                )
                .expected("at least one value"),
            );
            valid = false;
        }
        valid &= values_are_valid(dec, &key.name, list);
        if SETTINGS.contains(&key.name.as_str())
            && let Some(fixed) = scenario.key(&key.name)
        {
            dec.problem(
                Problem::new(
                    fixed,
                    format!("`{}` is both fixed and an axis of the matrix", key.name),
                )
                .expected("one of the two")
                .note(format!("the axis is on line {}", key.span.line)),
            );
            valid = false;
        }
        axes.insert(key.name.as_str(), list);
    }
    (axes, valid)
}

fn values_are_valid(dec: &Decoder<'_, '_>, axis: &str, list: &[Node]) -> bool {
    let mut valid = true;
    for (index, node) in list.iter().enumerate() {
        let Value::Scalar(text) = &node.value else {
            dec.problem(
                Problem::new(
                    node.span,
                    format!("{} as a value of the axis `{axis}`", node.kind()),
                )
                .expected("a single value: a word, a number or a duration"),
            );
            valid = false;
            continue;
        };
        if text.is_empty() || text.contains(['/', ',', '=', '\n']) {
            dec.problem(
                Problem::new(
                    node.span,
                    format!("`{}` cannot be a value of an axis", text.escape_debug()),
                )
                .expected("text without `/`, `,`, `=`: it becomes part of the case's id"),
            );
            valid = false;
        }
        if let Some(first) = list[..index]
            .iter()
            .find(|earlier| earlier.value == node.value)
        {
            dec.problem(
                Problem::new(
                    node.span,
                    format!("the axis `{axis}` has the value `{text}` twice"),
                )
                .expected("each value once")
                .note(format!(
                    "it is first on line {}, column {}",
                    first.span.line, first.span.column
                )),
            );
            valid = false;
        }
    }
    valid
}

/// All points without those of `exclude:`, in the order of the file; the last axis
/// changes fastest.
pub fn points<'a>(
    findings: &Findings,
    axes: &Axes<'a>,
    scenario: &Fields<'a>,
    limit: usize,
) -> Option<Vec<Point<'a>>> {
    let empty = Point::new();
    let dec = Decoder {
        findings,
        axes,
        point: &empty,
        id: "",
    };
    let count = axes
        .values()
        .try_fold(1usize, |count, values| count.checked_mul(values.len()));
    if count.is_none_or(|count| count > limit) {
        let place = scenario.key("matrix").unwrap_or(scenario.span);
        dec.problem(
            Problem::new(
                place,
                format!("this matrix brings the file to more than {MAX_CASES} cases"),
            )
            .expected(format!("at most {MAX_CASES} cases in a file"))
            .help("shorten an axis, or split the file"),
        );
        return None;
    }
    let mut points = vec![Point::new()];
    for (axis, values) in axes {
        points = points
            .into_iter()
            .flat_map(|point| {
                values.iter().map(move |value| {
                    let mut longer = point.clone();
                    longer.insert(*axis, value);
                    longer
                })
            })
            .collect();
    }
    let Some(node) = scenario.get("exclude") else {
        return Some(points);
    };
    for entry in dec.list(
        node,
        "a list of points such as `{ network: lan, family: ipv6 }`",
    )? {
        let conditions = dec.map(entry, "a mapping from axis to value")?;
        if conditions.is_empty() {
            dec.problem(
                Problem::new(entry.span, "this leaves out everything")
                    .expected("an axis and a value"),
            );
            return None;
        }
        let before = points.len();
        points.retain(|point| {
            let dec = Decoder {
                findings,
                axes,
                point,
                id: "",
            };
            // Every condition is evaluated, so that every wrong name is noted.
            let held = conditions
                .iter()
                .filter(|(axis, wanted)| dec.condition(axis, wanted))
                .count();
            held < conditions.len()
        });
        if points.len() == before && !findings.any() {
            dec.problem(
                Problem::new(entry.span, "this leaves out nothing")
                    .expected("a point of the matrix that an earlier entry has not left out yet"),
            );
        }
    }
    if points.is_empty() && !findings.any() {
        dec.problem(
            Problem::new(node.span, "no case is left")
                .expected("an `exclude` that leaves a point of the matrix"),
        );
    }
    Some(points)
}

/// Notes axes that nothing uses. After other `mistakes`, parts were not decoded that
/// may use one: then those are noted that the scenario does not even mention.
pub fn unused(dec: &Decoder<'_, '_>, findings: &Findings, scenario: &Fields<'_>, mistakes: bool) {
    let Some(Value::Map(entries)) = scenario.get("matrix").map(|node| &node.value) else {
        return;
    };
    for (key, _) in entries {
        let used = match mistakes {
            false => findings.uses(&key.name),
            true => {
                let others = scenario.entries.iter();
                let mut others = others.filter(|(other, _)| other.name != "matrix");
                others.any(|(other, node)| {
                    mentions(&other.name, &key.name) || node_mentions(node, &key.name)
                })
            }
        };
        if used || SETTINGS.contains(&key.name.as_str()) {
            continue;
        }
        dec.problem(
            Problem::new(key.span, format!("nothing uses the axis `{}`", key.name))
                .expected(format!(
                    "`${{{0}}}` as a value somewhere in the scenario, or `when: {{ {0}: ... }}`",
                    key.name
                ))
                .maybe_help(name::did_you_mean(&key.name, SETTINGS)),
        );
    }
}

/// Whether a text has `${axis}` in it, or is the axis's name, as in a `when`.
fn mentions(text: &str, axis: &str) -> bool {
    text == axis || text.contains(&format!("${{{axis}}}"))
}

fn node_mentions(node: &Node, axis: &str) -> bool {
    match &node.value {
        Value::Null => false,
        Value::Scalar(text) => mentions(text, axis),
        Value::List(list) => list.iter().any(|node| node_mentions(node, axis)),
        Value::Map(entries) => entries
            .iter()
            .any(|(key, node)| mentions(&key.name, axis) || node_mentions(node, axis)),
    }
}
