//! The YAML of one scenario in its file.

/// The lines of the block that begins at `line` (1-based): those below it that are
/// indented deeper. None when the file has no such line.
pub(super) fn of(text: &str, line: u32) -> Option<String> {
    let mut lines = text
        .lines()
        .skip(usize::try_from(line).ok()?.checked_sub(1)?);
    let first = lines.next()?;
    let depth = indent(first);
    let mut block = vec![first];
    block.extend(lines.take_while(|line| line.trim().is_empty() || indent(line) > depth));
    // Blank lines and comments before the next scenario belong to that.
    while block.last().is_some_and(|line| line.trim().is_empty()) {
        block.pop();
    }
    let shifted: Vec<&str> = block
        .iter()
        .map(|line| line.get(depth..).unwrap_or(""))
        .collect();
    Some(shifted.join("\n"))
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_ends_at_the_next_of_its_depth() {
        let text = "scenarios:\n  a:\n    about: x\n\n    client:\n      - read\n\n  # of b\n  b:\n    about: y\n";
        assert_eq!(
            of(text, 2).as_deref(),
            Some("a:\n  about: x\n\n  client:\n    - read")
        );
        assert_eq!(of(text, 9).as_deref(), Some("b:\n  about: y"));
        assert_eq!(of(text, 99), None);
        assert_eq!(of(text, 0), None);
    }
}
