//! Finding a compiler for the plugins' target.

use crate::command::{answer, clean};
use crate::debian::{self, Unpacked};
use crate::{Error, PREBUILT_VARIABLE, Result, TARGET, TOOLCHAIN_VARIABLE};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A compiler that compiles for [`TARGET`].
#[derive(Debug)]
pub struct Toolchain {
    cargo: OsString,
    rustc: OsString,
    /// Debian's compiler, where the machine's own has no such target.
    unpacked: Option<Unpacked>,
    /// `rust-lld` of the machine's own toolchain; Debian's has none.
    linker: PathBuf,
}

impl Toolchain {
    /// Finds a compiler: the one in use if its target is installed, else Debian's, unpacked under `folder`, a cargo
    /// target folder; [`TOOLCHAIN_VARIABLE`]`=debian` asks for that one in any case. Never changes the machine's own
    /// toolchain: installing a target is the user's step. Says on standard error when it uses the fallback.
    ///
    /// # Errors
    /// If none is to be had: one line that names the reason and what the user can do.
    pub fn probe(folder: &Path) -> Result<Self> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let sysroot = PathBuf::from(ask(&rustc, &["--print", "sysroot"])?);
        let linker = own_linker(&rustc, &sysroot)?;
        let machine = Self { cargo, rustc, unpacked: None, linker };
        let why = match std::env::var(TOOLCHAIN_VARIABLE).as_deref() {
            Ok("debian") => format!("{TOOLCHAIN_VARIABLE}=debian"),
            Ok(other) if !other.is_empty() => {
                let what = format!("{TOOLCHAIN_VARIABLE} is {other:?}: only debian is known");
                return Err(Error::new(what));
            }
            _ if machine.has_target()? => return Ok(machine),
            _ => format!("no {TARGET} target is installed"),
        };
        let place = folder.display();
        eprintln!("mute: {why}: plugins are compiled by Debian's rustc, unpacked under {place}");
        let offline = matches!(std::env::var("CARGO_NET_OFFLINE").as_deref(), Ok("1" | "true"));
        let unpacked = debian::unpack(folder, offline).map_err(|error| no_way_out(&why, &error))?;
        Ok(Self { rustc: unpacked.rustc().into_os_string(), unpacked: Some(unpacked), ..machine })
    }

    /// What it is, in a few words for a log.
    pub fn describe(&self) -> String {
        match &self.unpacked {
            None => format!("{} with {TARGET} installed", self.rustc.to_string_lossy()),
            Some(unpacked) => format!("Debian's rustc {} with a standard library of our own", unpacked.version()),
        }
    }

    /// A `cargo build` for [`TARGET`] by this toolchain, in an environment of its own.
    pub fn cargo_build(&self) -> Command {
        let mut command = clean(&self.cargo);
        command.args(["build", "--target", TARGET]).env("RUSTC", &self.rustc);
        // An empty name switches off what the user's configuration may set; such a wrapper knows another compiler.
        command.env("RUSTC_WRAPPER", "").env("RUSTC_WORKSPACE_WRAPPER", "");
        if let Some(unpacked) = &self.unpacked {
            command.args(["-Z", "build-std=std,panic_abort"]);
            command.env("RUSTC_BOOTSTRAP", "1").env("LD_LIBRARY_PATH", unpacked.libraries());
            command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", &self.linker);
        }
        command
    }

    fn has_target(&self) -> Result<bool> {
        let folder = ask(&self.rustc, &["--print", "target-libdir", "--target", TARGET])?;
        // rustup leaves the folder behind, empty, when it removes a target.
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
        Ok(files.into_iter().any(|file| file.file_name().to_string_lossy().starts_with("libstd-")))
    }
}

fn ask(rustc: &OsStr, arguments: &[&str]) -> Result<String> {
    let mut command = clean(rustc);
    command.args(arguments);
    answer(command)
}

fn own_linker(rustc: &OsStr, sysroot: &Path) -> Result<PathBuf> {
    let version = ask(rustc, &["-vV"])?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
    Ok(sysroot.join("lib/rustlib").join(host).join("bin/rust-lld"))
}

fn no_way_out(why: &str, error: &Error) -> Error {
    Error::new(format!(
        "plugins can't be compiled: {why}, and Debian's compiler is no way out ({error}); \
         run `rustup target add {TARGET}`, or name a folder of prebuilt plugins in {PREBUILT_VARIABLE}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_is_told_both_ways_out() {
        let told = no_way_out("no target", &Error::new("apt-get: not found")).to_string();
        for part in ["no target", "apt-get: not found", "rustup target add", PREBUILT_VARIABLE] {
            assert!(told.contains(part), "{told}");
        }
        assert_eq!(told.lines().count(), 1);
    }
}
