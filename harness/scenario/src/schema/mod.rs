//! The scenario language as JSON Schema, for editors.
//!
//! The schema is made from the tables from which the decoder takes its keys; it
//! needs them all and nothing else, and `halfopen schema` prints it. It says
//! which keys and values there are and what each means. What depends on other
//! parts of a file (names, marks, the matrix), only [`crate::parse`] checks.

use serde_json::{Map, Value, json};

use crate::catalogue::{FILE, SCENARIO};
use crate::detector::DETECTOR;
use crate::event::EVENT;
use crate::lane::{LANE, PAYLOAD, PROGRAM, STEP};
use crate::network::NETWORK;
use crate::sign::{KNOWN, SIGN};
use crate::yaml::ValueSpec;

mod render;

#[cfg(test)]
mod tests;

use render::{described, mapping, value};

/// JSON Schema (draft 2020-12) of a file of scenarios, for editors.
pub fn schema() -> Value {
    let mut root = mapping(&FILE);
    root["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    root["title"] = json!("halfopen scenarios");
    let mut definitions = scalars();
    definitions.extend(tables());
    root["$defs"] = Value::Object(definitions);
    root
}

/// Definitions of single values, and of conditions on axes.
fn scalars() -> Map<String, Value> {
    let axis = || json!({ "$ref": "#/$defs/axis" });
    let scalar = || json!({ "$ref": "#/$defs/scalar" });
    let duration = r"^([0-9]+(\.[0-9]+)?(us|ms|s|m|h|d))+$";
    let definitions = [
        (
            "axis",
            "The value of an axis of the matrix.",
            json!({ "type": "string", "pattern": r"^\$\{[a-z][a-z0-9_-]*\}$" }),
        ),
        (
            "name",
            "A name in kebab-case.",
            json!({ "type": "string", "pattern": "^[a-z][a-z0-9]*(-[a-z0-9]+)*$" }),
        ),
        (
            "scalar",
            "",
            json!({ "type": ["string", "number", "boolean"] }),
        ),
        (
            "duration",
            "A duration with units, largest first: 500ms, 2.5s, 1m30s. Units: us, ms, s, m, h, d.",
            json!({ "anyOf": [{ "type": "string", "pattern": duration }, axis()] }),
        ),
        (
            "number",
            "",
            json!({ "anyOf": [{ "type": "integer", "minimum": 0 }, axis()] }),
        ),
        (
            "truth",
            "",
            json!({ "anyOf": [{ "type": "boolean" }, axis()] }),
        ),
        (
            "when",
            "Only in the cases where each axis has this value, or one of these.",
            json!({
                "type": "object",
                "minProperties": 1,
                "additionalProperties": {
                    "anyOf": [scalar(), { "type": "array", "items": scalar() }],
                },
            }),
        ),
    ];
    definitions
        .into_iter()
        .map(|(name, description, form)| (name.to_owned(), described(form, description)))
        .collect()
}

/// Definitions made from the decoder's tables.
fn tables() -> Map<String, Value> {
    static SIGNS: ValueSpec = ValueSpec::AnyOf(&[
        ValueSpec::Definition("sign"),
        ValueSpec::list(&ValueSpec::Definition("sign")),
    ]);
    static LANE_FORMS: ValueSpec = ValueSpec::AnyOf(&[
        ValueSpec::STEPS,
        ValueSpec::Mapping(&LANE),
        ValueSpec::Mapping(&PROGRAM),
    ]);
    static PAYLOAD_FORMS: ValueSpec =
        ValueSpec::AnyOf(&[ValueSpec::TextOrNumber, ValueSpec::Mapping(&PAYLOAD)]);
    let bare: Vec<&str> = STEP
        .verbs()
        .iter()
        .filter(|verb| verb.bare)
        .map(|verb| verb.name)
        .collect();
    let definitions = [
        ("scenario", mapping(&SCENARIO)),
        ("detector", mapping(&DETECTOR)),
        ("network", mapping(&NETWORK)),
        ("sign", mapping(&SIGN)),
        ("known", mapping(&KNOWN)),
        ("signs", value(&SIGNS)),
        ("lane", value(&LANE_FORMS)),
        (
            "steps",
            value(&ValueSpec::some(&ValueSpec::Definition("step"))),
        ),
        (
            "payload",
            described(value(&PAYLOAD_FORMS), "Text, or a number of bytes."),
        ),
        (
            "step",
            json!({ "anyOf": [{ "enum": bare }, mapping(&STEP)] }),
        ),
        ("event", mapping(&EVENT)),
    ];
    definitions
        .into_iter()
        .map(|(name, definition)| (name.to_owned(), definition))
        .collect()
}
