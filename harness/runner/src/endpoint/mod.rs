//! Who talks in a lab: scripted processes that report every call.
//!
//! An endpoint is a copy of a small process of this same program, on a host:
//! `spawn` asks the `template` for it, `process` ([`serve_if_asked`]) is its
//! whole life, `protocol` is what the two say.

mod calls;
mod crowd;
mod detector;
mod exchange;
mod heart;
mod heartfelt;
mod interpret;
mod mark;
mod multiplex;
mod process;
pub mod protocol;
mod pulse;
mod report;
mod serve;
mod shared;
mod sockets;
mod spawn;
mod template;

pub use mark::Mark;
pub use process::serve_if_asked;
pub use shared::share_memory;
pub use spawn::{Endpoint, Spec, THIS_PROGRAM};
