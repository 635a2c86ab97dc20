//! What the commands share: where scenarios come from and which are selected,
//! output, progress, guests, what this machine can do, errors and exit codes.
//! Knows the arguments' types, and no command.

pub(crate) mod baseline;
pub(crate) mod capabilities;
pub(crate) mod catalogue;
pub(crate) mod disturbed;
pub(crate) mod error;
mod guest_progress;
pub(crate) mod guests;
pub(crate) mod interrupt;
pub(crate) mod kernel_facts;
pub(crate) mod modules;
pub(crate) mod output;
pub(crate) mod pictures;
pub(crate) mod progress;
pub(crate) mod select;
pub(crate) mod sysctls;
#[cfg(test)]
pub(crate) mod testing;
mod wildcard;

/// Why `--explain` is refused on this machine's own kernel.
pub(crate) const EXPLAIN_IN_GUESTS: &str = "--explain: the kernel's trace events are those of the \
     whole machine, so they are recorded in a guest, which runs nothing else; add --time virtual, \
     or --kernel";
