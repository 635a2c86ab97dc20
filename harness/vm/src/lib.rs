//! Runs cases on other kernels, in guests under QEMU whose clock jumps over idle time.
//! Needs qemu-system-x86_64 and kernels with their modules; halfopen-runner runs the
//! cases inside the guest. Used by the command and by the tests that need virtual time.
//!
//! ```text
//! kernels   finds kernels and what each supports
//! files     the files of a kernel's guests: image, modules, initramfs
//! machine   runs one guest: starts, reads, stops it
//! qemu      the process of a guest
//! state     restores guests instead of booting them
//! guest     this same program as PID 1 of the guest
//! pci       the guest's devices
//! channel   the memory through which host and guest exchange messages
//! gate      stops a guest until the host has answered a request
//! protocol  what host and guest say to each other about cases, and about a command
//! cases     runs cases in one guest or several, on each kernel
//! command   runs one command in a guest, which sees this machine's files
//! programs  the files of unmodified programs, sent behind the request
//! size      memory and namespaces for a number of cases
//! work      runs the cases in the guest
//! ```
//!
//! QEMU translates the guest's code (TCG) and counts its instructions (icount): the
//! guest's clocks advance by one nanosecond per instruction, and when the guest is idle
//! they jump to its next timer. The host's time does not enter into it.

mod binary;
mod bzimage;
pub mod cases;
mod channel;
pub mod command;
mod compressed;
mod error;
pub mod files;
mod gate;
pub mod guest;
mod initramfs;
pub mod kernels;
pub mod machine;
mod module;
mod pci;
mod programs;
mod protocol;
mod qemu;
pub mod settings;
mod size;
mod work;

pub use error::VmError;
pub use kernels::Kernel;
