//! Network namespaces, held by descriptor.
//!
//! A [`Namespace`] is an open descriptor, usable from every thread;
//! [`Namespace::enter`] runs a closure inside and returns the thread, also after a
//! panic (netns-rs's `run` leaves the thread inside then). `maker.rs` creates
//! namespaces with names that only this process sees; `root_netns.rs` creates
//! them without names where this process has the machine to itself.

mod maker;
pub(crate) mod root_netns;

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use nix::sched::{CloneFlags, setns};

use crate::error::LabError;
use root_netns::NetnsReturn;

/// A network namespace. Clones are the same namespace; the kernel destroys it
/// when the last clone is dropped, the last process in it has ended and the
/// last of its sockets is closed.
#[derive(Debug, Clone)]
pub struct Namespace {
    name: Arc<str>,
    file: Arc<File>,
}

impl Namespace {
    /// Creates a namespace. `name` is for error messages and need not be unique.
    ///
    /// # Errors
    /// [`LabError::System`] without CAP_SYS_ADMIN (as root, or as root of a user
    /// namespace), which unshare(2) needs.
    pub fn create(name: &str) -> Result<Self, LabError> {
        Pending::request(name, 0)?.wait()
    }

    /// Creates several namespaces, two at a time where there are two processors;
    /// the caller can work in the first while the next ones are being created.
    ///
    /// # Errors
    /// As [`Namespace::create`], from the iterator's items.
    pub(crate) fn create_all<'a>(
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<impl Iterator<Item = Result<Self, LabError>>, LabError> {
        let pending: Vec<Pending> = names
            .into_iter()
            .enumerate()
            .map(|(number, name)| Pending::request(name, number))
            .collect::<Result<_, _>>()?;
        Ok(pending.into_iter().map(Pending::wait))
    }

    /// The name it was created with: of a lab, the node's name or `wire`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its inode number, as /proc/PID/ns/net has it.
    pub(crate) fn inode(&self) -> Result<u64, LabError> {
        let of = self.file.metadata();
        let of = of.map_err(|e| LabError::system(format!("look at namespace {}", self.name), e))?;
        Ok(std::os::unix::fs::MetadataExt::ino(&of))
    }

    /// Runs `f` with the calling thread inside this namespace: sockets opened by
    /// `f` stay in it, processes and threads started by `f` begin in it.
    ///
    /// The thread is back in its own namespace afterwards, also after a panic. When
    /// it cannot return, the process is aborted: nothing that it did afterwards
    /// would be where its caller thinks it is.
    ///
    /// # Errors
    /// [`LabError::System`] when setns(2) refuses (EPERM without CAP_SYS_ADMIN).
    pub fn enter<R>(&self, f: impl FnOnce() -> R) -> Result<R, LabError> {
        let opened;
        let own = match root_netns::known() {
            Some(root) => root,
            None => {
                opened = root_netns::this_thread()
                    .map_err(|e| LabError::system("open this thread's own network namespace", e))?;
                &opened
            }
        };
        setns(&*self.file, CloneFlags::CLONE_NEWNET)
            .map_err(|e| LabError::system(format!("enter namespace {}", self.name), e))?;
        let _return = NetnsReturn { to: own };
        Ok(f())
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// A namespace that was requested.
enum Pending {
    /// A maker creates it.
    Named {
        name: String,
        result: Receiver<Result<File, LabError>>,
    },
    /// The thread that waits for it creates it.
    Unnamed { name: String, root: &'static File },
}

impl Pending {
    /// `number` chooses the maker: they take turns.
    fn request(name: &str, number: usize) -> Result<Self, LabError> {
        let name = name.to_owned();
        if let Some(root) = root_netns::known() {
            return Ok(Pending::Unnamed { name, root });
        }
        let result = maker::request(&name, number)?;
        Ok(Pending::Named { name, result })
    }

    fn wait(self) -> Result<Namespace, LabError> {
        let (name, file) = match self {
            Pending::Named { name, result } => {
                let file = result.recv().map_err(|_| maker::ended())??;
                (name, file)
            }
            Pending::Unnamed { name, root } => {
                let file = root_netns::take_or_create(root)
                    .map_err(|e| LabError::system(format!("create namespace {name}"), e))?;
                (name, file)
            }
        };
        Ok(Namespace {
            name: name.into(),
            file: Arc::new(file),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thread_comes_back_after_a_panic() {
        let Ok(ns) = Namespace::create("t") else {
            panic!("this test needs root or a user namespace: run it by ci/test");
        };
        let link = || std::fs::read_link("/proc/thread-self/ns/net").expect("proc is mounted");
        let own = link();
        let inside = ns.enter(link).expect("may enter a namespace that it made");
        assert_ne!(own, inside);
        let panicked = std::panic::catch_unwind(|| ns.enter(|| panic!("on purpose")));
        assert!(panicked.is_err());
        assert_eq!(own, link());
    }
}
