//! Outcomes for people and machines. Pure: takes outcomes, gives text.

pub mod compared;
pub mod compared_json;
pub mod cost;
pub mod finished;
pub mod grid;
pub mod grid_plan;
pub mod held;
pub mod json;
pub mod kernels;
pub mod ladder;
pub mod markdown;
pub mod netstat;
pub mod notes;
pub mod recovery;
pub mod snapshot;
pub mod table;
pub mod text;
