//! YAML to cases. Pure: reads text, builds nothing.

pub mod case;
