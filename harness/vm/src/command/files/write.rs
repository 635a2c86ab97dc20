//! Changing files, below the directories that were named.

use std::fs::{self, DirBuilder, FileTimes, OpenOptions, Permissions};
use std::os::unix::fs::{
    DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt, lchown, symlink as make_symlink,
};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use std::ffi::OsStr;

use super::{Answered, FileServer, Handle, errno};
use crate::command::fuse::{self, Body, Opened};

/// Which of a file's attributes a message sets (FATTR_*).
mod attribute {
    pub(super) const MODE: u32 = 1;
    pub(super) const OWNER: u32 = 1 << 1;
    pub(super) const GROUP: u32 = 1 << 2;
    pub(super) const SIZE: u32 = 1 << 3;
    pub(super) const ACCESSED: u32 = 1 << 4;
    pub(super) const MODIFIED: u32 = 1 << 5;
    pub(super) const HANDLE: u32 = 1 << 6;
    pub(super) const ACCESSED_NOW: u32 = 1 << 7;
    pub(super) const MODIFIED_NOW: u32 = 1 << 8;
}

impl FileServer {
    /// The answer about a file that has just been made.
    fn made(&mut self, path: &Path) -> Answered {
        let of = fs::symlink_metadata(path).map_err(errno)?;
        Ok(fuse::entry(Some((self.nodes.number(path), &of))))
    }

    pub(super) fn create(&mut self, node: u64, body: Body<'_>) -> Answered {
        let flags = body.u32(0).cast_signed();
        let path = self.writable(self.child(node, body.names(16).0)?)?;
        let mut options = OpenOptions::new();
        options
            .read(flags & libc::O_ACCMODE != libc::O_WRONLY)
            .write(true)
            .mode(body.u32(4) & 0o7777)
            .custom_flags(libc::O_NOFOLLOW);
        match flags & libc::O_EXCL {
            0 => options.create(true).truncate(flags & libc::O_TRUNC != 0),
            _ => options.create_new(true),
        };
        let file = options.open(&path).map_err(errno)?;
        let mut answer = self.made(&path)?;
        let handle = self.add_handle(Handle::File(file));
        answer.extend(fuse::opened(handle, Opened::Cached));
        Ok(answer)
    }

    pub(super) fn write(&mut self, body: Body<'_>) -> Answered {
        let bytes = body.rest(40);
        let bytes = &bytes[..bytes.len().min(body.u32(16) as usize)];
        let file = self.file(body)?;
        file.write_all_at(bytes, body.u64(8)).map_err(errno)?;
        Ok(fuse::written(bytes.len()))
    }

    pub(super) fn sync(&self, _: Body<'_>) -> Answered {
        // What the guest has written is in this machine's page cache.
        Ok(Vec::new())
    }

    pub(super) fn make_directory(&mut self, node: u64, body: Body<'_>) -> Answered {
        let path = self.writable(self.child(node, body.names(8).0)?)?;
        let mut builder = DirBuilder::new();
        builder.mode(body.u32(0) & 0o7777);
        builder.create(&path).map_err(errno)?;
        self.made(&path)
    }

    pub(super) fn symlink(&mut self, node: u64, body: Body<'_>) -> Answered {
        let (name, target) = body.names(0);
        let path = self.writable(self.child(node, name)?)?;
        make_symlink(target, &path).map_err(errno)?;
        self.made(&path)
    }

    pub(super) fn hard_link(&mut self, node: u64, body: Body<'_>) -> Answered {
        let path = self.writable(self.child(node, body.names(8).0)?)?;
        let from = self.writable(self.path(body.u64(0))?.to_owned())?;
        fs::hard_link(from, &path).map_err(errno)?;
        self.made(&path)
    }

    pub(super) fn remove(&mut self, node: u64, body: Body<'_>, directory: bool) -> Answered {
        let path = self.writable(self.child(node, body.names(0).0)?)?;
        match directory {
            true => fs::remove_dir(&path),
            false => fs::remove_file(&path),
        }
        .map_err(errno)?;
        self.nodes.forget(&path);
        Ok(Vec::new())
    }

    pub(super) fn rename(
        &mut self,
        node: u64,
        new_node: u64,
        (name, new_name): (&OsStr, &OsStr),
        flags: u32,
    ) -> Answered {
        let from = self.writable(self.child(node, name)?)?;
        let to = self.writable(self.child(new_node, new_name)?)?;
        match flags {
            0 => {}
            libc::RENAME_NOREPLACE if fs::symlink_metadata(&to).is_ok() => {
                return Err(libc::EEXIST);
            }
            libc::RENAME_NOREPLACE => {}
            _ => return Err(libc::EINVAL),
        }
        fs::rename(&from, &to).map_err(errno)?;
        self.nodes.rename(&from, &to);
        Ok(Vec::new())
    }

    pub(super) fn set_attributes(&mut self, node: u64, body: Body<'_>) -> Answered {
        let valid = body.u32(0);
        let sets = |which: u32| valid & which != 0;
        let path = self.writable(self.path(node)?.to_owned())?;
        if sets(attribute::SIZE) {
            let size = body.u64(16);
            match self.handles.get(&body.u64(8)) {
                Some(Handle::File(file)) if sets(attribute::HANDLE) => file.set_len(size),
                _ => OpenOptions::new()
                    .write(true)
                    .custom_flags(libc::O_NOFOLLOW)
                    .open(&path)
                    .and_then(|file| file.set_len(size)),
            }
            .map_err(errno)?;
        }
        if sets(attribute::MODE) {
            let mode = Permissions::from_mode(body.u32(68) & 0o7777);
            fs::set_permissions(&path, mode).map_err(errno)?;
        }
        if sets(attribute::OWNER | attribute::GROUP) {
            let of = |which, at| sets(which).then(|| body.u32(at));
            let (owner, group) = (of(attribute::OWNER, 76), of(attribute::GROUP, 80));
            lchown(&path, owner, group).map_err(errno)?;
        }
        if sets(attribute::ACCESSED | attribute::MODIFIED) {
            let time = |which, now, at, at_ns| -> Option<SystemTime> {
                let given = UNIX_EPOCH + Duration::new(body.u64(at), body.u32(at_ns));
                match (sets(now), sets(which)) {
                    (true, _) => Some(SystemTime::now()),
                    (false, true) => Some(given),
                    (false, false) => None,
                }
            };
            let mut times = FileTimes::new();
            if let Some(time) = time(attribute::ACCESSED, attribute::ACCESSED_NOW, 32, 56) {
                times = times.set_accessed(time);
            }
            if let Some(time) = time(attribute::MODIFIED, attribute::MODIFIED_NOW, 40, 60) {
                times = times.set_modified(time);
            }
            // A directory or a file without the right to write can be opened for
            // reading, which is enough for its owner (futimens(2)).
            let opened = OpenOptions::new()
                .read(true)
                .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
                .open(&path);
            opened
                .and_then(|file| file.set_times(times))
                .map_err(errno)?;
        }
        let of = match self.handles.get(&body.u64(8)) {
            Some(Handle::File(file)) if sets(attribute::HANDLE) => file.metadata(),
            _ => fs::symlink_metadata(&path),
        };
        Ok(fuse::attributes_answer(node, &of.map_err(errno)?))
    }
}
