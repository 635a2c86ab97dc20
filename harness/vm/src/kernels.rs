//! Finds kernels and what each of them supports. Used by the command to list and choose
//! kernels, and by [`crate::machine`] for their paths.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::bzimage;
use super::error::VmError;
use super::module::Modules;

/// A kernel that a guest can run.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// `uname -r`.
    pub release: String,
    /// Its image.
    pub vmlinuz: PathBuf,
    /// Its directory of modules (`/lib/modules/RELEASE`), wherever it is.
    pub modules: PathBuf,
    /// Timer ticks per second (CONFIG_HZ), if its configuration was found.
    pub hz: Option<u32>,
    /// What it supports, by the names of [`CAPABILITIES`].
    pub has: Vec<&'static str>,
}

/// What cases may need of a kernel beyond TCP, and the module that provides it.
pub const CAPABILITIES: [(&str, &str); 6] = [
    ("veth", "veth"),
    ("nft", "nf_tables"),
    ("netem", "sch_netem"),
    ("tbf", "sch_tbf"),
    ("bpf", "cls_bpf"),
    ("diag", "tcp_diag"),
];

/// Modules that every case needs.
const REQUIRED_MODULES: [&str; 2] = ["veth", "nf_tables"];

/// Kernels that were found, and files that looked like kernels.
#[derive(Debug, Default)]
pub struct Found {
    /// Kernels by version, oldest first.
    pub kernels: Vec<Kernel>,
    /// Why other files cannot be used.
    pub unusable: Vec<VmError>,
    /// Directories that were searched.
    pub looked: Vec<PathBuf>,
}

impl Kernel {
    /// Opens the kernel at `path`: a vmlinuz, or a directory that contains one, as
    /// ci/kernels makes them. Its modules are searched for beside it (`modules`), in
    /// the tree it was unpacked to, and under /lib/modules.
    ///
    /// # Errors
    /// When it is not a kernel, has no modules, or lacks a module that every case
    /// needs.
    pub fn open(path: &Path) -> Result<Self, VmError> {
        let vmlinuz = if path.is_dir() {
            path.join("vmlinuz")
        } else {
            path.to_owned()
        };
        let mut head = Vec::new();
        let file = File::open(&vmlinuz).map_err(VmError::file(&vmlinuz))?;
        file.take(64 << 10)
            .read_to_end(&mut head)
            .map_err(VmError::file(&vmlinuz))?;
        let release = bzimage::release(&head).map_err(|why| VmError::NotAKernel {
            path: vmlinuz.clone(),
            why,
        })?;
        let modules = modules_of(&vmlinuz, &release)?;
        let index = Modules::index(&modules)?;
        for needed in REQUIRED_MODULES {
            if !index.has(needed) {
                return Err(VmError::Lacks {
                    release,
                    what: needed.to_owned(),
                });
            }
        }
        let has = CAPABILITIES.iter().filter(|(_, module)| index.has(module));
        Ok(Kernel {
            hz: config_hz(&vmlinuz, &modules, &release),
            has: has.map(|(name, _)| *name).collect(),
            release,
            vmlinuz,
            modules,
        })
    }
}

/// Finds all kernels in the cache of ci/kernels, in /boot and under /lib/modules.
pub fn find() -> Found {
    let cache = cache();
    let mut found = Found {
        looked: cache
            .iter()
            .cloned()
            .chain(["/boot".into(), "/lib/modules".into()])
            .collect(),
        ..Found::default()
    };
    let mut seen = Vec::new();
    for dir in found.looked.clone() {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let image = match name.to_string_lossy() {
                // A kernel that is being unpacked, or whose unpacking was interrupted.
                name if name.contains(".new.") => continue,
                name if name.starts_with("vmlinuz") => path,
                _ => path.join("vmlinuz"),
            };
            let Ok(image) = fs::canonicalize(image) else {
                continue;
            };
            if seen.contains(&image) {
                continue;
            }
            seen.push(image.clone());
            match Kernel::open(&image) {
                Ok(kernel) if found.kernels.iter().any(|k| k.release == kernel.release) => {}
                Ok(kernel) => found.kernels.push(kernel),
                Err(e) => found.unusable.push(e),
            }
        }
    }
    found
        .kernels
        .sort_by_key(|kernel| version_numbers(&kernel.release));
    found
}

