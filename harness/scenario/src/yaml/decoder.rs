//! Decodes scalars at one point of a matrix. A mistake is noted in [`Findings`] and
//! the method returns `None`; decoding goes on, so that one run shows all mistakes.
//! Lists and mappings, verbs, and conditions are in modules of their own.

use indexmap::IndexMap;

use super::error::{Problem, Span};
use super::findings::Findings;
use super::name;
use super::scalar::{self, Refusal};
use super::tree::{Node, Value};

/// The axes of a matrix and their values, as the file has them.
pub type Axes<'a> = IndexMap<&'a str, &'a [Node]>;

/// A point of the matrix: the value of each axis.
pub type Point<'a> = IndexMap<&'a str, &'a Node>;

/// Decodes nodes for one case.
pub struct Decoder<'a, 'f> {
    /// Collects the problems of all cases.
    pub findings: &'f Findings,
    /// The axes of the scenario's matrix.
    pub axes: &'f Axes<'a>,
    /// The point of this case.
    pub point: &'f Point<'a>,
    /// This case's id, for messages.
    pub id: &'f str,
}

impl<'a, 'f> Decoder<'a, 'f> {
    /// Notes a problem.
    pub fn problem(&self, problem: Problem) {
        self.findings.note(problem, self.id);
    }

    /// The value of an axis in this case; the axis counts as used.
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

    /// The axis that a text names as `${axis}`. `Some(None)`: it names none; None: a
    /// problem was noted.
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

    /// Reads a scalar by a function such as [`super::scalar::duration`].
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

    /// Reads one of a few words: what that word stands for.
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

    /// Reads a name that must be one of `names`.
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

    /// Reads text that is not empty.
    pub fn text(&self, node: &'a Node, expected: &str) -> Option<String> {
        self.scalar(node, expected, |text| {
            if text.trim().is_empty() {
                Err(Refusal::new("this text is empty"))
            } else {
                Ok(text.to_owned())
            }
        })
    }

    /// Reads `true` or `false`.
    pub fn truth(&self, node: &'a Node) -> Option<bool> {
        self.scalar(node, "`true` or `false`", scalar::truth)
    }
}
