//! Makes a folder of prebuilt plugins, for machines that can't compile them (`MUTE_PLUGINS_DIR`):
//! `cargo run -p mute-plugin-build --example components -- FOLDER [PACKAGE]…`

use std::error::Error;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let out = PathBuf::from(arguments.next().ok_or("which folder shall the components go to?")?);
    let named: Vec<String> = arguments.collect();
    let mut packages: Vec<&str> = named.iter().map(String::as_str).collect();
    if packages.is_empty() {
        packages = vec!["fileshare", "chat", "webserve"];
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = mute_plugin_build::build_folder(&std::env::current_exe()?)?;
    std::fs::create_dir_all(&out)?;
    for component in mute_plugin_build::build_plugins(&workspace, &packages, &folder)? {
        let path = out.join(format!("{}.wasm", component.name));
        std::fs::write(&path, &component.bytes)?;
        println!("{} {} bytes", path.display(), component.bytes.len());
    }
    Ok(())
}
