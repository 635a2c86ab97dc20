//! The check of the predictor: generated cases, run on stock kernels.

pub mod dice;
pub mod plan;
pub mod shrink;
pub mod simpler;
pub mod table;
pub mod text;
pub mod trial;
