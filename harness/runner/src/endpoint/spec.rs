//! What the runner chooses for an endpoint: its script, its network, its marks.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::path::Path;

use halfopen_lab::LabError;
use halfopen_lab::Namespace;
use halfopen_scenario::case::{Action, Lane, Step, all_steps};

/// The running program, even when its file was replaced. Endpoints are started from
/// it, if its main() calls [`super::serve_if_asked`].
pub const THIS_PROGRAM: &str = "/proc/self/exe";

/// What an endpoint is started with.
#[derive(Debug, Clone, Copy)]
pub struct Spec<'a> {
    /// What it executes. One process, whatever the lane's `count`.
    pub lane: &'a Lane,
    /// Its network namespace; None: the calling thread's.
    pub namespace: Option<&'a Namespace>,
    /// The addresses of the hosts, in the case's family.
    pub addresses: &'a BTreeMap<String, IpAddr>,
    /// The host a `connect` without `to` means.
    pub default_peer: Option<&'a str>,
    /// What its listeners bind to.
    pub own_address: IpAddr,
    /// The reading end of each mark: of all that the lane waits for, and of `start`.
    pub marks: &'a BTreeMap<String, BorrowedFd<'a>>,
    /// The mark that starts its script once it is ready.
    pub start: &'a str,
    /// The program; [`THIS_PROGRAM`] unless this process is a test's.
    pub program: &'a Path,
}

impl Spec<'_> {
    /// Whether the script forks.
    pub(super) fn forks(&self) -> bool {
        let forks = |step: &&Step| {
            matches!(
                step.action,
                Action::Serve { fork: true, .. } | Action::Beside { .. }
            )
        };
        all_steps(&self.lane.steps).iter().any(forks)
    }

    /// The pipes of `start` and of every mark that the lane waits for, each once, and
    /// the index of each mark's pipe. An endpoint gets no others: there can be hundreds
    /// of endpoints and of marks.
    pub(super) fn needed_marks(&self) -> Result<(BTreeMap<String, usize>, Vec<RawFd>), LabError> {
        let waits = all_steps(&self.lane.steps);
        let waits = waits.iter().filter_map(|step| match &step.action {
            Action::WaitFor { mark } => Some(mark.as_str()),
            _ => None,
        });
        let names: Vec<&str> = std::iter::once(self.start).chain(waits).collect();
        let mut pipes: Vec<RawFd> = Vec::new();
        let mut numbers = BTreeMap::new();
        for name in names {
            let Some(fd) = self.marks.get(name) else {
                return Err(LabError::Unknown {
                    kind: "mark",
                    name: name.to_owned(),
                    known: self.marks.keys().cloned().collect(),
                });
            };
            let fd = fd.as_raw_fd();
            let known = pipes.iter().position(|pipe| *pipe == fd);
            let number = known.unwrap_or_else(|| {
                pipes.push(fd);
                pipes.len() - 1
            });
            numbers.insert(name.to_owned(), number);
        }
        Ok((numbers, pipes))
    }
}
