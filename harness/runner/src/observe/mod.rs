//! What is seen of a lab: the packets on its wire, the sockets on its hosts.

pub mod capture;
pub mod classify;
#[cfg(test)]
mod crafted;
mod crossing;
pub mod decode;
pub mod destroy;
mod diag;
mod icmp;
mod journey;
#[cfg(test)]
mod live;
pub mod netstat;
mod stamping;
mod track;
