//! What a case showed, and how two of them compare. Pure.

pub mod baseline;
pub mod cause;
pub mod compare;
pub mod compare_prediction;
pub mod comparison;
pub mod cost;
pub mod environment;
mod factor;
pub mod first_sign;
pub mod impact;
pub mod record;
pub mod recovery;
pub mod states;
#[doc(hidden)]
pub mod testing;
pub mod tolerance;
pub mod verdict;
