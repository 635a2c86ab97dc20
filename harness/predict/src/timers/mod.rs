//! Timers of a socket other than the retransmission timer.
//!
//! One module per timer: keepalive, the SYN of a connect(), the probe timer (unsent data,
//! and a zero window), the delayed acknowledgment, and the application's own limits. Each
//! computes, on a timer wheel in a known or unknown phase, when the timer fires and what
//! that does. `abort` and the simulator use them.

pub mod application;
pub mod delayed_ack;
pub mod keepalive;
pub mod syn;
pub mod unsent;
pub mod zero_window;
