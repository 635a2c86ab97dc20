//! The marks of one case: what lanes and events wait for. A mark is set once and
//! stays set.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;

use crate::endpoint::Mark;
use halfopen_lab::LabError;
use halfopen_scenario::case::{Action, Case, Step, When};

/// The mark that starts the lanes that listen.
pub const LISTENERS: &str = "@listeners";
/// The mark that starts all other lanes.
pub const OTHERS: &str = "@others";

/// The marks of one case.
#[derive(Debug)]
pub struct Marks {
    pipes: BTreeMap<String, Mark>,
    set: BTreeMap<String, i64>,
}

impl Marks {
    /// All marks a case can set or wait for.
    ///
    /// # Errors
    /// When the process has no descriptors left.
    pub fn of(case: &Case) -> Result<Self, LabError> {
        let pipes = mark_names(case)
            .into_iter()
            .map(|name| Ok((name.to_owned(), Mark::new()?)))
            .collect::<Result<_, LabError>>()?;
        Ok(Marks {
            pipes,
            set: BTreeMap::new(),
        })
    }

    /// Sets a mark; `false` when it was set before.
    pub fn set(&mut self, name: &str, at_ns: i64) -> bool {
        if self.set.contains_key(name) {
            return false;
        }
        if let Some(pipe) = self.pipes.get_mut(name) {
            pipe.set();
        }
        self.set.insert(name.to_owned(), at_ns);
        true
    }

    /// The reading ends, for endpoints.
    pub fn readers(&self) -> BTreeMap<String, BorrowedFd<'_>> {
        self.pipes
            .iter()
            .map(|(name, pipe)| (name.clone(), pipe.reader()))
            .collect()
    }
}

/// The names of all marks a case can set or wait for.
pub(super) fn mark_names(case: &Case) -> Vec<&str> {
    let mut names: Vec<&str> = vec![LISTENERS, OTHERS];
    for event in &case.events {
        names.push(&event.name);
        if let When::After { mark, .. } = &event.when {
            names.push(mark);
        }
    }
    for lane in &case.lanes {
        add_mark_names(&lane.steps, &mut names);
    }
    names.sort_unstable();
    names.dedup();
    names
}

fn add_mark_names<'a>(steps: &'a [Step], names: &mut Vec<&'a str>) {
    for step in steps {
        names.extend(step.mark.as_deref());
        match &step.action {
            Action::WaitFor { mark } => names.push(mark),
            Action::Serve { each, .. } => add_mark_names(each, names),
            Action::Repeat { steps, .. } => add_mark_names(steps, names),
            _ => {}
        }
    }
}
