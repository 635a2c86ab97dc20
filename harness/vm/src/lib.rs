//! Virtual time: other kernels under QEMU, whose clock jumps over idle time.
//!
//! ```text
//! kernels   finds kernels and says what each can do
//! files     what one kernel is started with: image, modules, initramfs
//! machine   QEMU: starts it, hears it, ends it
//! guest     the other side: this same program as PID 1 of the guest
//! channel   the memory through which the guest speaks
//! cases     the cases of a run in one guest, or in several
//! ```
//!
//! QEMU translates (TCG) and counts instructions (icount): the guest's clocks
//! advance by a nanosecond an instruction, and when it has nothing to do they
//! jump to its next timer. Nothing of the host's time gets in.

mod binary;
mod bzimage;
pub mod cases;
mod channel;
mod compressed;
mod error;
pub mod files;
pub mod guest;
mod initramfs;
pub mod kernels;
pub mod machine;
mod module;
pub mod settings;

pub use error::VmError;
pub use kernels::Kernel;
