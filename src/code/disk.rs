//! What the files of a run take on the disk, where only looking at them bounds it.

use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use sandbox::launch::FILES;

/// That something cannot be looked at.
#[derive(Debug, PartialEq, Eq)]
pub struct Hidden;

/// Files that were found so far.
struct Sum {
    bytes: u64,
    files: u32,
    most: u64,
}

/// Whether the files in a folder, and those without a name that the processes hold open, come to `most` bytes and
/// [`FILES`] files at most.
///
/// # Errors
/// That a folder, or what a process holds open, cannot be looked at.
pub fn is_within(folder: &Path, pids: &[u32], most: u64) -> Result<bool, Hidden> {
    let mut sum = Sum {
        bytes: 0,
        files: 0,
        most,
    };
    sum.add_folders(folder)?;
    sum.add_nameless(pids)?;
    Ok(sum.is_within())
}

impl Sum {
    fn is_within(&self) -> bool {
        self.bytes <= self.most && self.files <= FILES
    }

    fn add(&mut self, metadata: &Metadata) {
        self.files += 1;
        self.bytes += metadata.blocks() * 512;
    }

    fn add_folders(&mut self, folder: &Path) -> Result<(), Hidden> {
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in seen(fs::read_dir(folder))?.into_iter().flatten().flatten() {
                let Some(metadata) = seen(entry.metadata())? else {
                    continue;
                };
                self.add(&metadata);
                if !self.is_within() {
                    return Ok(());
                }
                if metadata.is_dir() {
                    folders.push(entry.path());
                }
            }
        }
        Ok(())
    }

    fn add_nameless(&mut self, pids: &[u32]) -> Result<(), Hidden> {
        let mut known = HashSet::new();
        for pid in pids {
            let open = match seen(fs::read_dir(format!("/proc/{pid}/fd"))) {
                Err(Hidden) if has_ended(*pid) => continue,
                open => open?,
            };
            for entry in open.into_iter().flatten().flatten() {
                let Ok(metadata) = fs::metadata(entry.path()) else {
                    continue;
                };
                let nameless = metadata.is_file() && metadata.nlink() == 0;
                if nameless && known.insert((metadata.dev(), metadata.ino())) {
                    self.add(&metadata);
                }
            }
            if !self.is_within() {
                break;
            }
        }
        Ok(())
    }
}

/// Whether of a process nothing but its end is left, which hides itself.
fn has_ended(pid: u32) -> bool {
    let memory = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    memory
        .split(' ')
        .next()
        .is_none_or(|pages| matches!(pages, "" | "0"))
}

/// What was seen; nothing where it is gone meanwhile.
fn seen<T>(result: io::Result<T>) -> Result<Option<T>, Hidden> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(Hidden),
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

    use std::io::Write;

    use super::*;

    #[test]
    fn bytes_and_files_are_counted_and_those_without_a_name() {
        let folder = tempfile::tempdir().unwrap();
        let within = |most| is_within(folder.path(), &[], most);
        assert_eq!(within(0), Ok(true));
        fs::create_dir(folder.path().join("a")).unwrap();
        fs::write(folder.path().join("a/b"), vec![1; 100_000]).unwrap();
        assert_eq!(within(1_000_000), Ok(true));
        assert_eq!(within(99_999), Ok(false));
        fs::remove_file(folder.path().join("a/b")).unwrap();
        let own = [std::process::id()];
        let mut nameless = tempfile::tempfile_in(folder.path()).unwrap();
        nameless.write_all(&vec![1; 10_000_000]).unwrap();
        assert_eq!(is_within(folder.path(), &own, 9_999_999), Ok(false));
        drop(nameless);
        for number in 0..FILES {
            fs::write(folder.path().join(number.to_string()), "").unwrap();
        }
        assert_eq!(within(u64::MAX), Ok(false));
    }
}
