//! Reads the files that all guests of a kernel share: image, modules and program. They
//! are unpacked once, which takes half a second.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::SystemTime;

use nix::sys::memfd::{MFdFlags, memfd_create};

use super::binary::{self, PackedFile};
use super::error::VmError;
use super::kernels::Kernel;
use super::module::{Module, Modules};
use super::settings::MODULES;
use super::{bzimage, initramfs};

/// A kernel, and the files of its guests.
#[derive(Debug)]
pub struct Files {
    /// `uname -r`.
    pub(super) release: String,
    /// The kernel as QEMU starts it: unpacked where that is possible.
    pub(super) image: File,
    /// When reading them began.
    pub(super) read_at: SystemTime,
    modules: Vec<Module>,
    program: Vec<PackedFile>,
}

impl Files {
    /// Reads and unpacks the files of `kernel`.
    ///
    /// # Errors
    /// When kernel, modules or this program cannot be read.
    pub fn read(kernel: &Kernel) -> Result<Self, VmError> {
        let read_at = SystemTime::now();
        let modules = || Modules::index(&kernel.modules)?.load_order(&MODULES);
        thread::scope(|scope| {
            // Modules and kernel take about as long.
            let modules = scope.spawn(modules);
            Ok(Files {
                release: kernel.release.clone(),
                read_at,
                image: read_image(&kernel.vmlinuz)?,
                program: binary::this_program(initramfs::INIT)?,
                modules: modules
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?,
            })
        })
    }

    /// The names of the modules.
    pub(super) fn modules(&self) -> impl Iterator<Item = &str> {
        self.modules.iter().map(|module| module.name.as_str())
    }

    /// Builds the initramfs of the guests.
    pub(super) fn initramfs(&self) -> Result<File, VmError> {
        let archive = initramfs::build(&self.program, &self.modules)
            .map_err(VmError::system("pack the guest's files"))?;
        anonymous_file("halfopen-initramfs", &archive)
    }
}

/// The files of a kernel, cached while a guest uses them.
#[derive(Debug, Default)]
pub struct SharedFiles(Mutex<Weak<Files>>);

impl SharedFiles {
    /// Those that another guest uses, or newly read ones.
    ///
    /// # Errors
    /// As [`Files::read`].
    pub fn get(&self, kernel: &Kernel) -> Result<Arc<Files>, VmError> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(files) = known.upgrade() {
            return Ok(files);
        }
        let files = Arc::new(Files::read(kernel)?);
        *known = Arc::downgrade(&files);
        Ok(files)
    }
}

/// The image, unpacked where that is possible.
fn read_image(vmlinuz: &Path) -> Result<File, VmError> {
    let image = std::fs::read(vmlinuz).map_err(VmError::file(vmlinuz))?;
    anonymous_file(
        "halfopen-kernel",
        &bzimage::unpacked(&image).unwrap_or(image),
    )
}

/// A file in memory (memfd) with this content.
pub(super) fn anonymous_file(name: &str, content: &[u8]) -> Result<File, VmError> {
    let make = || {
        let mut file = File::from(memfd_create(name, MFdFlags::MFD_CLOEXEC)?);
        file.write_all(content)?;
        Ok(file)
    };
    make().map_err(VmError::system::<std::io::Error>("make a file in memory"))
}
