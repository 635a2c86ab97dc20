//! Reads the sockets of a lab's hosts: `netstat` lists them by sock_diag (`diag`),
//! `destroy` closes them. Packets are captured by `halfopen-lab` and read by `halfopen-wire`.

pub mod destroy;
mod diag;
#[cfg(test)]
mod live;
pub mod netstat;
