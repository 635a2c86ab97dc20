//! Pages that show the output of a command: the block between two markers, the
//! command that it names, and how a new output differs from it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use halfopen_net::span;
use halfopen_outcome::tolerance::Tolerance;
use halfopen_report::grid::cell::rounding;

/// The block of a page that most pages have.
pub const GRID: &str = "grid";

/// A block of a page, without its markers.
///
/// # Errors
/// When the page does not exist, or has no such block.
pub fn block(page: &Path, name: &str) -> Result<String, String> {
    let text = fs::read_to_string(page).map_err(|e| format!("{}: {e}", page.display()))?;
    let [begin, end] = markers(name);
    let missing = || format!("there is no {name}:begin, or no {name}:end");
    let (_, after) = text.split_once(&begin).ok_or_else(missing)?;
    let (block, _) = after.split_once(&end).ok_or_else(missing)?;
    Ok(block.to_owned())
}

/// Replaces a block of a page.
///
/// # Errors
/// As [`block`], and when the page cannot be written.
pub fn replace(page: &Path, name: &str, with: &str) -> Result<(), String> {
    let before = block(page, name)?;
    let [begin, end] = markers(name);
    let text = fs::read_to_string(page).map_err(|e| e.to_string())?;
    let text = text.replace(
        &format!("{begin}{before}{end}"),
        &format!("{begin}{with}{end}"),
    );
    fs::write(page, text).map_err(|e| e.to_string())
}

fn markers(name: &str) -> [String; 2] {
    [
        format!("<!-- {name}:begin -->\n"),
        format!("<!-- {name}:end -->"),
    ]
}

/// The arguments of the `halfopen` command that a block names as its origin.
///
/// # Errors
/// When it names none.
pub fn command(block: &str) -> Result<Vec<String>, String> {
    let (_, after) = block
        .split_once("`halfopen ")
        .ok_or("the block names no command")?;
    let (arguments, _) = after.split_once('`').ok_or("the command has no end")?;
    Ok(arguments.split_whitespace().map(str::to_owned).collect())
}

/// The lines of `printed` that differ from those of `page`, with the page's lines.
/// Times may differ by the tolerance and by their rounding.
pub fn differences(page: &str, printed: &str, tolerance: &Tolerance) -> Vec<String> {
    let (mut ours, mut theirs) = (page.trim().lines(), printed.trim().lines());
    let mut found = Vec::new();
    loop {
        match (ours.next(), theirs.next()) {
            (None, None) => return found,
            (Some(a), Some(b)) if same_line(a, b, tolerance) => {}
            (a, b) => found.push(format!(
                "the page:    {}\nthe command: {}",
                a.unwrap_or("(nothing)"),
                b.unwrap_or("(nothing)")
            )),
        }
    }
}

/// The texts of a drawing, in their order.
pub fn texts(svg: &str) -> Vec<String> {
    let elements = svg.split("<text").skip(1);
    elements
        .filter_map(|element| {
            let (_, content) = element.split_once('>')?;
            let (content, _) = content.split_once("</text>")?;
            // The full text of one that is shortened.
            let content = content.rsplit("</title>").next()?;
            // Times in parentheses are times.
            Some(content.replace(['(', ')'], " ").trim().to_owned())
        })
        .collect()
}

/// How a drawing differs from another in its texts. Times may differ by the tolerance
/// and by their rounding.
pub fn texts_differ(page: &str, printed: &str, tolerance: &Tolerance) -> Vec<String> {
    let (ours, theirs) = (texts(page).join("\n"), texts(printed).join("\n"));
    if ours.is_empty() {
        return vec!["the drawing has no texts".into()];
    }
    differences(&ours, &theirs, tolerance)
}

fn same_line(a: &str, b: &str, tolerance: &Tolerance) -> bool {
    let (a, b): (Vec<&str>, Vec<&str>) = (a.split('|').collect(), b.split('|').collect());
    a.len() == b.len()
        && a.iter()
            .zip(&b)
            .all(|(a, b)| same_cell(a.trim(), b.trim(), tolerance))
}

fn same_cell(a: &str, b: &str, tolerance: &Tolerance) -> bool {
    if a == b {
        return true;
    }
    // Before the fault.
    if let (Some(a), Some(b)) = (a.strip_prefix('-'), b.strip_prefix('-')) {
        return same_cell(a, b, tolerance);
    }
    if let (Some(time), Some(another)) = (span::parse(a), span::parse(b)) {
        return time.abs_diff(another)
            <= rounding(time.max(another)) + tolerance.around(time.max(another));
    }
    let (Some((sign, time)), Some((other, another))) = (timed(a), timed(b)) else {
        return false;
    };
    let allowed = rounding(time.max(another)) + tolerance.around(time.max(another));
    sign == other && time.abs_diff(another) <= allowed
}

/// Splits `ETIMEDOUT 15 m` into its sign and its time.
pub fn timed(cell: &str) -> Option<(&str, Duration)> {
    cell.match_indices(' ')
        .find_map(|(at, _)| Some((&cell[..at], span::parse(&cell[at + 1..])?)))
}

#[cfg(test)]
mod tests {
    use halfopen_outcome::tolerance::ANOTHER_PROGRAM;

    use super::*;

    #[test]
    fn times_may_differ_a_little_and_text_may_not() {
        let differ = |a: &str, b: &str| !differences(a, b, &ANOTHER_PROGRAM).is_empty();
        assert!(!differ("| x | ETIMEDOUT 29 s |", "| x | ETIMEDOUT 30 s |"));
        assert!(!differ(
            "| heartbeat lost 2 h 12 m |",
            "| heartbeat lost 2 h 13 m |"
        ));
        assert!(!differ("-332 us", "-317 us"));
        assert!(differ("-3 s", "3 s"));
        assert!(differ("| x | ETIMEDOUT 29 s |", "| x | ETIMEDOUT 35 s |"));
        assert!(differ("| x | ETIMEDOUT 29 s |", "| x | ECONNRESET 29 s |"));
        assert!(differ("| x | **unnoticed** |", "| x | ETIMEDOUT 29 s |"));
        assert!(differ(
            "| x | EOF 0 s |",
            "| x | EOF 0 s |\n| y | EOF 0 s |"
        ));
    }

    #[test]
    fn drawings_are_compared_by_their_texts() {
        let svg = |time: &str| {
            format!("<svg><text x=\"1\">crash server</text><path/><text>{time}</text></svg>")
        };
        let differ =
            |a: &str, b: &str| !texts_differ(&svg(a), &svg(b), &ANOTHER_PROGRAM).is_empty();
        assert!(!differ("3.05 s", "3.06 s"));
        assert!(differ("3.05 s", "9 s"));
        assert!(differ("read() = 5", "read() = 0"));
        assert!(!texts_differ("<svg/>", "<svg/>", &ANOTHER_PROGRAM).is_empty());
    }

    #[test]
    fn the_command_is_what_stands_in_backquotes() {
        let arguments = command("Measured by `halfopen grid --time virtual`; more.");
        assert_eq!(
            arguments,
            Ok(["grid", "--time", "virtual"].map(str::to_owned).to_vec())
        );
    }
}