/// The directory where ci/kernels puts kernels; None without a home directory.
pub fn cache() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    set("HALFOPEN_KERNELS").map(PathBuf::from).or_else(|| {
        set("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(set("HOME")?).join(".cache")))
            .map(|dir| dir.join("halfopen/kernels"))
    })
}

/// The numbers of a version, which sort 6.12 after 6.1.
fn version_numbers(release: &str) -> Vec<u64> {
    release
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect()
}

fn modules_of(vmlinuz: &Path, release: &str) -> Result<PathBuf, VmError> {
    let dir = vmlinuz.parent().unwrap_or(Path::new("."));
    let adjacent = dir.join("modules");
    let candidates = [
        adjacent.clone(),
        // /usr/lib/modules/RELEASE/vmlinuz lies in its directory of modules.
        dir.to_owned(),
        dir.join("../lib/modules").join(release),
        dir.join("../usr/lib/modules").join(release),
        Path::new("/lib/modules").join(release),
    ];
    candidates
        .into_iter()
        .find(|dir| dir.join("kernel").is_dir())
        .ok_or_else(|| VmError::NoModules {
            release: release.to_owned(),
            vmlinuz: vmlinuz.to_owned(),
            looked: adjacent,
        })
}

fn config_hz(vmlinuz: &Path, modules: &Path, release: &str) -> Option<u32> {
    let named = format!("config-{release}");
    let files = [
        vmlinuz.with_file_name("config"),
        vmlinuz.with_file_name(&named),
        modules.join("config"),
        Path::new("/boot").join(&named),
    ];
    let text = files
        .iter()
        .find_map(|file| fs::read_to_string(file).ok())?;
    text.lines()
        .find_map(|line| line.strip_prefix("CONFIG_HZ=")?.parse().ok())
}

/// The kernels as an aligned text table, followed by a paragraph for each that cannot
/// be used.
pub fn render(found: &Found) -> String {
    let mut rows = vec![["KERNEL", "HZ", "HAS", "WHERE"].map(str::to_owned)];
    for kernel in &found.kernels {
        let hz = kernel.hz.map_or("?".to_owned(), |hz| hz.to_string());
        let place = kernel.vmlinuz.display().to_string();
        rows.push([kernel.release.clone(), hz, kernel.has.join(" "), place]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2)];
    let mut text = String::new();
    for [release, hz, has, place] in &rows {
        let [a, b, c] = widths;
        text.push_str(&format!("{release:a$}  {hz:>b$}  {has:c$}  {place}\n"));
    }
    for why in &found.unusable {
        text.push_str(&format!("\n{why}\n"));
    }
    if found.kernels.is_empty() {
        text = format!(
            "{}\n",
            VmError::NoKernel {
                looked: found.looked.clone()
            }
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_sort_as_numbers() {
        let mut releases = [
            "6.12.1-cloud",
            "5.10.0-32",
            "7.3.4+deb13",
            "6.1.0-50",
            "6.1.0-9",
        ];
        releases.sort_by_key(|release| version_numbers(release));
        assert_eq!(
            releases,
            [
                "5.10.0-32",
                "6.1.0-9",
                "6.1.0-50",
                "6.12.1-cloud",
                "7.3.4+deb13"
            ]
        );
    }

    #[test]
    fn this_program_is_not_a_kernel() {
        let this = std::env::current_exe().expect("this program has a file");
        let error = Kernel::open(&this).expect_err("not a kernel").to_string();
        assert!(
            error.contains("HdrS") && error.contains("cure: "),
            "{error}"
        );
        assert!(matches!(
            Kernel::open(Path::new("/nowhere")),
            Err(VmError::File { .. })
        ));
    }

    #[test]
    fn nothing_found_has_a_cure() {
        let text = render(&Found {
            looked: vec!["/boot".into()],
            ..Found::default()
        });
        assert!(
            text.contains("/boot") && text.contains("ci/kernels"),
            "{text}"
        );
    }
}
