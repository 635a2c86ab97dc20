//! Observes a lab: captures the packets on its wire and reads the sockets of its
//! hosts.
//!
//! `capture` reads frames, with time stamps by `stamping` and `stamp_clock`; `decode`
//! reads headers, `crossing` and `journey` recognize one packet on several ports, `track`
//! names TCP segments, and `wire_record` puts them together. `netstat` lists sockets
//! by sock_diag (`diag`), `destroy` closes them. `kernel_trace` records the kernel's own
//! events in a guest, and `kernel_line` reads them.

pub mod capture;
#[cfg(test)]
mod crafted;
mod crossing;
pub mod decode;
pub mod destroy;
mod diag;
mod icmp;
mod journey;
mod kernel_line;
pub mod kernel_trace;
#[cfg(test)]
mod live;
pub mod netstat;
pub mod packet;
pub mod port;
mod stamp_clock;
mod stamping;
mod track;
pub mod wire_record;
