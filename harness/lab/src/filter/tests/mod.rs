//! Filters on real packets. All of these need root or a user namespace.

mod cable;
mod joint;
mod lab;
mod reject;
mod tc;
