//! Looking, and reading.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::time::Duration;

use super::nodes::{INPUT, ROOT};
use super::{Answered, FileServer, Handle, INPUT_WAIT, errno};
use crate::command::fuse::{self, Body, Opened};
use crate::command::streams;
use crate::protocol::command as protocol;

/// A file that looks as standard input shall: a regular one whose size tells nothing.
const LIKE_INPUT: &str = "/proc/self/cmdline";

impl FileServer {
    pub(super) fn lookup(&mut self, node: u64, name: &OsStr) -> Answered {
        if node == ROOT && name == protocol::INPUT {
            let of = fs::metadata(LIKE_INPUT).map_err(errno)?;
            return Ok(fuse::entry(Some((INPUT, &of))));
        }
        let path = self.child(node, name)?;
        match fs::symlink_metadata(&path) {
            Ok(of) => Ok(fuse::entry(Some((self.nodes.number(&path), &of)))),
            Err(e) if e.raw_os_error() == Some(libc::ENOENT) => Ok(fuse::entry(None)),
            Err(e) => Err(errno(e)),
        }
    }

    pub(super) fn attributes(&mut self, node: u64, body: Body<'_>) -> Answered {
        /// The request names an open file (FUSE_GETATTR_FH).
        const BY_HANDLE: u32 = 1;
        if node == INPUT {
            let of = fs::metadata(LIKE_INPUT).map_err(errno)?;
            return Ok(fuse::attributes_answer(node, &of));
        }
        let of = match self.handles.get(&body.u64(8)) {
            Some(Handle::File(file)) if body.u32(0) & BY_HANDLE != 0 => file.metadata(),
            _ => fs::symlink_metadata(self.path(node)?),
        };
        Ok(fuse::attributes_answer(node, &of.map_err(errno)?))
    }

    pub(super) fn link_target(&self, node: u64) -> Answered {
        let target = fs::read_link(self.path(node)?).map_err(errno)?;
        Ok(target.as_os_str().as_bytes().to_owned())
    }

    pub(super) fn open(&mut self, node: u64, flags: u32) -> Answered {
        if node == INPUT {
            let handle = self.add_handle(Handle::Input);
            return Ok(fuse::opened(handle, Opened::Stream));
        }
        let flags = flags.cast_signed();
        let path = self.path(node)?.to_owned();
        let mut options = OpenOptions::new();
        options.read(flags & libc::O_ACCMODE != libc::O_WRONLY);
        let path = match flags & libc::O_ACCMODE {
            libc::O_RDONLY => path,
            _ => {
                options.write(true).truncate(flags & libc::O_TRUNC != 0);
                self.writable(path)?
            }
        };
        // A fifo would wait for its other end, a device is not what the guest means.
        if !fs::metadata(&path).map_err(errno)?.is_file() {
            return Err(libc::EACCES);
        }
        let file = options
            .custom_flags(libc::O_NOFOLLOW)
            .open(&path)
            .map_err(errno)?;
        let handle = self.add_handle(Handle::File(file));
        Ok(fuse::opened(handle, Opened::Cached))
    }

    pub(super) fn read(&mut self, body: Body<'_>) -> Answered {
        let size = body.u32(16).min(fuse::MOST_BYTES) as usize;
        let file: &File = match self.handles.get(&body.u64(0)) {
            Some(Handle::File(file)) => file,
            Some(Handle::Input) => {
                let read = streams::read(size, self.input_wait).map_err(errno)?;
                self.input_wait = match read {
                    Some(_) => INPUT_WAIT,
                    // The guest asks again, and does not wait for it.
                    None => Duration::ZERO,
                };
                return read.ok_or(libc::EAGAIN);
            }
            _ => return Err(libc::EBADF),
        };
        let mut bytes = vec![0; size];
        let mut filled = 0;
        while filled < size {
            let at = body.u64(8) + filled as u64;
            match file.read_at(&mut bytes[filled..], at) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(errno(e)),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    pub(super) fn statfs(&self, node: u64) -> Answered {
        let path = self.nodes.path(node).unwrap_or("/".as_ref());
        let stat = nix::sys::statvfs::statvfs(path).map_err(|e| e as i32)?;
        let size = stat.fragment_size();
        let mut out = Vec::new();
        for number in [
            stat.blocks(),
            stat.blocks_free(),
            stat.blocks_available(),
            stat.files(),
            stat.files_free(),
        ] {
            out.extend(number.to_le_bytes());
        }
        let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        for number in [size, stat.name_max(), size] {
            out.extend(small(number).to_le_bytes());
        }
        out.resize(80, 0);
        Ok(out)
    }

    pub(super) fn open_directory(&mut self, node: u64) -> Answered {
        let path = self.path(node)?;
        let kind = |entry: &fs::DirEntry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => libc::S_IFDIR,
            Ok(kind) if kind.is_symlink() => libc::S_IFLNK,
            Ok(kind) if kind.is_file() => libc::S_IFREG,
            _ => fs::symlink_metadata(entry.path()).map_or(0, |of| of.mode() & libc::S_IFMT),
        };
        let entries = fs::read_dir(path).map_err(errno)?;
        let mut names: Vec<_> = entries
            .flatten()
            .map(|entry| (entry.file_name(), kind(&entry)))
            .collect();
        names.sort();
        let dots = [".", ".."].map(|name| (name.into(), libc::S_IFDIR));
        let names = dots.into_iter().chain(names).collect();
        let handle = self.add_handle(Handle::Directory(names));
        Ok(fuse::opened(handle, Opened::Directory))
    }

    pub(super) fn read_directory(&self, body: Body<'_>) -> Answered {
        let Some(Handle::Directory(names)) = self.handles.get(&body.u64(0)) else {
            return Err(libc::EBADF);
        };
        let first = usize::try_from(body.u64(8)).unwrap_or(usize::MAX);
        let most = body.u32(16) as usize;
        let mut out = Vec::new();
        for (number, (name, kind)) in names.iter().enumerate().skip(first) {
            if !fuse::directory_entry(&mut out, most, (number as u64 + 1, *kind, name)) {
                break;
            }
        }
        Ok(out)
    }
}
