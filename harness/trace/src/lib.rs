//! Observes an unmodified program's socket calls: which call, on which
//! connection, from when to when, with which result.
mod control;
mod decode;
mod detector;
mod errno;
mod error;
pub mod event;
mod filter;
mod launch;
mod lines;
mod name;
mod program;
mod setting;
mod sys;
pub mod table;
mod text;
mod tracer;

pub use control::{Request, Target};
pub use detector::{Detector, Detectors};
pub use errno::{Errno, Readiness, SignalNumber};
pub use error::TraceError;
pub use event::{Event, What};
pub use name::CallName;
pub use program::{Output, Program, Setup, Stdin, User};
pub use setting::Setting;
pub use table::DescriptorTable;
pub use tracer::{Ended, run};
