//! Settings that keep two promises, or the proof that none exist: a peer that vanishes is
//! noticed in time, and an outage of a given length does not end the connection.
//!
//! The crate does no I/O. It computes worst cases by the rules of `halfopen-predict`:
//!
//! ```text
//! promise         what is promised
//! settings        socket values, their worst case, and the answer of the search
//! keepalive       worst case of keepalive
//! retransmission  worst case of unacknowledged data
//! search          finds the settings, or the nearest ones and the proof that none exist
//! snippet         settings as sysctls, socket options and configuration files
//! trials          cases that measure what is promised
//! ```

mod keepalive;
mod promise;
mod retransmission;
mod search;
mod settings;
pub mod snippet;
pub mod trials;

pub use promise::{Path, Promise, Promises, While};
pub use search::{check, tune};
pub use settings::{Answer, Impossible, Keepalive, Reach, Settings, Tuned, Without, Worst};
