//! Decoding nodes at one point of a matrix: what is wrong is noted, `None` is
//! returned, and decoding goes on, so that all problems show at once.

use indexmap::IndexMap;

use super::error::{Problem, Span};
use super::fields::Fields;
use super::findings::Findings;
use super::name;
use super::scalar::{self, Refusal};
use super::spec::MappingSpec;
use super::tree::{Key, Node, Value};

/// The axes of a matrix and their values, as the file has them.
pub type Axes<'a> = IndexMap<&'a str, &'a [Node]>;

/// A point of the matrix.
pub type Point<'a> = IndexMap<&'a str, &'a Node>;

/// Decodes nodes for one case.
pub struct Decoder<'a, 'f> {
    /// Where problems go.
    pub findings: &'f Findings,
    /// All axes.
    pub axes: &'f Axes<'a>,
    /// This case's values.
    pub point: &'f Point<'a>,
    /// This case's id, for messages.
    pub id: &'f str,
}

impl<'a, 'f> Decoder<'a, 'f> {
    /// Notes a problem.
    pub fn problem(&self, problem: Problem) {
        self.findings.note(problem, self.id);
    }

    /// Marks an axis as used and gives its value in this case.
    pub fn axis(&self, axis: &str) -> Option<&'a Node> {
        let node = self.point.get(axis).copied()?;
        self.findings.use_axis(axis);
        Some(node)
    }

    /// The node itself, or the value of the axis it names as `${axis}`.
    pub fn resolve(&self, node: &'a Node) -> Option<&'a Node> {
        let Value::Scalar(text) = &node.value else {
            return Some(node);
        };
        let Some(axis) = self.axis_name(text, node.span)? else {
            return Some(node);
        };
        self.axis(axis)
    }

    /// The axis a text names; `Some(None)` when it names none.
    #[allow(clippy::option_option)]
    pub(super) fn axis_name<'t>(&self, text: &'t str, span: Span) -> Option<Option<&'t str>> {
        let Some(start) = text.find("${") else {
            return Some(None);
        };
        let Some(axis) = text
            .strip_prefix("${")
            .and_then(|rest| rest.strip_suffix('}'))
        else {
            self.problem(
                Problem::new(span, format!("`{text}` has `${{` in the middle"))
                    .expected("`${axis}` alone, or no `${`")
                    .help(if start == 0 {
                        "the name of the axis ends with `}`, and nothing follows it"
                    } else {
                        "give the matrix an axis with the whole text as its values"
                    }),
            );
            return None;
        };
        if !self.axes.contains_key(axis) {
            self.problem(
                Problem::new(span, format!("unknown axis `{axis}`"))
                    .expected(self.axis_names())
                    .maybe_help(name::did_you_mean(axis, self.axes.keys().copied())),
            );
            return None;
        }
        Some(Some(axis))
    }

    pub(super) fn axis_names(&self) -> String {
        if self.axes.is_empty() {
            return "an axis, but this scenario has no `matrix:`".to_owned();
        }
        let names: Vec<&str> = self.axes.keys().copied().collect();
        format!("an axis of this scenario's matrix: {}", names.join(", "))
    }

    /// A scalar through a reader such as [`super::scalar::duration`].
    pub fn scalar<T>(
        &self,
        node: &'a Node,
        expected: &str,
        read: impl FnOnce(&str) -> Result<T, Refusal>,
    ) -> Option<T> {
        let written = node.span;
        let node = self.resolve(node)?;
        let Value::Scalar(text) = &node.value else {
            self.problem(
                Problem::new(
                    node.span,
                    format!("{} where {expected} belongs", node.kind()),
                )
                .expected(expected),
            );
            return None;
        };
        match read(text) {
            Ok(value) => Some(value),
            Err(refusal) => {
                let problem = Problem::new(node.span, refusal.message)
                    .expected(expected)
                    .maybe_help(refusal.help);
                self.problem(if written == node.span {
                    problem
                } else {
                    problem.note(format!("this value is used on line {}", written.line))
                });
                None
            }
        }
    }

    /// One of a few words.
    pub fn choose<T: Clone>(&self, node: &'a Node, what: &str, words: &[(&str, T)]) -> Option<T> {
        let all = || words.iter().map(|(word, _)| *word);
        self.scalar(node, &name::one_of(all()), |text| {
            let found = words.iter().find(|(word, _)| *word == text);
            found
                .map(|(_, value)| value.clone())
                .ok_or_else(|| Refusal {
                    message: format!("unknown {what} `{text}`"),
                    help: name::did_you_mean(text, all()),
                })
        })
    }

    /// A name that must be known.
    pub fn known<'k>(
        &self,
        node: &'a Node,
        what: &str,
        names: impl IntoIterator<Item = &'k str> + Clone,
    ) -> Option<String> {
        self.scalar(node, &name::one_of(names.clone()), |text| {
            if names.clone().into_iter().any(|name| name == text) {
                return Ok(text.to_owned());
            }
            Err(Refusal {
                message: format!("unknown {what} `{text}`"),
                help: name::did_you_mean(text, names.clone()),
            })
        })
    }

    /// Plain text, not empty.
    pub fn text(&self, node: &'a Node, expected: &str) -> Option<String> {
        self.scalar(node, expected, |text| {
            if text.trim().is_empty() {
                Err(Refusal::new("this text is empty"))
            } else {
                Ok(text.to_owned())
            }
        })
    }

    /// A list.
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
            _ => problem,
        });
        None
    }

    /// A mapping with these keys and no others.
    pub fn fields(&self, node: &'a Node, what: &str, known: &[&str]) -> Option<Fields<'a>> {
        let Value::Map(entries) = &node.value else {
            self.problem(
                Problem::new(node.span, format!("{} where {what} belongs", node.kind())).expected(
                    format!("{what} with {}", name::one_of(known.iter().copied())),
                ),
            );
            return None;
        };
        for (key, _) in entries {
            if !known.contains(&key.name.as_str()) {
                self.problem(
                    Problem::new(key.span, format!("{what} has no key `{}`", key.name))
                        .expected(name::one_of(known.iter().copied()))
                        .maybe_help(name::did_you_mean(&key.name, known.iter().copied())),
                );
            }
        }
        Some(Fields {
            entries,
            span: node.span,
            spec: None,
        })
    }

    /// A mapping with the keys of a table and no others.
    pub fn mapping(&self, node: &'a Node, spec: &'static MappingSpec) -> Option<Fields<'a>> {
        let fields = self.fields(node, spec.name, &spec.names())?;
        Some(Fields {
            spec: Some(spec),
            ..fields
        })
    }

    /// A mapping with free keys.
    pub fn map(&self, node: &'a Node, what: &str) -> Option<&'a [(Key, Node)]> {
        if let Value::Map(entries) = &node.value {
            return Some(entries);
        }
        self.problem(
            Problem::new(node.span, format!("{} where {what} belongs", node.kind())).expected(what),
        );
        None
    }

    /// A key that must be there.
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

    /// A key that the mapping's table requires.
    pub fn needed(&self, fields: &Fields<'a>, key: &str) -> Option<&'a Node> {
        let subject = fields.spec.map_or("", |spec| spec.subject);
        let example = fields.spec.and_then(|spec| spec.key(key)?.example);
        debug_assert!(example.is_some(), "{subject} does not require `{key}`");
        self.required(fields, subject, key, example.unwrap_or_default())
    }

    /// `true` or `false`.
    pub fn truth(&self, node: &'a Node) -> Option<bool> {
        self.scalar(node, "`true` or `false`", scalar::truth)
    }
}
