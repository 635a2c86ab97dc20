//! Decoding nodes at one point of a matrix: what is wrong is noted, `None` is
//! returned, and decoding goes on, so that all problems show at once.

use indexmap::IndexMap;

use super::error::{Problem, Span};
use super::fields::{Fields, Verb};
use super::findings::Findings;
use super::name;
use super::scalar::Refusal;
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
    fn axis_name<'t>(&self, text: &'t str, span: Span) -> Option<Option<&'t str>> {
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

    fn axis_names(&self) -> String {
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

    /// Whether `when: { axis: value or [values] }` holds here; true without one.
    pub fn when(&self, fields: &Fields<'a>) -> bool {
        fields
            .get("when")
            .is_none_or(|node| self.holds(node, fields.span))
    }

    /// Whether the conditions of a mapping from axis to value(s) hold here.
    /// `owner` is the place of what they belong to.
    fn holds(&self, node: &'a Node, owner: Span) -> bool {
        let Some(entries) = self.map(node, "a mapping from axis to value") else {
            return false;
        };
        let mut holds = true;
        for (axis, wanted) in entries {
            self.axis(&axis.name);
            holds &= self.condition(axis, wanted);
        }
        self.findings.when(owner, holds);
        holds
    }

    /// Whether an axis has one of the values wanted. This alone does not make
    /// it a used axis: `exclude` may not be all there is of it.
    pub fn condition(&self, axis: &Key, wanted: &'a Node) -> bool {
        let Some(values) = self.axes.get(axis.name.as_str()) else {
            self.problem(
                Problem::new(axis.span, format!("unknown axis `{}`", axis.name))
                    .expected(self.axis_names())
                    .maybe_help(name::did_you_mean(&axis.name, self.axes.keys().copied())),
            );
            return false;
        };
        let here = self.point.get(axis.name.as_str()).map(|node| &node.value);
        let wanted = match &wanted.value {
            Value::List(list) => list.as_slice(),
            _ => std::slice::from_ref(wanted),
        };
        let mut holds = false;
        for node in wanted {
            let texts = values.iter().filter_map(|value| match &value.value {
                Value::Scalar(text) => Some(text.as_str()),
                _ => None,
            });
            if self
                .known(node, &format!("value of the axis `{}`", axis.name), texts)
                .is_some()
            {
                holds |= here == Some(&node.value);
            }
        }
        holds
    }

    /// A mapping (or a word) with exactly one verb beside its modifiers.
    pub fn verb(
        &self,
        node: &'a Node,
        what: &str,
        verbs: &[&str],
        modifiers: &[&str],
    ) -> Option<Verb<'a>> {
        let node = self.resolve(node)?;
        let expected = || name::one_of(verbs.iter().copied());
        let unknown = |word: &str, span: Span| {
            let all = verbs.iter().chain(modifiers).copied();
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
            let fields = Fields {
                entries: &[],
                span: node.span,
            };
            return Some(Verb {
                verb: (*verb).to_owned(),
                span: node.span,
                value: None,
                fields,
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
        let mut strangers = Vec::new();
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
                strangers.push((word, key.span));
            } else if let Some((first, _, _)) = &found {
                self.problem(
                    Problem::new(key.span, format!("`{first}` and `{word}` in one {what}"))
                        .expected(format!("one verb in a {what}"))
                        .help(format!("make `{word}` a {what} of its own")),
                );
                wrong = true;
            } else {
                found = Some((word.to_owned(), key.span, value));
            }
        }
        for (word, span) in strangers {
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
            },
        })
    }
}
