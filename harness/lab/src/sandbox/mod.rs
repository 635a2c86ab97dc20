//! The sandbox: namespaces around the whole program, so that nothing of the
//! caller's is changed and nothing is left behind.
//!
//! [`enter`] moves the rest of the program into new mount, PID and network
//! namespaces (and a user namespace, when the caller is not root). Tests under
//! libtest use [`sandboxed!`](crate::sandboxed) instead, because it runs before
//! libtest starts threads.
//!
//! ```text
//! caller's shell
//!   └─ supervisor   the process the shell knows: passes signals in, the exit code out
//!        └─ init    PID 1 inside: reaps orphans, passes signals on
//!             └─ the program goes on here
//! ```
//!
//! When the supervisor dies, by SIGKILL too, init gets SIGKILL
//! (PR_SET_PDEATHSIG); when init dies, the kernel kills every process of the
//! PID namespace (zap_pid_ns_processes()), and frees the namespaces, mounts and
//! interfaces with the last process.

mod before_main;
mod cure;
mod enter;
mod error;
mod id_maps;
mod machine_limits;
mod neighbour_tables;
mod supervise;
#[cfg(feature = "trace")]
mod tracer;
mod virtual_time;

pub use before_main::enter_or_exit;
pub use cure::why_refused;
pub use enter::enter;
pub use error::{Privileges, SandboxError};
#[doc(hidden)]
pub use machine_limits::{MachineLimits, group_processes_left, machine_limits};
#[doc(hidden)]
pub use neighbour_tables::{NeighbourTable, Overflows, neighbour_tables};
#[cfg(feature = "trace")]
pub(crate) use tracer::TRACER;
pub use virtual_time::is_virtual_time;
pub(crate) use virtual_time::{CURE, halfopen};
