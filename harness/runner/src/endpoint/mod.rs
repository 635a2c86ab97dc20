//! The processes of the lanes: they execute the steps of a script as system calls
//! and report each call.
//!
//! An endpoint is a copy of a small process of this same program, in a host's
//! network namespace. In the runner, `spawn` starts endpoints, either by way of the
//! `template` or, in a guest, by `shared_memory`. In the endpoint, `process`
//! ([`serve_if_asked`]) sets it up and `script` executes the steps. `protocol`
//! defines the plan and the reports that the two exchange.

mod beside;
mod calls;
mod connection_steps;
mod detector;
mod epoll_set;
mod event_loop;
mod heartbeat;
mod heartbeat_steps;
mod mark;
mod multiplex;
mod pool;
mod process;
mod program;
pub mod protocol;
mod relay;
mod report;
mod report_codec;
mod script;
mod serve;
mod shared_memory;
mod socket_io;
mod sockets;
mod spawn;
mod spec;
mod template;

pub use mark::Mark;
pub use process::serve_if_asked;
pub use program::{DEFAULT_PATH, find as find_program};
pub use shared_memory::share_memory;
pub use spawn::Endpoint;
pub use spec::{Spec, THIS_PROGRAM};
