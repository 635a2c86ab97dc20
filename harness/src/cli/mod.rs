//! Words typed by a person: reads them, calls `run` and `report`, says what
//! went wrong and how it is cured.

mod args;
mod catalogue;
pub mod doctor;
mod error;
mod interrupt;
mod list;
mod main;
mod output;
mod pending;
mod privileges;
mod progress;
mod run;
mod select;

pub use error::Exit;
pub use main::main;
