//! The claims of docs/claims.md that a table of first signs cannot show: the
//! order of two events, what netstat says, what is on the wire and what is not.

mod connections;
mod heartbeats;
mod hosts;
mod keepalive;
mod processes;
mod see;

halfopen_runner::sandboxed!();
