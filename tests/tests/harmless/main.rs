//! Nothing is left and nothing of the caller's is changed, however a run ends.
//!
//! Each test is a caller with a network of its own (addresses, routes, nft
//! rules, tc, sysctls) that runs the catalogue with the real program and ends
//! it at a random moment. Afterwards no process, namespace, link or mount of
//! the run may be left, and the caller's network must be byte for byte what it
//! was.
//!
//! Needs `nft`, `tc`, `ip` and `script`, and the program: see ci/setup and
//! `cargo build -p halfopen`. `ci/soak` repeats it hundreds of times.

mod attempt;
mod caller;
mod grid;
mod interrupt;
mod kill;
mod modules;
mod random;
mod witness;

// A PID namespace of its own shows no strangers' processes: whatever is there
// besides this program was started by it.
halfopen_runner::sandboxed!();
