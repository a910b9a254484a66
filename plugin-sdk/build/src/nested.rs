//! The nested cargo that compiles plugins.

use crate::{Component, Error, Result, TARGET, Toolchain, component};
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

/// The profile that plugins are compiled with; the workspace describes it.
const PROFILE: &str = "plugin";

/// The same, for a crate outside the workspace, which does not know it.
const PROFILE_VALUES: &[&str] =
    &["inherits='release'", "codegen-units=1", "lto=true", "opt-level='s'", "panic='abort'", "strip=true"];

/// Every runtime that speaks the component model's async has SIMD; BLAKE3 verifies four times faster with it.
const FLAGS: &str = "-Ctarget-feature=+simd128,+bulk-memory";

/// Compiles packages of the workspace at `workspace` to components; `folder` is the outer cargo's target folder
/// ([`crate::build_folder`]). An unchanged package is not compiled again.
///
/// # Errors
/// If no toolchain is to be had, a package does not compile, or is no plugin.
pub fn build_plugins(workspace: &Path, packages: &[&str], folder: &Path) -> Result<Vec<Component>> {
    let configure = |command: &mut Command| {
        // The outer cargo has resolved this workspace already; the nested one never writes into it.
        command.arg("--locked").arg("--manifest-path").arg(workspace.join("Cargo.toml"));
        for package in packages {
            command.args(["--package", package]);
        }
    };
    build(folder, packages, configure)
}

/// Compiles the package `name` in the folder `package`, a crate outside the workspace (its manifest has a `[workspace]`
/// table of its own) such as a hostile plugin of a test.
///
/// # Errors
/// As [`build_plugins`].
pub fn build_crate(package: &Path, name: &str, folder: &Path) -> Result<Component> {
    let configure = |command: &mut Command| {
        command.arg("--manifest-path").arg(package.join("Cargo.toml"));
        for value in PROFILE_VALUES {
            command.args(["--config", &format!("profile.{PROFILE}.{value}")]);
        }
    };
    let built = build(folder, &[name], configure)?;
    built.into_iter().next().ok_or_else(|| Error::new(format!("{name} was not built")))
}

fn build(folder: &Path, names: &[&str], configure: impl FnOnce(&mut Command)) -> Result<Vec<Component>> {
    let own = folder.join("plugins");
    let told = |error: std::io::Error| Error::new(format!("{}: {error}", own.display()));
    fs::create_dir_all(&own).map_err(told)?;
    // Held until the modules are read: else another cargo could be writing them anew.
    let lock = File::create(own.join("lock")).map_err(told)?;
    lock.lock().map_err(told)?;

    let toolchain = Toolchain::probe(folder)?;
    let mut cargo = toolchain.cargo_build();
    configure(&mut cargo);
    cargo.args(["--profile", PROFILE, "--lib", "--target-dir"]).arg(&own);
    // A user's build.build-dir would be the outer cargo's, whose lock is held while we run.
    cargo.env("CARGO_BUILD_BUILD_DIR", &own).env("CARGO_ENCODED_RUSTFLAGS", FLAGS);
    // A build script's standard output is cargo's; its standard error is shown when the build fails.
    let status = cargo.stdout(Stdio::null()).status();
    let list = names.join(", ");
    let status = status.map_err(|error| Error::new(format!("cargo does not start to compile {list}: {error}")))?;
    if !status.success() {
        let with = toolchain.describe();
        return Err(Error::new(format!(
            "cargo failed to compile {list} for {TARGET} with {with} (its messages are above)"
        )));
    }
    let encode = |name: &&str| {
        let module = own.join(TARGET).join(PROFILE).join(format!("{}.wasm", name.replace('-', "_")));
        let told =
            |error| Error::new(format!("{name} is no plugin: no crate type cdylib? {}: {error}", module.display()));
        component::encode(name, &fs::read(&module).map_err(told)?)
    };
    names.iter().map(encode).collect()
}
