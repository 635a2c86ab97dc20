//! Virtual time: other kernels under QEMU, whose clock jumps over idle time.
//!
//! ```text
//! kernels   finds kernels and says what each can do
//! files     what one kernel is started with: image, modules, initramfs
//! machine   one guest, from its start to its end
//! qemu      the process that it runs in
//! state     guests that are restored instead of booted
//! guest     the other side: this same program as PID 1 of the guest
//! pci       the guest's devices
//! channel   the memory through which host and guest speak
//! cases     the cases of a run in one guest, or in several
//! size      what a guest gets for so many cases
//! work      what a guest does with them
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
mod order;
mod pci;
mod qemu;
pub mod settings;
mod size;
mod work;

pub use error::VmError;
pub use kernels::Kernel;
