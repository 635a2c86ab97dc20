//! The schema as a whole.

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

#[test]
fn every_verb_of_a_step_is_decoded_and_says_whether_it_needs_a_value() {
    for verb in STEP.verbs() {
        let text = format!(
            "version: 1\nscenarios:\n  a:\n    about: x\n    give_up: 3s\n    server: [listen, accept, echo]\n    client: [listen, connect, {}]\n",
            verb.name
        );
        let message = crate::parse("test.yaml", &text)
            .map_or_else(|errors| errors.to_string(), |_| String::new());
        assert_eq!(
            message.contains("needs a value"),
            !verb.bare,
            "{}: {message}",
            verb.name
        );
        assert!(!message.contains("not understood"), "{message}");
    }
}

#[test]
fn every_verb_of_an_event_is_decoded() {
    for verb in EVENT.verbs() {
        let text = format!(
            "version: 1\nscenarios:\n  a:\n    about: x\n    give_up: 3s\n    server: [listen, accept, echo]\n    client: [connect, read]\n    faults: [{{ at: 1s, {}: ~ }}]\n",
            verb.name
        );
        let message = crate::parse("test.yaml", &text)
            .map_or_else(|errors| errors.to_string(), |_| String::new());
        assert!(!message.contains("not understood"), "{message}");
    }
}
