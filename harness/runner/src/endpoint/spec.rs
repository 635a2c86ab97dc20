//! What the runner chooses for an endpoint: its script, its network, its marks.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::path::Path;

use halfopen_lab::LabError;
use halfopen_lab::Namespace;
use halfopen_scenario::case::{Action, Lane, Step};

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
        any_forks(&self.lane.steps)
    }

    /// The pipes of `start` and of every mark that the lane waits for, each once, and
    /// the index of each mark's pipe. An endpoint gets no others: there can be hundreds
    /// of endpoints and of marks.
    pub(super) fn needed_marks(&self) -> Result<(BTreeMap<String, usize>, Vec<RawFd>), LabError> {
        fn collect<'a>(steps: &'a [Step], into: &mut Vec<&'a str>) {
            for step in steps {
                match &step.action {
                    Action::WaitFor { mark } => into.push(mark),
                    Action::Repeat { steps, .. } | Action::Serve { each: steps, .. } => {
                        collect(steps, into);
                    }
                    _ => {}
                }
            }
        }
        let mut names = vec![self.start];
        collect(&self.lane.steps, &mut names);
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

/// Whether any of these steps forks.
fn any_forks(steps: &[Step]) -> bool {
    steps.iter().any(|step| match &step.action {
        Action::Serve { fork, each } => *fork || any_forks(each),
        Action::Repeat { steps, .. } => any_forks(steps),
        _ => false,
    })
}
