//! What can go wrong before and while a program is traced.

use std::io;
use std::path::PathBuf;

use crate::event::End;

/// Why a program could not be traced. Messages name the thing and the cure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// The command line is empty.
    #[error("no program: argv is empty")]
    NoProgram,
    /// An argument or a variable contains a zero byte.
    #[error("{what} contains a zero byte, which no program can be given")]
    ZeroByte {
        /// The argument or variable.
        what: String,
    },
    /// No such program.
    #[error("program not found: {name} (looked in {}); install it, or give its path", looked_in.join(":"))]
    NotFound {
        /// As it was asked for.
        name: String,
        /// The directories of PATH, or the path itself.
        looked_in: Vec<String>,
    },
    /// The file is there, but cannot be executed.
    #[error("{path} cannot be executed: {why}")]
    NotExecutable {
        /// The file.
        path: String,
        /// The reason and the cure.
        why: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// What the child does before the program begins failed.
    #[error("{name}: cannot {step}: {source}{cure}")]
    Setup {
        /// The program.
        name: String,
        /// What was tried.
        step: String,
        /// The kernel's answer.
        source: io::Error,
        /// What helps; empty when that is not known.
        cure: &'static str,
    },
    /// The child ended before the program began.
    #[error("{name} ended before it began: {end}")]
    EndedBeforeExec {
        /// The program.
        name: String,
        /// How.
        end: End,
    },
    /// ptrace() is not allowed.
    #[error("may not trace {name}: {source}; {cure}")]
    NotAllowed {
        /// The program.
        name: String,
        /// The kernel's answer.
        source: io::Error,
        /// What helps.
        cure: String,
    },
    /// The calling process has threads.
    #[error("the tracer needs a process with a single thread: {source}")]
    Threads {
        /// How many there are.
        source: io::Error,
    },
    /// A file for standard input.
    #[error("cannot open {} for standard input: {source}", path.display())]
    Stdin {
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The caller's request could not be understood.
    #[error("a request to the tracer is malformed: {why}")]
    Request {
        /// What is wrong.
        why: String,
    },
    /// A system call of the tracer itself failed.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl TraceError {
    /// For `map_err`.
    pub(crate) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }

    /// What helps when PTRACE_SEIZE is refused: Yama's scope decides most often.
    pub(crate) fn not_allowed(name: &str, source: io::Error) -> Self {
        let scope = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope");
        let cure = seize_cure(scope.ok().as_deref().map(str::trim));
        Self::NotAllowed {
            name: name.into(),
            source,
            cure: cure.into(),
        }
    }
}

fn seize_cure(yama_scope: Option<&str>) -> &'static str {
    match yama_scope {
        Some("2") => {
            "kernel.yama.ptrace_scope is 2, which allows it to CAP_SYS_PTRACE alone: \
             run as root or in a user namespace, or set it to 1"
        }
        Some("3") => {
            "kernel.yama.ptrace_scope is 3, which forbids ptrace until the next boot: \
             boot with another value (/etc/sysctl.d), or use virtual time"
        }
        _ => {
            "is it traced by another program (strace, a debugger), or does a container's \
             seccomp profile forbid ptrace (docker run --cap-add SYS_PTRACE)?"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yama_names_the_sysctl() {
        assert!(seize_cure(Some("2")).contains("CAP_SYS_PTRACE"));
        assert!(seize_cure(Some("3")).contains("boot"));
        assert!(seize_cure(None).contains("strace"));
    }

    #[test]
    fn a_missing_program_says_where_it_was_looked_for() {
        let error = TraceError::NotFound {
            name: "redis-sever".into(),
            looked_in: vec!["/usr/bin".into(), "/bin".into()],
        };
        assert_eq!(
            error.to_string(),
            "program not found: redis-sever (looked in /usr/bin:/bin); install it, or give its path"
        );
    }
}
