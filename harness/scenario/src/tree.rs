//! A YAML document as a tree whose every node knows its place.
//!
//! serde-saphyr reads the YAML (its budgets stop alias bombs and deep nesting);
//! the tree keeps each scalar as it was written, so that `1.0`, `0755` and
//! `ETIMEDOUT` reach the one place that knows what is expected there.

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DefaultMessageFormatter, MessageFormatter, Spanned};

use super::error::{Problem, Span};

/// A node of the document.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What it is.
    pub value: Value,
    /// Where it is.
    pub span: Span,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// A scalar as it was written, without quotes.
    Scalar(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping in file order, keys unique.
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// The key.
    pub name: String,
    /// Where it is.
    pub span: Span,
}

impl Node {
    /// What it is, in words.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Scalar(_) => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

/// Nodes that all aliases of a file together may stand for.
const MAX_ALIASED: usize = 50_000;
/// Depth of nesting.
const MAX_DEPTH: usize = 64;

/// Reads one YAML document.
///
/// # Errors
///
/// What is wrong with it as YAML: its syntax, keys used twice, too many aliases.
pub fn read(text: &str) -> Result<Node, Vec<Problem>> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: MAX_DEPTH, flow_nesting_limit: MAX_DEPTH },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_ALIASED },
        // Duplicates are found below: all of them, each with the line of its first.
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::PassThrough,
        strict_booleans: true,
        non_finite_float_policy: serde_saphyr::NonFiniteFloatPolicy::AsString,
        with_snippet: false,
    };
    let raw: Spanned<Raw> = serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| vec![syntax(&error, text)])?;
    let mut reader = Reader {
        text,
        problems: Vec::new(),
    };
    let node = reader.node(raw);
    if reader.problems.is_empty() {
        Ok(node)
    } else {
        Err(reader.problems)
    }
}

/// serde-saphyr's error as one of ours.
fn syntax(error: &serde_saphyr::Error, text: &str) -> Problem {
    use serde_saphyr::Error;
    let mut error = error.without_snippet();
    let mut location = error.location();
    if let Error::AliasError {
        error: inner,
        locations,
        ..
    } = error
    {
        error = inner.without_snippet();
        location = Some(locations.reference_location);
    }
    let span = location.map_or(
        Span {
            line: 1,
            column: 1,
            length: 1,
        },
        |at| Span {
            line: u32::try_from(at.line()).unwrap_or(u32::MAX),
            column: u32::try_from(at.column()).unwrap_or(u32::MAX),
            length: 1,
        },
    );
    let message = DefaultMessageFormatter.format_message(error).into_owned();
    match error {
        Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => Problem::new(
            span,
            format!("aliases stand for more than {MAX_ALIASED} nodes"),
        )
        .expected(format!(
            "aliases that stand for at most {MAX_ALIASED} nodes together"
        ))
        .help("write the values out, or split the file"),
        Error::RecursiveReferencesRequireWeakTypes { .. } => {
            Problem::new(span, "this alias stands for something it is part of")
                .expected("an alias of something that ends before it")
        }
        // The parser's own limit has no variant of its own.
        _ if message.contains("recursion limit") => too_deep(span),
        Error::Budget {
            breach: serde_saphyr::budget::BudgetBreach::Depth { .. },
            ..
        } => too_deep(span),
        Error::MultipleDocuments { .. } => {
            Problem::new(span, "the file holds more than one YAML document")
                .expected("one document")
                .help("remove the `---`, or split the file")
        }
        _ => {
            let line = text
                .lines()
                .nth((span.line as usize).saturating_sub(1))
                .unwrap_or("");
            let help = if line.contains("${") && !line.contains("\"${") {
                Some(
                    "inside `{ }` and `[ ]` YAML wants `${axis}` in quotes: \"${axis}\"".to_owned(),
                )
            } else if line.starts_with('\t') || line.trim_start_matches(' ').starts_with('\t') {
                Some("indent with spaces; YAML does not allow tabs".to_owned())
            } else {
                None
            };
            Problem::new(span, format!("this is not YAML: {message}"))
                .expected("valid YAML")
                .maybe_help(help)
        }
    }
}

fn too_deep(span: Span) -> Problem {
    Problem::new(span, "this is nested too deeply").expected(format!("at most {MAX_DEPTH} levels"))
}

/// The document as serde-saphyr gives it.
enum Raw {
    Null,
    /// Resolved as a number or a boolean; its text is in the source.
    Typed(String),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<Raw>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value, a list or a mapping")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Raw, E> {
        Ok(Raw::Text(value))
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = access.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = access.next_entry()? {
            map.push(entry);
        }
        Ok(Raw::Map(map))
    }
}

/// Turns [`Raw`] into [`Node`].
struct Reader<'t> {
    text: &'t str,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn node(&mut self, raw: Spanned<Raw>) -> Node {
        let location = raw.defined;
        let written = location
            .span()
            .byte_offset()
            .zip(location.span().byte_len())
            .and_then(|(start, length)| {
                let start = usize::try_from(start).ok()?;
                self.text.get(start..start + usize::try_from(length).ok()?)
            })
            .unwrap_or("");
        let first = written.lines().next().unwrap_or("").trim_end();
        let span = Span {
            line: u32::try_from(location.line()).unwrap_or(u32::MAX),
            column: u32::try_from(location.column()).unwrap_or(u32::MAX),
            length: u32::try_from(first.chars().count())
                .unwrap_or(u32::MAX)
                .max(1),
        };
        let value = match raw.value {
            Raw::Null => Value::Null,
            Raw::Text(text) => Value::Scalar(text),
            Raw::Typed(text) if written.is_empty() => Value::Scalar(text),
            Raw::Typed(_) => Value::Scalar(written.trim().to_owned()),
            Raw::List(list) => Value::List(list.into_iter().map(|item| self.node(item)).collect()),
            Raw::Map(map) => Value::Map(self.map(map)),
        };
        Node { value, span }
    }

    fn map(&mut self, map: Vec<(Spanned<Raw>, Spanned<Raw>)>) -> Vec<(Key, Node)> {
        let mut entries: Vec<(Key, Node)> = Vec::with_capacity(map.len());
        let mut seen: HashMap<String, u32> = HashMap::new();
        for (key, value) in map {
            let key = self.node(key);
            let value = self.node(value);
            let Value::Scalar(name) = key.value else {
                self.problems.push(
                    Problem::new(key.span, format!("a key cannot be {}", key.kind()))
                        .expected("a word"),
                );
                continue;
            };
            if let Some(first) = seen.get(&name) {
                self.problems.push(
                    Problem::new(key.span, format!("the key `{name}` is used twice"))
                        .expected("each key once")
                        .note(format!("`{name}` is first used on line {first}")),
                );
                continue;
            }
            seen.insert(name.clone(), key.span.line);
            entries.push((
                Key {
                    name,
                    span: key.span,
                },
                value,
            ));
        }
        entries
    }
}
