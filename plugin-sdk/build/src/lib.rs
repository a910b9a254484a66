//! Compiles MUTE plugins to WebAssembly components, with or without rustup.
//!
//! A plugin is a crate of type `cdylib` that uses `mute-plugin`. [`build_plugins`] compiles packages of a workspace to
//! core modules for `wasm32-unknown-unknown` with the profile `plugin`, and turns each into a component. [`Toolchain`]
//! finds a compiler that can do it: where the installed toolchain lacks the target, Debian's compiler, unpacked beside
//! the build and not installed. It never changes the machine's toolchains.
//!
//! In a build script, `folder` is [`build_folder`]`(OUT_DIR)`; in a test it is [`build_folder`] of the running
//! program, so that tests can compile further plugins:
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = mute_plugin_build::build_folder(&std::env::current_exe()?)?;
//! let hostile = mute_plugin_build::build_crate("tests/guests/spin".as_ref(), "spin", &folder)?;
//! assert_eq!(hostile.name, "spin");
//! # Ok(())
//! # }
//! ```

mod command;
mod component;
mod debian;
mod nested;
mod toolchain;

pub use component::{Component, check_component, load_prebuilt};
pub use nested::{build_crate, build_plugins};
pub use toolchain::Toolchain;

use std::path::{Path, PathBuf};

/// The environment variable that names a folder of prebuilt plugins, for machines that can't compile them.
pub const PREBUILT_VARIABLE: &str = "MUTE_PLUGINS_DIR";

/// The environment variable that, set to `debian`, asks for Debian's compiler even where the target is installed.
pub const TOOLCHAIN_VARIABLE: &str = "MUTE_WASM_TOOLCHAIN";

/// The only target a plugin is compiled for: no operating system, so no import can sneak in.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// Why a plugin could not be compiled, in one line that ends with what to do about it where that is known.
#[derive(Debug)]
pub struct Error(String);

impl Error {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// A result whose error is one line for people.
pub type Result<T> = std::result::Result<T, Error>;

/// The cargo target folder that `path` lies in: the nearest folder above it that cargo marked as its own.
///
/// Both `OUT_DIR` and a test program lie in it, wherever `CARGO_TARGET_DIR` points and in every profile, so dev and
/// release builds share the compiled plugins and the unpacked toolchain.
///
/// # Errors
/// If no folder above `path` bears cargo's mark.
pub fn build_folder(path: &Path) -> Result<PathBuf> {
    path.ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").is_file())
        .map(Path::to_path_buf)
        .ok_or_else(|| Error::new(format!("{} lies in no cargo target folder", path.display())))
}

/// Prints the lines that make cargo run a build script again when one of `paths`, or the choice of prebuilt plugins,
/// changes; and only then.
pub fn rerun_if_changed<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) {
    for variable in [PREBUILT_VARIABLE, TOOLCHAIN_VARIABLE] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    for path in paths {
        println!("cargo::rerun-if-changed={}", path.as_ref().display());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_build_folder_is_the_nearest_marked_one() {
        let outer = tempfile::tempdir().unwrap();
        let target = outer.path().join("elsewhere");
        let out = target.join("release/build/mute-0123/out");
        std::fs::create_dir_all(&out).unwrap();
        assert!(build_folder(&out).is_err());
        std::fs::write(target.join("CACHEDIR.TAG"), "x").unwrap();
        assert_eq!(build_folder(&out).unwrap(), target);
    }
}
