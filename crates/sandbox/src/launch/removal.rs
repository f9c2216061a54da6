//! Deletes what code left on the disk, which may be made to resist: folders without rights, or nested so deep
//! that neither a path nor a recursion reaches their end.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags, chmod, openat, renameat_with, unlinkat,
};
use rustix::io::Errno;

/// How many entries of a folder are looked at before they are dealt with.
const AT_ONCE: usize = 1024;

/// Deletes a folder with all that is in it. Links are not followed.
///
/// # Errors
/// The system's.
pub fn delete(path: &Path) -> io::Result<()> {
    let top = opened(CWD, path)?;
    let mut hoisted = 0;
    loop {
        let entries = entries(&top)?;
        if entries.is_empty() {
            break;
        }
        for (name, kind) in entries {
            match kind {
                FileType::Directory => empty(&top, &name, &mut hoisted)?,
                _ => unlinkat(&top, &name, AtFlags::empty())?,
            }
        }
    }
    std::fs::remove_dir(path)
}

/// Deletes a folder in `top`, after moving the folders in it up into `top`: so none is ever deep.
fn empty(top: &OwnedFd, name: &CStr, hoisted: &mut u64) -> io::Result<()> {
    let folder = opened(top.as_fd(), name)?;
    loop {
        let entries = entries(&folder)?;
        if entries.is_empty() {
            break;
        }
        for (name, kind) in entries {
            match kind {
                FileType::Directory => hoist(&folder, &name, top, hoisted)?,
                _ => unlinkat(&folder, &name, AtFlags::empty())?,
            }
        }
    }
    Ok(unlinkat(top, name, AtFlags::REMOVEDIR)?)
}

fn hoist(from: &OwnedFd, name: &CStr, top: &OwnedFd, hoisted: &mut u64) -> io::Result<()> {
    // Whoever moves a folder must be able to write in it.
    opened(from.as_fd(), name)?;
    loop {
        *hoisted += 1;
        let place = format!(".{hoisted}");
        match renameat_with(from, name, top, &*place, RenameFlags::NOREPLACE) {
            Err(Errno::EXIST) => {}
            done => return Ok(done?),
        }
    }
}

/// Opens a folder, having given its owner every right to it.
fn opened(parent: BorrowedFd<'_>, path: impl rustix::path::Arg) -> io::Result<OwnedFd> {
    let folder = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let named = openat(parent, path, folder | OFlags::PATH, Mode::empty())?;
    // The rights of exactly this folder, whatever stands at its path by now.
    chmod(format!("/proc/self/fd/{}", named.as_raw_fd()), Mode::RWXU)?;
    Ok(openat(&named, ".", folder | OFlags::RDONLY, Mode::empty())?)
}

/// The next entries of a folder, and what they are.
fn entries(folder: &OwnedFd) -> io::Result<Vec<(CString, FileType)>> {
    let mut found = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        if entry.file_name() == c"." || entry.file_name() == c".." {
            continue;
        }
        found.push((entry.file_name().to_owned(), kind(folder, &entry)?));
        if found.len() == AT_ONCE {
            break;
        }
    }
    Ok(found)
}

/// What an entry is. Some file systems say it only of the file itself.
fn kind(folder: &OwnedFd, entry: &rustix::fs::DirEntry) -> io::Result<FileType> {
    match entry.file_type() {
        FileType::Unknown => {
            let status = rustix::fs::statat(folder, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW)?;
            Ok(FileType::from_raw_mode(status.st_mode))
        }
        kind => Ok(kind),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use proptest::prelude::*;
    use rustix::fs::mkdirat;

    use super::*;

    #[test]
    fn depth_rights_links_and_numbers_do_not_resist() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("kept"), "kept").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().join("top");
        fs::create_dir(&top).unwrap();
        let mut deep = opened(CWD, &top).unwrap();
        for _ in 0..3000 {
            mkdirat(&deep, "d", Mode::RWXU).unwrap();
            deep = opened(deep.as_fd(), "d").unwrap();
        }
        // A name that one of the folders is to be moved to.
        fs::create_dir_all(top.join(".2/closed/inner")).unwrap();
        fs::set_permissions(top.join(".2/closed"), Permissions::from_mode(0o0)).unwrap();
        symlink(outside.path(), top.join("link")).unwrap();
        symlink(outside.path(), top.join(".2/link")).unwrap();
        for number in 0..2 * AT_ONCE {
            fs::write(top.join(format!("file {number}")), "").unwrap();
        }
        delete(&top).unwrap();
        assert!(!top.exists());
        assert_eq!(fs::read(outside.path().join("kept")).unwrap(), b"kept");
    }

    proptest! {
        #[test]
        fn whatever_is_there_goes(paths in prop::collection::vec("([.]?[a-c1-3]/){0,5}[a-c]", 0..20)) {
            let folder = tempfile::tempdir().unwrap();
            let top = folder.path().join("top");
            fs::create_dir(&top).unwrap();
            for path in paths {
                let path = top.join(path);
                let _ = fs::create_dir_all(path.parent().unwrap());
                let _ = fs::write(path, "");
            }
            delete(&top).unwrap();
            prop_assert!(!top.exists());
            prop_assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }
}
