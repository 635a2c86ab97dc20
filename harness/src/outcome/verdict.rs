//! Outcomes against expectations.
