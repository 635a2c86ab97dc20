//! Decoding nodes at one point of a matrix: what is wrong is noted, `None` is
//! returned, and decoding goes on, so that all problems show at once.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;

use super::error::{Problem, Span};
use super::name;
use super::scalar::Refusal;
use super::tree::{Key, Node, Value};

/// What all cases of a scenario find out together.
#[derive(Debug, Default)]
pub struct Findings {
    /// Problems by place and message, with the number of cases that have them
    /// and the first of those cases.
    problems: RefCell<IndexMap<(Span, String), (Problem, usize, String)>>,
    /// Axes that something uses.
    used: RefCell<BTreeSet<String>>,
    /// Each `when`, and whether it held in any case.
    whens: RefCell<BTreeMap<Span, bool>>,
    /// Each sign of a list, and whether it was chosen in any case.
    chosen: RefCell<BTreeMap<Span, bool>>,
}

impl Findings {
    /// The problems, each with the cases it happens in unless those are all.
    pub fn into_problems(self, cases: usize) -> Vec<Problem> {
        self.problems
            .into_inner()
            .into_values()
            .map(|(problem, count, first)| match count {
                count if count >= cases || first.is_empty() => problem,
                1 => problem.note(format!("in the case `{first}`")),
                _ => problem.note(format!("in {count} of {cases} cases, the first is `{first}`")),
            })
            .collect()
    }

    /// Whether anything is wrong.
    pub fn any(&self) -> bool {
        !self.problems.borrow().is_empty()
    }

    /// Whether something used the axis.
    pub fn uses(&self, axis: &str) -> bool {
        self.used.borrow().contains(axis)
    }

    /// Places of `when`s that held in no case.
    pub fn idle_whens(&self) -> Vec<Span> {
        let whens = self.whens.borrow();
        whens.iter().filter(|(_, held)| !**held).map(|(span, _)| *span).collect()
    }

    /// Places of signs whose `when` held but that an earlier one always beat.
    pub fn beaten_signs(&self) -> Vec<Span> {
        let (whens, chosen) = (self.whens.borrow(), self.chosen.borrow());
        chosen
            .iter()
            .filter(|(span, chosen)| !**chosen && whens.get(span).copied().unwrap_or(true))
            .map(|(span, _)| *span)
            .collect()
    }

