//! A file that is written beside another and then takes its name, so that at no moment half of it is there.
//!
//! Two processes may want the same name, as while one takes over from the other: whoever writes holds a lock on the
//! draft, which the system lets go of when the process ends, however it ends. A draft that was left is written over.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// An empty file in the directory of `path`: a name can only be taken over inside a file system. For its owner alone, as
/// it tells who runs what.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) file: File,
    at: PathBuf,
}

impl Draft {
    /// Begins one.
    ///
    /// # Errors
    /// It cannot be made, or another process is writing it ([`io::ErrorKind::WouldBlock`]).
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let mut at = OsString::from(path);
        at.push(".new");
        let at = PathBuf::from(at);
        let mut options = OpenOptions::new();
        let file = options
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&at)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                io::Error::new(io::ErrorKind::WouldBlock, "another process is writing it")
            }
            TryLockError::Error(error) => error,
        })?;
        // Whoever had the lock before may have given this very file its name.
        let (held, there) = (file.metadata()?, fs::metadata(&at)?);
        if (held.dev(), held.ino()) != (there.dev(), there.ino()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        file.set_len(0)?;
        Ok(Self { file, at })
    }

    /// Lets it go.
    pub(super) fn discard(self) -> io::Result<()> {
        fs::remove_file(&self.at)
    }

    /// Gives it the name `path`, once all that was written is on disk.
    pub(super) fn publish(self, path: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.at, path)?;
        // The new name is an entry of the directory, which has to be on disk as well.
        let directory = path.parent().filter(|d| !d.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    }
}
