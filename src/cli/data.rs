//! The data folder, where one process alone writes to it.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::Error;

/// How long a server that was killed may still hold the data folder: a process that it was starting at
/// that moment lets go of it only a little later.
const ENDING: Duration = Duration::from_secs(1);

/// The file systems of other machines, by the numbers that `statfs(2)` gives them. Locks and the shared memory of a database do
/// not hold on them, so that two servers would write to one record.
const NETWORKS: [(u32, &str); 11] = [
    (0x6969, "NFS"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB"),
    (0x517b, "SMB"),
    (0x564c, "NCP"),
    (0x0102_1997, "9P"),
    (0x00c3_6400, "Ceph"),
    (0x5346_414f, "AFS"),
    (0x7375_7245, "Coda"),
    (0x0bd0_0bd0, "Lustre"),
    (0x4750_4653, "GPFS"),
];

/// Makes the data folder, and makes it ours alone as long as the file that is given is open: one server a folder.
///
/// # Errors
/// When it cannot be made, is on another machine, or is somebody else's.
pub fn own(data: &Path) -> Result<File, Error> {
    let failed = |error: std::io::Error| Error::new(format!("{}: {error}", data.display()));
    std::fs::create_dir_all(data).map_err(failed)?;
    let kind = rustix::fs::statfs(data).map_err(|error| failed(error.into()))?;
    if let Some(name) = network(kind.f_type as u32) {
        let message = format!(
            "is on a network file system ({name}), where a record is not safe; name a folder on a disk of this machine with `--data`"
        );
        return Err(Error::new(format!("{} {message}", data.display())));
    }
    std::fs::set_permissions(data, Permissions::from_mode(0o700)).map_err(failed)?;
    let lock = File::create(data.join("lock")).map_err(failed)?;
    let until = Instant::now() + ENDING;
    while lock.try_lock().is_err() {
        if Instant::now() > until {
            let message = "is in use by another `waystation serve`";
            return Err(Error::new(format!("{} {message}", data.display())));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(lock)
}

/// The name of a file system of other machines.
fn network(kind: u32) -> Option<&'static str> {
    let known = NETWORKS.iter().find(|(number, _)| *number == kind);
    known.map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::network;

    #[test]
    fn file_systems_of_other_machines_are_known() {
        // As `man 2 statfs` lists them: NFS, CIFS, and then ext4, tmpfs, overlayfs, btrfs and xfs.
        assert_eq!(network(0x6969), Some("NFS"));
        assert_eq!(network(0xff53_4d42), Some("CIFS"));
        for local in [0xef53, 0x0102_1994, 0x794c_7630, 0x9123_683e, 0x5846_5342] {
            assert_eq!(network(local), None);
        }
    }
}
