//! Decodes lists and mappings: which keys are known, and which must be there.

use super::decoder::Decoder;
use super::error::Problem;
use super::fields::Fields;
use super::name;
use super::spec::MappingSpec;
use super::tree::{Key, Node, Value};

impl<'a, 'f> Decoder<'a, 'f> {
    /// Reads a list.
    pub fn list(&self, node: &'a Node, expected: &str) -> Option<&'a [Node]> {
        if let Value::List(list) = &node.value {
            return Some(list);
        }
        let problem = Problem::new(node.span, format!("{} where a list belongs", node.kind()))
            .expected(expected);
        self.problem(match &node.value {
            Value::Scalar(text) if !text.contains(['\n', ',']) => {
                problem.help(format!("write `[{text}]`"))
            }
            Value::Map(_) => problem.help("put `[` and `]` around it, or `- ` before it"),
            _ => problem,
        });
        None
    }

    /// Reads a mapping that may have the keys of a table and no others.
    pub fn mapping(&self, node: &'a Node, spec: &'static MappingSpec) -> Option<Fields<'a>> {
        let fields = self.fields_or(node, spec.name, &spec.names(), &|text| in_full(spec, text))?;
        Some(Fields {
            spec: Some(spec),
            ..fields
        })
    }

    /// Reads a mapping that may have `known` as keys and no others.
    pub fn fields(&self, node: &'a Node, what: &str, known: &[&str]) -> Option<Fields<'a>> {
        self.fields_or(node, what, known, &|_| None)
    }

    /// As [`Self::fields`]; `meant` says what to write for a single value in their place.
    fn fields_or(
        &self,
        node: &'a Node,
        what: &str,
        known: &[&str],
        meant: &dyn Fn(&str) -> Option<String>,
    ) -> Option<Fields<'a>> {
        let Value::Map(entries) = &node.value else {
            let problem =
                Problem::new(node.span, format!("{} where {what} belongs", node.kind())).expected(
                    format!("{what} with {}", name::one_of(known.iter().copied())),
                );
            // Errnos are the words in capitals.
            self.problem(match &node.value {
                Value::Scalar(word) if known.contains(&"errno") && word.starts_with('E') => {
                    problem.help(format!("write `{{ errno: {word} }}`"))
                }
                Value::Scalar(word) => problem.maybe_help(meant(word)),
                Value::List(_) => problem.help(NO_LIST),
                _ => problem,
            });
            return None;
        };
        for (key, _) in entries {
            if !known.contains(&key.name.as_str()) {
                // Blanks of YAML are no part of a name.
                let help = match key.name.starts_with(char::is_whitespace) {
                    true => {
                        Some("a blank that YAML does not know is before it: type it anew".into())
                    }
                    false => name::did_you_mean(&key.name, known.iter().copied()),
                };
                self.problem(
                    Problem::new(key.span, format!("{what} has no key `{}`", key.name))
                        .expected(name::one_of(known.iter().copied()))
                        .maybe_help(help),
                );
            }
        }
        Some(Fields {
            entries,
            span: node.span,
            spec: None,
        })
    }

    /// The value of a key that the mapping's table requires.
    pub fn needed(&self, fields: &Fields<'a>, key: &str) -> Option<&'a Node> {
        let subject = fields.spec.map_or("", |spec| spec.subject);
        let example = fields.spec.and_then(|spec| spec.key(key)?.example);
        debug_assert!(example.is_some(), "{subject} does not require `{key}`");
        self.required(fields, subject, key, example.unwrap_or_default())
    }

    /// The value of a key that must be there; `what` is how messages call the mapping.
    pub fn required(
        &self,
        fields: &Fields<'a>,
        what: &str,
        key: &str,
        example: &str,
    ) -> Option<&'a Node> {
        let node = fields.get(key);
        if node.is_none() {
            self.problem(
                Problem::new(fields.span, format!("{what} has no `{key}`"))
                    .expected(format!("`{key}: {example}`")),
            );
        }
        node
    }

    /// Reads a mapping whose keys the file chooses.
    pub fn map(&self, node: &'a Node, what: &str) -> Option<&'a [(Key, Node)]> {
        if let Value::Map(entries) = &node.value {
            return Some(entries);
        }
        let problem =
            Problem::new(node.span, format!("{} where {what} belongs", node.kind())).expected(what);
        self.problem(match &node.value {
            Value::List(_) => problem.help(NO_LIST),
            _ => problem,
        });
        None
    }
}

const NO_LIST: &str = "write `name: value`, without `-` before it or `[ ]` around it";

/// What was meant by a single value where a mapping belongs.
fn in_full(spec: &MappingSpec, text: &str) -> Option<String> {
    let mut needed = spec.keys().filter(|key| key.example.is_some());
    match (needed.next(), needed.next()) {
        (None, _) => matches!(text, "true" | "yes" | "on" | "1")
            .then(|| "write `{}` for what it is by default".to_owned()),
        (Some(only), None) => Some(format!("write `{{ {}: {text} }}`", only.name)),
        _ => None,
    }
}
