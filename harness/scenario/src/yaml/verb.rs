//! Decodes steps and events: words, or mappings with exactly one verb.

use super::decoder::Decoder;
use super::error::{Problem, Span};
use super::fields::{Fields, Verb};
use super::name;
use super::spec::MappingSpec;
use super::tree::{Node, Value};

impl<'a, 'f> Decoder<'a, 'f> {
    /// Reads a verb: a word, or a mapping with one verb and its modifiers.
    pub fn verb(&self, node: &'a Node, spec: &'static MappingSpec) -> Option<Verb<'a>> {
        let what = spec.name;
        let a = name::article(what);
        let verbs: Vec<&str> = spec.verbs().iter().map(|verb| verb.name).collect();
        let modifiers: Vec<&str> = spec.modifiers().map(|key| key.name).collect();
        let node = self.resolve(node)?;
        let expected = || name::one_of(verbs.iter().copied());
        let unknown = |word: &str, span: Span| {
            let all = verbs.iter().chain(&modifiers).copied();
            self.problem(
                Problem::new(span, format!("unknown {what} `{word}`"))
                    .expected(expected())
                    .maybe_help(name::did_you_mean(word, all)),
            );
        };
        if let Value::Scalar(word) = &node.value {
            let Some(verb) = verbs.iter().find(|verb| *verb == word) else {
                unknown(word, node.span);
                return None;
            };
            return Some(Verb {
                verb: (*verb).to_owned(),
                span: node.span,
                value: None,
                fields: Fields::none(node.span, spec),
            });
        }
        let Value::Map(entries) = &node.value else {
            self.problem(
                Problem::new(node.span, format!("{} where {what} belongs", node.kind()))
                    .expected(expected()),
            );
            return None;
        };
        let mut found: Option<(String, Span, &'a Node)> = None;
        let mut wrong = false;
        let mut unknown_keys = Vec::new();
        for (key, value) in entries {
            if modifiers.contains(&key.name.as_str()) {
                continue;
            }
            let word = match self.axis_name(&key.name, key.span)? {
                None => key.name.as_str(),
                Some(axis) => match self.axis(axis).map(|node| &node.value) {
                    Some(Value::Scalar(word)) => word.as_str(),
                    _ => return None,
                },
            };
            if !verbs.contains(&word) {
                unknown_keys.push((word, key.span));
            } else if let Some((first, _, _)) = &found {
                self.problem(
                    Problem::new(key.span, format!("`{first}` and `{word}` in one {what}"))
                        .expected(format!("one verb in {a} {what}"))
                        .help(format!("make `{word}` {a} {what} of its own")),
                );
                wrong = true;
            } else {
                found = Some((word.to_owned(), key.span, value));
            }
        }
        for (word, span) in unknown_keys {
            wrong = true;
            match &found {
                None => unknown(word, span),
                Some((verb, _, _)) => self.problem(
                    Problem::new(span, format!("`{word}` cannot stand beside `{verb}`"))
                        .expected(name::one_of(modifiers.iter().copied()))
                        .maybe_help(name::did_you_mean(word, modifiers.iter().copied())),
                ),
            }
        }
        if found.is_none() && !wrong {
            self.problem(
                Problem::new(node.span, format!("this {what} does nothing")).expected(expected()),
            );
        }
        let (verb, span, value) = found.filter(|_| !wrong)?;
        let value = (value.value != Value::Null).then_some(value);
        Some(Verb {
            verb,
            span,
            value,
            fields: Fields {
                entries,
                span: node.span,
                spec: Some(spec),
            },
        })
    }
}
