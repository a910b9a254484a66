//! The protocol runs where there is no operating system: nothing in `mute-core` needs a clock, a socket, a thread or
//! randomness of its own, or it would not build for bare WebAssembly.

use std::path::Path;

use mute_plugin_build::{Toolchain, build_folder};

#[test]
fn mute_core_builds_for_webassembly() {
    let own = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let folder = build_folder(own).expect("tests run in a target folder");
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let toolchain = Toolchain::probe(&folder).expect("a toolchain for WebAssembly");
    let status = toolchain
        .cargo_build()
        .args(["--locked", "--package", "mute-core", "--lib", "--target-dir"])
        .arg(own.join("core-for-wasm"))
        .current_dir(workspace)
        .status()
        .expect("cargo starts");
    assert!(status.success(), "mute-core does not build with {}", toolchain.describe());
}
