//! Who talks in a lab: scripted processes that report every call.

pub mod protocol;
