//! Errors of kernels and virtual machines.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// How to get a kernel, for the cures.
const GET_KERNELS: &str = "ci/kernels fetches stock kernels that have everything";

/// An error, with the kernel or file it concerns.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VmError {
    /// No QEMU on this machine.
    #[error(
        "qemu-system-x86_64 is not installed\n  cure: sudo apt-get install --no-install-recommends qemu-system-x86"
    )]
    NoQemu,
    /// No kernel on this machine.
    #[error("no kernel was found in {}\n  cure: ci/kernels, or name one by --kernel PATH", looked.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", "))]
    NoKernel {
        /// Directories that were searched.
        looked: Vec<PathBuf>,
    },
    /// A file that is not a Linux kernel for x86-64.
    #[error("{} is not a Linux kernel: {why}\n  cure: name a vmlinuz (bzImage) for x86-64, or a directory that ci/kernels made", path.display())]
    NotAKernel {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A kernel without its modules.
    #[error("kernel {release} ({}) has no modules: {} is missing\n  cure: unpack its whole package; {GET_KERNELS}", vmlinuz.display(), looked.display())]
    NoModules {
        /// `uname -r`.
        release: String,
        /// The kernel.
        vmlinuz: PathBuf,
        /// Where its modules should have been.
        looked: PathBuf,
    },
    /// A kernel without a module that every case needs.
    #[error("kernel {release} has no {what}, which every case needs\n  cure: {GET_KERNELS}")]
    Lacks {
        /// `uname -r`.
        release: String,
        /// The module.
        what: String,
    },
    /// A file of a kernel, or this program itself, that cannot be used.
    #[error("failed to read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A system call of the host failed.
    #[error("failed to {what}")]
    System {
        /// What was attempted.
        what: String,
        /// The kernel's error.
        #[source]
        source: io::Error,
    },
    /// QEMU ended before the guest sent a message.
    #[error("qemu did not start kernel {release}: {output}")]
    Qemu {
        /// `uname -r`.
        release: String,
        /// What QEMU wrote to standard error.
        output: String,
    },
    /// The guest's work failed.
    #[error("the guest on kernel {release} failed: {why}")]
    Guest {
        /// `uname -r`.
        release: String,
        /// The reason as text.
        why: String,
    },
    /// The guest ended before it was done: a kernel panic, usually.
    #[error(
        "the guest on kernel {release} ended before it was done; its console's end:\n{console}"
    )]
    Died {
        /// `uname -r`.
        release: String,
        /// The last lines of its console.
        console: String,
    },
    /// The guest was silent for too long and was killed.
    #[error("the guest on kernel {release} gave no sign for {} s and was ended; its console's end:\n{console}", silence.as_secs())]
    Hung {
        /// `uname -r`.
        release: String,
        /// The limit that was exceeded.
        silence: Duration,
        /// The last lines of its console.
        console: String,
    },
    /// A saved state that cannot be used, or could not be made.
    #[error("no saved state of a guest on kernel {release}: {why}")]
    State {
        /// `uname -r`.
        release: String,
        /// What is wrong with it.
        why: String,
    },
    /// Interrupted by the user (Ctrl-C).
    #[error("interrupted")]
    Interrupted,
}

impl VmError {
    pub(super) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| VmError::File { path, source }
    }

    pub(super) fn system<E: Into<io::Error>>(what: &str) -> impl FnOnce(E) -> Self {
        move |e| VmError::System {
            what: what.to_owned(),
            source: e.into(),
        }
    }
}
