//! A hash of what a case does, in sixteen hexadecimal digits. Outcomes under one
//! id are compared as results only when the case is still the same.

use serde_json::Value;

use halfopen_scenario::case::Case;

/// Keys of a case that do not affect what happens in it.
const IGNORED: [&str; 8] = [
    "about", "book", "checks", "expect", "line", "notes", "number", "source",
];

/// The case's hash. It does not depend on the case's place in its file, nor on
/// what is expected of it.
pub fn definition(case: &Case) -> String {
    let value = serde_json::to_value(case).unwrap_or(Value::Null);
    let mut hash = FNV_OFFSET;
    feed(&mut hash, &value);
    format!("{hash:016x}")
}

/// FNV-1a: to notice an edit, a hash need not be cryptographic.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

fn bytes(hash: &mut u64, bytes: &[u8]) {
    for byte in bytes {
        *hash = (*hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME);
    }
}

/// Hashes keys in order and skips unset values, so that a setting that is added
/// to the language later does not change the hash of cases that do not use it.
fn feed(hash: &mut u64, value: &Value) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map
                .iter()
                .filter(|(key, value)| !IGNORED.contains(&key.as_str()) && !unset(value))
                .collect();
            entries.sort_by_key(|(key, _)| *key);
            bytes(hash, b"{");
            for (key, value) in entries {
                bytes(hash, key.as_bytes());
                bytes(hash, b":");
                feed(hash, value);
            }
            bytes(hash, b"}");
        }
        Value::Array(items) => {
            bytes(hash, b"[");
            for item in items {
                feed(hash, item);
                bytes(hash, b",");
            }
            bytes(hash, b"]");
        }
        other => bytes(hash, other.to_string().as_bytes()),
    }
}

fn unset(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(set) => !set,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use halfopen_scenario::parse;

    fn of(text: &str) -> String {
        let cases = parse("t", text).expect("the fixture is right").cases;
        definition(&cases[0])
    }

    const ONE: &str = "
version: 1
scenarios:
  one:
    about: The server dies.
    expect: { eof: true }
    server: [listen, accept, echo]
    client: [connect, { exchange: hello }, read]
    faults: [{ at: 50ms, kill: server }]
    give_up: 3s
";

    #[test]
    fn texts_and_lines_do_not_matter_and_settings_do() {
        let moved = format!("# a comment\n\n{ONE}").replace("The server dies.", "It dies.");
        assert_eq!(of(ONE), of(&moved));
        assert_eq!(of(ONE), of(&ONE.replace("eof: true", "unnoticed: true")));
        assert_ne!(of(ONE), of(&ONE.replace("50ms", "60ms")));
        assert_ne!(of(ONE), of(&ONE.replace("give_up: 3s", "give_up: 4s")));
        assert_eq!(of(ONE).len(), 16);
    }
}
