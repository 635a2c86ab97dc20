//! Tables as JSON Schema.

use serde_json::{Map, Value, json};

use crate::yaml::{MappingSpec, ValueSpec, Words};

/// A mapping with the keys of a table and no others.
pub fn mapping(spec: &MappingSpec) -> Value {
    if spec.keys().next().is_none() {
        return json!({ "type": "object", "maxProperties": 0 });
    }
    let properties: Map<String, Value> = spec
        .keys()
        .map(|key| {
            let form = described(value(&key.value), key.description);
            (key.name.to_owned(), form)
        })
        .collect();
    let required: Vec<&str> = spec
        .keys()
        .filter(|key| key.example.is_some())
        .map(|key| key.name)
        .collect();
    let mut object = json!({
        "description": spec.description,
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    });
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    object
}

/// What a value can be.
pub fn value(spec: &ValueSpec) -> Value {
    match spec {
        ValueSpec::Definition(name) => json!({ "$ref": format!("#/$defs/{name}") }),
        ValueSpec::Text => json!({ "type": "string" }),
        ValueSpec::TextOrNumber => json!({ "type": ["string", "number"] }),
        ValueSpec::TextOrNothing => json!({ "type": ["string", "null"] }),
        ValueSpec::Nothing => json!({ "type": "null" }),
        ValueSpec::Word(words) => {
            json!({ "anyOf": [one_of(*words), { "$ref": "#/$defs/axis" }] })
        }
        ValueSpec::WordWithoutAxis(words) => one_of(*words),
        ValueSpec::List {
            items,
            least,
            most,
            unique,
        } => {
            let mut list = json!({ "type": "array", "items": value(items) });
            if *least > 0 {
                list["minItems"] = json!(least);
            }
            if let Some(most) = most {
                list["maxItems"] = json!(most);
            }
            if *unique {
                list["uniqueItems"] = json!(true);
            }
            list
        }
        ValueSpec::Mapping(spec) => mapping(spec),
        ValueSpec::AnyOf(forms) => {
            let forms: Vec<Value> = forms.iter().map(value).collect();
            json!({ "anyOf": forms })
        }
        ValueSpec::Described(description, form) => described(value(form), description),
        ValueSpec::Schema(schema) => schema(),
    }
}

fn one_of(words: &dyn Words) -> Value {
    json!({ "enum": words.spellings() })
}

/// The form with a description, unless that is empty.
pub fn described(mut form: Value, description: &str) -> Value {
    if !description.is_empty() {
        form["description"] = json!(description);
    }
    form
}
