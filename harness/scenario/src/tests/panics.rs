//! Whatever the text is, it is read or refused.

use super::{EXAMPLE, parse};

#[test]
fn no_input_panics() {
    // Every fifth place: all of them take seven seconds.
    for (start, _) in EXAMPLE.char_indices().step_by(5) {
        let _ = parse("cut.yaml", &EXAMPLE[..start]);
        for other in [
            "", "{", "]", ":", "-", "\n", "\t", "\"", "*", "&", "${", "ä", "\0",
        ] {
            let text = format!("{}{other}{}", &EXAMPLE[..start], &EXAMPLE[start + 1..]);
            // Shown, too: cutting lines and placing markers must hold for any text.
            if let Err(errors) = parse("changed.yaml", &text) {
                assert!(errors.to_string().starts_with("error: "));
            }
        }
    }
}
