//! Compiles the plugins that come with the host and embeds them.

use mute_plugin_build::{Component, PREBUILT_VARIABLE};
use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The plugins that come with the host: packages of this workspace, in folders of the same name.
const PLUGINS: &[&str] = &["fileshare", "chat", "webserve"];

fn main() {
    if let Err(error) = embed() {
        // A build script's way to fail with one line instead of a dump.
        println!("cargo::error={error}");
    }
}

fn embed() -> Result<(), Box<dyn Error>> {
    let manifest = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").ok_or("cargo sets no CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets no OUT_DIR")?);
    let workspace = manifest.parent().ok_or("the host lies in no workspace")?;

    let plugins = match std::env::var_os(PREBUILT_VARIABLE).filter(|folder| !folder.is_empty()) {
        Some(folder) => {
            let folder = PathBuf::from(folder);
            mute_plugin_build::rerun_if_changed(PLUGINS.iter().map(|name| folder.join(format!("{name}.wasm"))));
            mute_plugin_build::load_prebuilt(&folder, PLUGINS)?
        }
        None => {
            mute_plugin_build::rerun_if_changed(sources(workspace));
            mute_plugin_build::build_plugins(workspace, PLUGINS, &mute_plugin_build::build_folder(&out)?)?
        }
    };
    write(&out, &plugins)
}

/// Everything a plugin is compiled from.
fn sources(workspace: &Path) -> Vec<PathBuf> {
    let mut paths = ["Cargo.toml", "Cargo.lock", "plugin-sdk/Cargo.toml", "plugin-sdk/src", "plugin-sdk/wit"]
        .map(|path| workspace.join(path))
        .to_vec();
    for name in PLUGINS {
        let plugin = workspace.join("plugins").join(name);
        paths.extend([plugin.join("Cargo.toml"), plugin.join("src")]);
    }
    paths
}

/// Writes each component beside `embedded.rs`, which the host includes.
fn write(out: &Path, plugins: &[Component]) -> Result<(), Box<dyn Error>> {
    let mut table = String::from(
        "/// The plugins that come with the host: name and component.\n\
         pub(crate) static EMBEDDED: &[(&str, &[u8])] = &[\n",
    );
    for Component { name, bytes } in plugins {
        std::fs::write(out.join(format!("{name}.wasm")), bytes)?;
        writeln!(table, "    ({name:?}, include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}.wasm\"))),")?;
    }
    table.push_str("];\n");
    std::fs::write(out.join("embedded.rs"), table)?;
    Ok(())
}
