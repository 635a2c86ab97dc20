//! Whether this kernel is a guest's that this program has to itself. What changes a
//! whole machine asks it at the place where it does so.

use std::sync::OnceLock;

/// The word on a guest's command line. Nobody else's kernel has it.
pub const MARKER: &str = "halfopen.guest";

/// Whether the kernel was started with [`MARKER`].
pub fn is_guest() -> bool {
    static IS_GUEST: OnceLock<bool> = OnceLock::new();
    *IS_GUEST.get_or_init(|| {
        let words = std::fs::read_to_string("/proc/cmdline").unwrap_or_default();
        has_marker(&words)
    })
}

fn has_marker(command_line: &str) -> bool {
    command_line.split_whitespace().any(|word| word == MARKER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_word_is_a_marker() {
        assert!(has_marker("quiet halfopen.guest rdinit=/init\n"));
        assert!(!has_marker("quiet halfopen.guests nothalfopen.guest"));
        assert!(!has_marker(""));
    }
}
