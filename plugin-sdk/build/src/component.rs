//! Core modules become components; components from elsewhere are checked.

use crate::{Error, Result};
use std::path::Path;
use wit_component::ComponentEncoder;

/// The first eight bytes of a component: magic, version 13, layer 1 (a core module has version 1, layer 0).
const COMPONENT_HEADER: [u8; 8] = *b"\0asm\x0d\0\x01\0";

/// A compiled plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// The package's name.
    pub name: String,
    /// The WebAssembly component.
    pub bytes: Vec<u8>,
}

/// Turns a core module, which carries its world in custom sections, into a validated component.
pub(crate) fn encode(name: &str, module: &[u8]) -> Result<Component> {
    let failed = |error| Error::new(format!("{name} compiles to a module that is no plugin: {error:#}"));
    let bytes = ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|encoder| encoder.encode())
        .map_err(failed)?;
    Ok(Component { name: name.to_owned(), bytes })
}

/// Checks that `bytes` begin as a component does. (Whether it holds a valid one is for the runtime that loads it.)
///
/// # Errors
/// If they are a core module, or no WebAssembly at all.
pub fn check_component(bytes: &[u8]) -> Result<()> {
    match bytes.get(..COMPONENT_HEADER.len()) {
        Some(header) if header == COMPONENT_HEADER => Ok(()),
        Some(header) if header.starts_with(b"\0asm") => {
            Err(Error::new("is a core WebAssembly module, not a component: build it with mute-plugin-build"))
        }
        _ => Err(Error::new("is not WebAssembly")),
    }
}

/// Reads `<name>.wasm` for each name from a folder of prebuilt plugins.
///
/// # Errors
/// If a file is missing or is not a component.
pub fn load_prebuilt(folder: &Path, names: &[&str]) -> Result<Vec<Component>> {
    let load = |name: &&str| {
        let path = folder.join(format!("{name}.wasm"));
        let told = |why: String| Error::new(format!("prebuilt plugin {}: {why}", path.display()));
        let bytes = std::fs::read(&path).map_err(|error| told(error.to_string()))?;
        check_component(&bytes).map_err(|error| told(error.to_string()))?;
        Ok(Component { name: (*name).to_owned(), bytes })
    };
    names.iter().map(load).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_components_pass() {
        let empty = encode("empty", b"\0asm\x01\0\0\0").unwrap();
        check_component(&empty.bytes).unwrap();
        assert!(check_component(b"\0asm\x01\0\0\0").unwrap_err().to_string().contains("core WebAssembly module"));
        assert!(check_component(b"#!/bin/sh\n").unwrap_err().to_string().contains("not WebAssembly"));
        assert!(check_component(b"\0as").is_err());
    }

    #[test]
    fn a_module_with_unknown_imports_is_refused_by_name() {
        // (module (import "env" "f" (func)))
        let module = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x02\x09\x01\x03env\x01f\0\0";
        assert!(encode("sneaky", module).unwrap_err().to_string().starts_with("sneaky compiles to"));
    }

    #[test]
    fn prebuilt_plugins_are_checked() {
        let folder = tempfile::tempdir().unwrap();
        let good = encode("empty", b"\0asm\x01\0\0\0").unwrap().bytes;
        std::fs::write(folder.path().join("good.wasm"), &good).unwrap();
        std::fs::write(folder.path().join("bad.wasm"), b"\0asm\x01\0\0\0").unwrap();
        assert_eq!(load_prebuilt(folder.path(), &["good"]).unwrap()[0].bytes, good);
        let bad = load_prebuilt(folder.path(), &["good", "bad"]).unwrap_err().to_string();
        assert!(bad.contains("bad.wasm: is a core"), "{bad}");
        assert!(load_prebuilt(folder.path(), &["none"]).unwrap_err().to_string().contains("none.wasm"));
    }
}
