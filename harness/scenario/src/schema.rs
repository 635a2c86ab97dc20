//! The scenario language as JSON Schema, for editors.
//!
//! It says what a form looks like and what each key means; what depends on
//! other parts of the file (names, marks, the matrix) only [`super::parse`] knows.

use serde_json::{Map, Value, json};

/// JSON Schema (draft 2020-12) of a file of scenarios, for editors.
pub fn schema() -> Value {
    let mut definitions = super::schema_parts::definitions();
    definitions.insert("scenario".to_owned(), scenario());
    let mut root = object(
        "A file of halfopen scenarios.",
        &["version", "scenarios"],
        json!({
            "version": { "const": 1, "description": "The version of this language." },
            "detectors": {
                "description": "Ways to notice a dead peer, by name. `none` always exists.",
                "type": "object",
                "propertyNames": { "$ref": "#/$defs/name" },
                "additionalProperties": { "$ref": "#/$defs/detector" },
            },
            "networks": {
                "description": "Networks besides the built-in link, lan and routed.",
                "type": "object",
                "propertyNames": { "$ref": "#/$defs/name" },
                "additionalProperties": { "$ref": "#/$defs/network" },
            },
            "scenarios": {
                "description": "Scenarios by name.",
                "type": "object",
                "minProperties": 1,
                "propertyNames": { "$ref": "#/$defs/name" },
                "additionalProperties": { "$ref": "#/$defs/scenario" },
            },
        }),
    );
    if let Value::Object(root) = &mut root {
        root.insert(
            "$schema".to_owned(),
            json!("https://json-schema.org/draft/2020-12/schema"),
        );
        root.insert("title".to_owned(), json!("halfopen scenarios"));
        root.insert("$defs".to_owned(), Value::Object(definitions));
    }
    root
}

/// An object with these properties and no others.
pub(super) fn object(description: &str, required: &[&str], properties: Value) -> Value {
    let mut object = Map::new();
    object.insert("description".to_owned(), json!(description));
    object.insert("type".to_owned(), json!("object"));
    object.insert("additionalProperties".to_owned(), json!(false));
    if !required.is_empty() {
        object.insert("required".to_owned(), json!(required));
    }
    object.insert("properties".to_owned(), properties);
    Value::Object(object)
}

/// A described reference to a definition.
pub(super) fn reference(name: &str, description: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}"), "description": description })
}

/// One of a few words, or an axis.
pub(super) fn words(description: &str, words: &[&str]) -> Value {
    json!({ "description": description, "anyOf": [{ "enum": words }, { "$ref": "#/$defs/axis" }] })
}

fn scenario() -> Value {
    object(
        "One story, at every point of its matrix.",
        &["about", "give_up"],
        json!({
            "about": { "type": "string", "description": "What happens, in one sentence." },
            "source": {
                "type": "array",
                "items": { "type": "string" },
                "description": "Where the story comes from: rows of the claims' table, chapters.",
            },
            "book": reference("signs", "What the book says happens."),
            "expect": reference("signs", "What Linux is expected to do."),
            "notes": { "type": "string", "description": "Where Linux and the book differ, and why." },
            "matrix": {
                "description": "Axes and their values. detector, network, family and detector_on are settings; any other axis is used as ${axis} or in a `when`.",
                "type": "object",
                "additionalProperties": { "type": "array", "minItems": 1, "uniqueItems": true, "items": { "$ref": "#/$defs/scalar" } },
            },
            "exclude": {
                "description": "Points of the matrix that are left out.",
                "type": "array",
                "items": { "$ref": "#/$defs/when" },
            },
            "detector": { "type": "string", "description": "How the lanes of detector_on notice a dead peer: the name of a detector. Default: none." },
            "detector_on": {
                "description": "The lanes that get the detector: `client`, `server`, `both`, or a list. Default: client.",
                "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }],
            },
            "network": { "type": "string", "description": "link, lan, routed, or a network of this file. Default: link." },
            "nat": nat(),
            "family": words("The address family. Default: ipv4.", &["ipv4", "ipv6"]),
            "sysctls": {
                "description": "Sysctls by host, or `all`.",
                "type": "object",
                "additionalProperties": {
                    "type": "object",
                    "propertyNames": { "pattern": "^net\\." },
                    "additionalProperties": { "type": ["string", "integer"] },
                },
            },
            "server": reference("lane", "The lane `server`, on the host `server`."),
            "client": reference("lane", "The lane `client`, on the host `client`."),
            "lanes": {
                "description": "More lanes, by name.",
                "type": "object",
                "propertyNames": { "$ref": "#/$defs/name" },
                "additionalProperties": { "$ref": "#/$defs/lane" },
            },
            "watch": {
                "description": "Lanes whose calls can be the first sign. Default: the client, or whoever is not the first fault's victim.",
                "type": "array",
                "minItems": 1,
                "items": { "type": "string" },
            },
            "faults": { "description": "What is done, and when.", "type": "array", "items": { "$ref": "#/$defs/event" } },
            "give_up": reference("duration", "How long after the start the case ends when nobody noticed anything; at most 24h."),
            "clock": words("`virtual`: only sensible in virtual time, because it lasts hours. Default: any.", &["any", "virtual"]),
        }),
    )
}

fn nat() -> Value {
    object(
        "A router keeps state of every TCP connection opened through it from the inside and lets nothing else through; over IPv4 it translates addresses, too.",
        &["inside"],
        json!({
            "router": { "type": "string", "description": "The router. Default: the only one." },
            "inside": { "description": "Hosts on its inside.", "anyOf": [{ "type": "string" }, { "type": "array", "minItems": 1, "items": { "type": "string" } }] },
            "idle": reference("duration", "How long it remembers a connection without a packet, whole seconds. Default: 5d, as Linux."),
            "on_forgotten": words("What becomes of packets of a connection it does not know: nothing, an RST, or (as Linux by default) from the inside it is known again. Default: silence.", &["silence", "reset", "resume"]),
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str));
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(list) => list.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let schema = schema();
        let mut found = Vec::new();
        references(&schema, &mut found);
        assert!(found.len() > 20);
        for reference in found {
            let pointer = reference.strip_prefix('#').expect("a local reference");
            assert!(schema.pointer(pointer).is_some(), "{reference}");
        }
    }

    fn keys(schema: &Value, pointer: &str) -> Vec<String> {
        let properties = schema
            .pointer(pointer)
            .and_then(Value::as_object)
            .expect(pointer);
        let mut keys: Vec<String> = properties.keys().cloned().collect();
        keys.sort();
        keys
    }

    #[test]
    fn it_has_the_keys_and_verbs_that_parse_knows() {
        let schema = schema();
        let sorted = |words: &[&str]| {
            let mut words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            words.sort();
            words
        };
        let expand: Vec<&str> = super::super::expand::KEYS.into_iter().collect();
        assert_eq!(keys(&schema, "/$defs/scenario/properties"), sorted(&expand));
        let steps: Vec<&str> = super::super::step::VERBS
            .into_iter()
            .chain(super::super::step::MODIFIERS)
            .collect();
        assert_eq!(
            keys(&schema, "/$defs/step/anyOf/1/properties"),
            sorted(&steps)
        );
        let events: Vec<&str> = super::super::event::VERBS
            .into_iter()
            .chain(super::super::event::MODIFIERS)
            .collect();
        assert_eq!(keys(&schema, "/$defs/event/properties"), sorted(&events));
    }
}
