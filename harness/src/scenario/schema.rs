//! The scenario language as JSON Schema, for editors.

use serde_json::{Value, json};

/// JSON Schema (draft 2020-12) of a file of scenarios, for editors.
pub fn schema() -> Value {
    json!({})
}
