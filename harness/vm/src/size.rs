//! Determines what a guest gets for its cases: memory, and namespaces that are made
//! before it is saved. Computed from the cases alone, so that results do not depend on
//! the host; in a few steps, because each combination has a saved state of its own.
//! Used by [`crate::cases`] and [`crate::work`].

use halfopen_scenario::case::Case;

/// The most cases, and the MiB that they get. A case has up to ten namespaces and as
/// many processes.
const MEMORY_STEPS: [(usize, u32); 3] = [(16, 512), (64, 1024), (usize::MAX, 3072)];

/// Numbers of namespaces that a saved state may have. The largest that the cases need
/// is used, and not more: from 7.x on the kernel wakes up for unused ones, too.
const NAMESPACE_STEPS: [usize; 4] = [3, 48, 192, 448];

/// The memory of a guest with so many cases, MiB.
pub(super) fn memory_mib(cases: usize) -> u32 {
    let fits = MEMORY_STEPS.iter().find(|(most, _)| cases <= *most);
    fits.map_or(MEMORY_STEPS[MEMORY_STEPS.len() - 1].1, |(_, mib)| *mib)
}

/// The most MiB of programs' files, and the memory that a guest needs for them, MiB: they
/// are in memory twice while they are unpacked, and a root of tmpfs takes half of it.
const FILE_STEPS: [(usize, u32); 3] = [(64, 512), (128, 1024), (usize::MAX, 2048)];

/// The memory of a guest with so many bytes of input, MiB.
pub(super) fn memory_for_input(bytes: usize) -> u32 {
    let fits = FILE_STEPS.iter().find(|(most, _)| bytes >> 20 < *most);
    fits.map_or(FILE_STEPS[FILE_STEPS.len() - 1].1, |(_, mib)| *mib)
}

/// How many namespaces the cases need at once: those of their nodes and of their wires.
/// Only [`halfopen_runner::MOST_AT_ONCE`] cases run at once.
pub(super) fn needed_namespaces<'a>(cases: impl IntoIterator<Item = &'a Case>) -> usize {
    let together = cases.into_iter().take(halfopen_runner::MOST_AT_ONCE);
    together.map(|case| case.network.nodes.len() + 1).sum()
}

/// How many of the needed namespaces are part of the saved state.
pub(super) fn saved_namespaces(needed: usize) -> usize {
    let fits = NAMESPACE_STEPS
        .into_iter()
        .rev()
        .find(|count| *count <= needed);
    fits.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_cases_never_get_less() {
        let memory: Vec<u32> = [0, 1, 16, 17, 64, 65, 1000].map(memory_mib).into();
        assert!(memory.is_sorted() && memory[0] == 512 && memory[6] == 3072);
        let files = [0, 63 << 20, 64 << 20, 128 << 20, 192 << 20].map(memory_for_input);
        assert_eq!(files, [512, 512, 1024, 2048, 2048]);
        for needed in [0, 2, 3, 47, 500, 10_000] {
            assert!(saved_namespaces(needed) <= needed);
        }
        assert_eq!(saved_namespaces(500), 448);
    }
}
