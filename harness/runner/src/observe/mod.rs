//! Reads the sockets of a lab's hosts: `netstat` lists them by sock_diag (`diag`),
//! `destroy` closes them. `kernel_trace` records the kernel's own events in a guest, and
//! `kernel_line` reads them. Packets are captured by `halfopen-lab` and read by
//! `halfopen-wire`.

pub mod destroy;
mod diag;
mod kernel_line;
pub mod kernel_trace;
#[cfg(test)]
mod live;
pub mod netstat;
