//! No text causes a panic.

use super::{EXAMPLE, parse};

#[test]
fn no_input_panics() {
    // Every fifth place: all of them would take seven seconds.
    for (start, _) in EXAMPLE.char_indices().step_by(5) {
        let _ = parse("cut.yaml", &EXAMPLE[..start]);
        for other in [
            "", "{", "]", ":", "-", "\n", "\t", "\"", "*", "&", "${", "ä", "\0",
        ] {
            let text = format!("{}{other}{}", &EXAMPLE[..start], &EXAMPLE[start + 1..]);
            // Showing the errors cuts lines and places markers, for any text.
            if let Err(errors) = parse("changed.yaml", &text) {
                assert!(errors.to_string().starts_with("error: "));
            }
        }
    }
}
