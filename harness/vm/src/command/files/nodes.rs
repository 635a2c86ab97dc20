//! The numbers by which FUSE names files, and their paths. Numbers are given in the order
//! of the questions, so two runs that ask the same get the same.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The root directory's number (FUSE_ROOT_ID).
pub(super) const ROOT: u64 = 1;
/// Standard input's.
pub(super) const INPUT: u64 = 2;

pub(super) struct Nodes {
    paths: HashMap<u64, PathBuf>,
    numbers: HashMap<PathBuf, u64>,
    next: u64,
}

impl Default for Nodes {
    fn default() -> Self {
        Nodes {
            paths: HashMap::from([(ROOT, "/".into())]),
            numbers: HashMap::from([("/".into(), ROOT)]),
            next: INPUT + 1,
        }
    }
}

impl Nodes {
    pub(super) fn path(&self, node: u64) -> Option<&Path> {
        self.paths.get(&node).map(PathBuf::as_path)
    }

    /// The path's number; a new one when it has none.
    pub(super) fn number(&mut self, path: &Path) -> u64 {
        if let Some(number) = self.numbers.get(path) {
            return *number;
        }
        let number = self.next;
        self.next += 1;
        self.paths.insert(number, path.to_owned());
        self.numbers.insert(path.to_owned(), number);
        number
    }

    /// The path is no more: a new file of that name is another one.
    pub(super) fn forget(&mut self, path: &Path) {
        // The number keeps its path, for those who still have the file open.
        self.numbers.remove(path);
    }

    /// What was at `from`, and below, is at `to` now.
    pub(super) fn rename(&mut self, from: &Path, to: &Path) {
        self.forget(to);
        let moved: Vec<(PathBuf, u64)> = self
            .numbers
            .iter()
            .filter(|(path, _)| path.starts_with(from))
            .map(|(path, number)| (path.clone(), *number))
            .collect();
        for (path, number) in moved {
            let Ok(below) = path.strip_prefix(from) else {
                continue;
            };
            let new = match below.as_os_str().is_empty() {
                true => to.to_owned(),
                false => to.join(below),
            };
            self.numbers.remove(&path);
            self.paths.insert(number, new.clone());
            self.numbers.insert(new, number);
        }
    }
}
