//! The smallest plan that still disagrees.

use halfopen_vm::Kernel;

use super::plan::Plan;
use super::trial::{self, Finding};

/// Guests that are started for one plan at most.
const ROUNDS: u32 = 12;

/// Takes out of a plan whatever leaves the disagreement as it is, one thing at
/// a time; all candidates of a round run in one guest.
///
/// # Errors
/// As `run` in `trial`.
pub fn shrink(plan: &Plan, kernel: &Kernel) -> Result<Plan, String> {
    let mut smallest = plan.clone();
    for _ in 0..ROUNDS {
        let candidates: Vec<(String, Plan)> = smallest
            .simpler()
            .into_iter()
            .enumerate()
            .map(|(n, plan)| (format!("s{n}"), plan))
            .collect();
        let found = trial::findings(&candidates, kernel)?;
        let next = candidates
            .into_iter()
            .zip(found)
            .find(|(_, finding)| matches!(finding, Finding::Outside(_)));
        match next {
            Some(((_, plan), _)) => smallest = plan,
            None => break,
        }
    }
    Ok(smallest)
}
