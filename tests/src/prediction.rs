//! Whether a case of the catalogue came inside its prediction.

use halfopen_outcome::record::Outcome;

/// Cases of the catalogue that are known to come outside their prediction, by
/// scenario or by case, and why. Whoever mends one takes it off this list.
pub const KNOWN_OUTSIDE: [(&str, &str); 0] = [];

/// Nothing to say of an outcome inside its prediction, without one, or known.
///
/// # Errors
/// How the outcome lies outside.
pub fn held(outcome: &Outcome) -> Result<(), String> {
    let known = KNOWN_OUTSIDE
        .iter()
        .find(|(what, _)| *what == outcome.scenario || *what == outcome.id);
    match (&outcome.outside, known) {
        (Some(how), None) => Err(format!("{}: outside its prediction: {how}", outcome.id)),
        _ => Ok(()),
    }
}
