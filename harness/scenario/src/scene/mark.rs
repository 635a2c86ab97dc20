//! Marks: which steps and events set them, which wait for them, and whether each wait
//! can end.

use std::collections::BTreeMap;

use crate::yaml::{Decoder, Problem, Span, name};

/// A step or an event that sets a mark.
#[derive(Debug, Clone)]
pub struct Setter {
    /// The mark.
    pub name: String,
    /// Where the file names it.
    pub span: Span,
    /// The lane whose step sets it; None: an event.
    pub lane: Option<String>,
    /// Position among the steps of the case.
    pub order: usize,
    /// The name is the event's verb, because the file gives it none. Several events
    /// can have it.
    pub by_default: bool,
}

/// A step or an event that waits for a mark.
#[derive(Debug, Clone)]
pub struct Waiter {
    /// The mark.
    pub name: String,
    /// Where the file names it.
    pub span: Span,
    /// The lane that waits; None: an event.
    pub lane: Option<String>,
    /// Position among the steps of the case.
    pub order: usize,
}

/// The marks of one case.
#[derive(Debug, Default)]
pub struct Marks {
    setters: Vec<Setter>,
    waiters: Vec<Waiter>,
    steps: usize,
    incomplete: bool,
}

impl Marks {
    /// The position of the next step.
    pub fn next_step(&mut self) -> usize {
        self.steps += 1;
        self.steps
    }

    /// A step or an event could not be decoded: it may have set any mark.
    pub fn set_incomplete(&mut self) {
        self.incomplete = true;
    }

    /// Adds a step or an event that sets a mark.
    pub fn set(&mut self, setter: Setter) {
        self.setters.push(setter);
    }

    /// Adds a step or an event that waits for a mark.
    pub fn wait(&mut self, waiter: Waiter) {
        self.waiters.push(waiter);
    }

    /// The final names of all events, in their order. The second of two that are named
    /// after the same verb gets `-2`.
    pub fn number_events(&mut self) -> Vec<String> {
        let taken: Vec<String> = self
            .setters
            .iter()
            .filter(|setter| !setter.by_default)
            .map(|setter| setter.name.clone())
            .collect();
        let mut used: BTreeMap<String, usize> = taken.into_iter().map(|name| (name, 1)).collect();
        let mut names = Vec::new();
        for setter in self.setters.iter().filter(|setter| setter.lane.is_none()) {
            if !setter.by_default {
                names.push(setter.name.clone());
                continue;
            }
            let mut name = setter.name.clone();
            let mut number = 1;
            while used.contains_key(&name) {
                number += 1;
                name = format!("{}-{number}", setter.name);
            }
            used.insert(name.clone(), 1);
            names.push(name);
        }
        names
    }

    /// Notes marks that are set twice or never, and waits that cannot end.
    pub fn check(&self, dec: &Decoder<'_, '_>) {
        for (index, setter) in self.setters.iter().enumerate() {
            if setter.by_default {
                continue;
            }
            let same = |other: &&Setter| other.name == setter.name && !other.by_default;
            if let Some(first) = self.setters[..index].iter().find(same) {
                dec.problem(
                    Problem::new(
                        setter.span,
                        format!("the mark `{}` is set twice", setter.name),
                    )
                    .expected("another name")
                    .note(format!("it is first set on line {}", first.span.line)),
                );
            }
        }
        for waiter in &self.waiters {
            self.check_waiter(dec, waiter);
        }
    }

    fn check_waiter(&self, dec: &Decoder<'_, '_>, waiter: &Waiter) {
        let setters: Vec<&Setter> = self
            .setters
            .iter()
            .filter(|setter| setter.name == waiter.name)
            .collect();
        let Some(setter) = setters.first() else {
            if self.incomplete {
                return;
            }
            // A name such as `crash-2`, which only `number_events` gives.
            if self.setters.iter().any(|s| {
                waiter
                    .name
                    .strip_prefix(&format!("{}-", s.name))
                    .is_some_and(|n| n.parse::<u32>().is_ok())
            }) {
                dec.problem(
                    Problem::new(
                        waiter.span,
                        format!("nothing sets the mark `{}`", waiter.name),
                    )
                    .expected("a mark that a step or an event names")
                    .help("give the event a `name:` to wait for"),
                );
                return;
            }
            let names = || self.setters.iter().map(|setter| setter.name.as_str());
            let expected = match self.setters.is_empty() {
                true => {
                    "a mark, but this case has neither faults nor steps with `mark:`".to_owned()
                }
                false => format!("a mark: {}", name::counted(names())),
            };
            dec.problem(
                Problem::new(
                    waiter.span,
                    format!("nothing sets the mark `{}`", waiter.name),
                )
                .expected(expected)
                .maybe_help(name::did_you_mean(&waiter.name, names())),
            );
            return;
        };
        if setters.len() > 1 && setters.iter().all(|setter| setter.by_default) {
            let lines: Vec<String> = setters
                .iter()
                .map(|setter| setter.span.line.to_string())
                .collect();
            dec.problem(
                Problem::new(
                    waiter.span,
                    format!("`{}` could be any of {} events", waiter.name, setters.len()),
                )
                .expected("the name of one event")
                .help("give each a `name:`")
                .note(format!("they are on lines {}", lines.join(", "))),
            );
            return;
        }
        if waiter.lane.is_some() && waiter.lane == setter.lane && setter.order > waiter.order {
            dec.problem(
                Problem::new(
                    waiter.span,
                    format!(
                        "this waits for `{}`, which the same lane sets later",
                        waiter.name
                    ),
                )
                .expected("a mark that an event or another lane sets")
                .note(format!("it is set on line {}", setter.span.line)),
            );
        }
    }
}