    /// Notes whether the sign at a place was chosen.
    pub fn choose(&self, span: Span, chosen: bool) {
        *self.chosen.borrow_mut().entry(span).or_default() |= chosen;
    }
}

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
        let mut problems = self.findings.problems.borrow_mut();
        let key = (problem.span, problem.message.clone());
        problems.entry(key).or_insert_with(|| (problem, 0, self.id.to_owned())).1 += 1;
    }

    /// Marks an axis as used and gives its value in this case.
    pub fn axis(&self, axis: &str) -> Option<&'a Node> {
        let node = self.point.get(axis).copied()?;
        self.findings.used.borrow_mut().insert(axis.to_owned());
        Some(node)
    }

    /// The node itself, or the value of the axis it names as `${axis}`.
    pub fn resolve(&self, node: &'a Node) -> Option<&'a Node> {
        let Value::Scalar(text) = &node.value else { return Some(node) };
        let Some(axis) = self.axis_name(text, node.span)? else { return Some(node) };
        self.axis(axis)
    }

    /// The axis a text names; `Some(None)` when it names none.
    #[allow(clippy::option_option)]
    fn axis_name<'t>(&self, text: &'t str, span: Span) -> Option<Option<&'t str>> {
        let Some(start) = text.find("${") else { return Some(None) };
        let Some(axis) = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) else {
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
        let node = self.resolve(node)?;
        let Value::Scalar(text) = &node.value else {
            self.problem(
                Problem::new(node.span, format!("{} where {expected} belongs", node.kind())).expected(expected),
            );
            return None;
        };
        match read(text) {
            Ok(value) => Some(value),
            Err(refusal) => {
                self.problem(
                    Problem::new(node.span, refusal.message).expected(expected).maybe_help(refusal.help),
                );
                None
            }
        }
    }

    /// One of a few words.
    pub fn choose<T: Clone>(&self, node: &'a Node, what: &str, words: &[(&str, T)]) -> Option<T> {
        let all = || words.iter().map(|(word, _)| *word);
        self.scalar(node, &name::one_of(all()), |text| {
            let found = words.iter().find(|(word, _)| *word == text);
            found.map(|(_, value)| value.clone()).ok_or_else(|| Refusal {
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
        let problem = Problem::new(node.span, format!("{} where a list belongs", node.kind())).expected(expected);
        self.problem(match &node.value {
            Value::Scalar(text) if !text.contains(['\n', ',']) => problem.help(format!("write `[{text}]`")),
            _ => problem,
        });
        None
    }

    /// A mapping with these keys and no others.
    pub fn fields(&self, node: &'a Node, what: &str, known: &[&str]) -> Option<Fields<'a>> {
        let Value::Map(entries) = &node.value else {
            self.problem(
                Problem::new(node.span, format!("{} where {what} belongs", node.kind()))
                    .expected(format!("{what} with {}", name::one_of(known.iter().copied()))),
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
        Some(Fields { entries, span: node.span })
    }

    /// A mapping with free keys.
    pub fn map(&self, node: &'a Node, what: &str) -> Option<&'a [(Key, Node)]> {
        if let Value::Map(entries) = &node.value {
            return Some(entries);
        }
        self.problem(Problem::new(node.span, format!("{} where {what} belongs", node.kind())).expected(what));
        None
    }

    /// A key that must be there.
    pub fn required(&self, fields: &Fields<'a>, what: &str, key: &str, example: &str) -> Option<&'a Node> {
        let node = fields.get(key);
        if node.is_none() {
            self.problem(
                Problem::new(fields.span, format!("{what} has no `{key}`")).expected(format!("`{key}: {example}`")),
            );
        }
        node
    }

    /// Whether `when: { axis: value or [values] }` holds here; true without one.
    pub fn when(&self, fields: &Fields<'a>) -> bool {
        fields.get("when").is_none_or(|node| self.holds(node, fields.span))
    }

    /// Whether the conditions of a mapping from axis to value(s) hold here.
    /// `owner` is the place of what they belong to.
    fn holds(&self, node: &'a Node, owner: Span) -> bool {
        let Some(entries) = self.map(node, "a mapping from axis to value") else { return false };
        let mut holds = true;
        for (axis, wanted) in entries {
            self.axis(&axis.name);
            holds &= self.condition(axis, wanted);
        }
        *self.findings.whens.borrow_mut().entry(owner).or_default() |= holds;
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
            if self.known(node, &format!("value of the axis `{}`", axis.name), texts).is_some() {
                holds |= here == Some(&node.value);
            }
        }
        holds
    }

    /// A mapping (or a word) with exactly one verb beside its modifiers.
    pub fn verb(&self, node: &'a Node, what: &str, verbs: &[&str], modifiers: &[&str]) -> Option<Verb<'a>> {
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
            let fields = Fields { entries: &[], span: node.span };
            return Some(Verb { verb: (*verb).to_owned(), span: node.span, value: None, fields });
        }
        let Value::Map(entries) = &node.value else {
            self.problem(Problem::new(node.span, format!("{} where {what} belongs", node.kind())).expected(expected()));
            return None;
        };
        let mut found: Option<(String, Span, &'a Node)> = None;
        let mut wrong = false;
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
                unknown(word, key.span);
                wrong = true;
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
        if found.is_none() && !wrong {
            self.problem(Problem::new(node.span, format!("this {what} does nothing")).expected(expected()));
        }
        let (verb, span, value) = found.filter(|_| !wrong)?;
        let value = (value.value != Value::Null).then_some(value);
        Some(Verb { verb, span, value, fields: Fields { entries, span: node.span } })
    }
}

/// A verb with its value and its modifiers.
pub struct Verb<'a> {
    /// The verb.
    pub verb: String,
    /// Where it is.
    pub span: Span,
    /// Its value, if it has one.
    pub value: Option<&'a Node>,
    /// The modifiers beside it.
    pub fields: Fields<'a>,
}

/// The entries of a mapping.
#[derive(Clone, Copy)]
pub struct Fields<'a> {
    /// Keys and values in file order.
    pub entries: &'a [(Key, Node)],
    /// Where the mapping is.
    pub span: Span,
}

impl<'a> Fields<'a> {
    /// A key's value, if the key is there.
    pub fn get(&self, name: &str) -> Option<&'a Node> {
        self.entries.iter().find(|(key, _)| key.name == name).map(|(_, node)| node)
    }

    /// Where a key is.
    pub fn key(&self, name: &str) -> Option<Span> {
        self.entries.iter().find(|(key, _)| key.name == name).map(|(key, _)| key.span)
    }
}
