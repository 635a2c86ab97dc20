//! Retransmission: when data that nobody acknowledges is sent again and given up.
//!
//! [`Flight`] computes the course of one segment or window by the rules of
//! net/ipv4/tcp_timer.c; `rtt` follows the round-trip estimate that the RTO is made of;
//! `orphan` applies the budget of a closed connection. Needs the timer wheel; `abort`,
//! `timers` and the simulator use it.

mod course;
pub mod orphan;
pub mod rtt;

pub use course::{Attempt, Course, Flight, RTO_MIN, Run, budget};
pub(crate) use course::{RESOURCE_PROBE_INTERVAL, THIN_LINEAR};
