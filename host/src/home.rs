//! Where a node keeps its things: the platform's folders, or one folder given by `--home`.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use crate::error::{Context as _, Error, Kind, Result};

/// The longest path that a unix socket's address can hold (`sun_path` is 108 bytes on Linux and 104 on macOS, one of them the zero).
const MAX_SOCKET_PATH_BYTES: usize = 103;

/// The folders of one node. Everything in them is for their owner's eyes only.
#[derive(Clone, Debug)]
pub struct Home {
    config_folder: PathBuf,
    data_folder: PathBuf,
    given: bool,
}

impl Home {
    /// `given`: the folder of `--home`, which then holds everything.
    pub fn find(given: Option<&Path>) -> Result<Self> {
        if let Some(folder) = given {
            let folder = std::path::absolute(folder).context("--home")?;
            return Ok(Self { config_folder: folder.clone(), data_folder: folder, given: true });
        }
        let folders = directories::ProjectDirs::from("", "", "mute")
            .ok_or_else(|| Error::usage("this user has no home folder: say where with --home"))?;
        Ok(Self { config_folder: folders.config_dir().into(), data_folder: folders.data_dir().into(), given: false })
    }

    /// The configuration file.
    pub fn config_file(&self) -> PathBuf {
        self.config_folder.join("config.toml")
    }

    /// The folder of everything that is not configuration.
    pub fn data_folder(&self) -> &Path {
        &self.data_folder
    }

    /// The database of keys, plugin stores and settings.
    pub fn store_file(&self) -> PathBuf {
        self.data_folder.join("mute.redb")
    }

    /// The folder whose components are run beside the built-in ones.
    pub fn plugins_folder(&self) -> PathBuf {
        self.data_folder.join("plugins")
    }

    /// The cache of compiled plugins.
    pub fn cache_folder(&self) -> PathBuf {
        self.data_folder.join("cache")
    }

    /// The folder that received files go to.
    pub fn downloads_folder(&self) -> PathBuf {
        self.data_folder.join("downloads")
    }

    /// The daemon's log.
    pub fn log_file(&self) -> PathBuf {
        self.data_folder.join("mute.log")
    }

    /// The socket on which the daemon hears the command line.
    pub fn control_socket(&self) -> PathBuf {
        self.data_folder.join("control.sock")
    }

    /// Whether `mute init` has been here.
    pub fn is_initialised(&self) -> bool {
        self.config_file().exists()
    }

    /// How the user names this home to other commands.
    pub fn flag(&self) -> String {
        if self.given { format!(" --home {}", self.data_folder.display()) } else { String::new() }
    }

    /// The error of whoever needs a home where there is none.
    pub fn must_be_initialised(&self) -> Result<()> {
        if self.is_initialised() {
            return Ok(());
        }
        let message =
            format!("there is no node in {}: make one with `mute init{}`", self.data_folder.display(), self.flag());
        Err(Error::new(Kind::NotRunning, message))
    }

    /// Makes the folders, closed to everyone else, and writes the configuration. Never replaces one.
    pub fn create(&self, config: &str) -> Result<()> {
        self.check_socket_path()?;
        if self.given && !self.is_initialised() && is_in_use(&self.data_folder) {
            let message = format!("{} is not empty: choose a folder of its own", self.data_folder.display());
            return Err(Error::new(Kind::Busy, message));
        }
        for folder in [&self.config_folder, &self.data_folder, &self.plugins_folder(), &self.downloads_folder()] {
            make_private_folder(folder)?;
        }
        let path = self.config_file();
        match write_new_private_file(&path, config.as_bytes()) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                Err(Error::new(Kind::Busy, format!("there is a node already: {} exists", path.display())))
            }
            other => other.context(format_args!("cannot write {}", path.display())),
        }
    }

    /// Says early and clearly what `bind` would say obscurely.
    pub fn check_socket_path(&self) -> Result<()> {
        let socket = self.control_socket();
        if socket.as_os_str().len() > MAX_SOCKET_PATH_BYTES {
            let message = format!(
                "the path {} is too long for a socket: choose a home with a path under {} bytes",
                socket.display(),
                MAX_SOCKET_PATH_BYTES - "/control.sock".len()
            );
            return Err(Error::usage(message));
        }
        Ok(())
    }

    /// Takes the home for this process. The lock ends with the process, however that ends.
    pub fn lock(&self) -> Result<Lock> {
        make_private_folder(&self.data_folder)?;
        let path = self.data_folder.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .context(format_args!("cannot open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock { _file: file }),
            Err(fs::TryLockError::WouldBlock) => {
                let message = format!("a daemon already runs in {}", self.data_folder.display());
                Err(Error::new(Kind::Busy, message))
            }
            Err(fs::TryLockError::Error(error)) => {
                Err(error).context(format_args!("cannot lock {}", self.data_folder.display()))
            }
        }
    }
}

/// Held by the daemon of a home for as long as it lives.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Makes a folder and its parents; the folder itself ends up closed to everyone but its owner.
pub fn make_private_folder(path: &Path) -> Result<()> {
    let make = || -> std::io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let mode = fs::metadata(path)?.permissions().mode();
        if mode & 0o077 != 0 {
            fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
        }
        Ok(())
    };
    make().context(format_args!("cannot make the folder {}", path.display()))
}

/// Whether a folder holds anything: such a folder is somebody else's, and its permissions are not ours to change.
fn is_in_use(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}

/// Writes a file that does not exist yet, readable by its owner only.
fn write_new_private_file(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(folder: &Path) -> Home {
        Home::find(Some(folder)).unwrap()
    }

    #[test]
    fn a_new_home_is_closed_to_others_and_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let home = home(&folder.path().join("node"));
        assert_eq!(home.must_be_initialised().unwrap_err().kind(), Kind::NotRunning);
        home.create("first").unwrap();
        assert_eq!(home.create("second").unwrap_err().kind(), Kind::Busy);
        assert_eq!(fs::read_to_string(home.config_file()).unwrap(), "first");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&home.config_file()), 0o600);
        assert_eq!(mode(home.data_folder()), 0o700);
        assert_eq!(mode(&home.downloads_folder()), 0o700);
    }

    #[test]
    fn a_folder_with_other_things_in_it_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("letter.txt"), "dear").unwrap();
        assert_eq!(home(folder.path()).create("").unwrap_err().kind(), Kind::Busy);
        assert!(!home(folder.path()).is_initialised());
    }

    #[test]
    fn one_daemon_a_home() {
        let folder = tempfile::tempdir().unwrap();
        let home = home(folder.path());
        let lock = home.lock().unwrap();
        assert_eq!(home.lock().unwrap_err().kind(), Kind::Busy);
        drop(lock);
        home.lock().unwrap();
    }

    #[test]
    fn a_path_too_long_for_a_socket_is_told() {
        let home = home(Path::new(&format!("/tmp/{}", "x".repeat(120))));
        assert!(home.check_socket_path().unwrap_err().to_string().contains("too long"));
    }
}
