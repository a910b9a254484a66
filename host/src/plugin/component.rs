//! From a file's bytes to a component that is ready to run: compiled, and checked to import nothing but `mute:plugin`.

use std::sync::Arc;

use wasmtime::component::{Component, HasSelf, InstancePre, Linker};

use super::{
    bindings::{
        PluginWithCommands,
        exports::mute::plugin::{commands, service},
    },
    cache::Cache,
    engine::Machine,
    limits,
    state::State,
    status::{Origin, clean},
};

/// The interfaces that a plugin may import; `types` holds no functions.
const INTERFACES: [&str; 7] = ["types", "routing", "storage", "folders", "time", "random", "log"];
/// The package that they belong to.
const PACKAGE: &str = "mute:plugin/";
/// How a component starts, and how a core module does.
const COMPONENT_MAGIC: &[u8] = b"\0asm\x0d\0\x01\0";
const MODULE_MAGIC: &[u8] = b"\0asm\x01\0\0\0";
/// Imports that are named in a refusal; the rest is counted.
const NAMED_IMPORTS: usize = 5;

/// A plugin's file as it was found.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) origin: Origin,
    pub(super) hash: blake3::Hash,
    pub(super) bytes: Bytes,
}

/// A component's bytes: part of the program, or read from a file.
pub(super) type Bytes = bytes::Bytes;

impl Source {
    pub(super) fn new(origin: Origin, bytes: Bytes) -> Self {
        Self { origin, hash: blake3::hash(&bytes), bytes }
    }
}

/// A component that is ready to run.
#[derive(Clone)]
pub(super) struct Version {
    pub(super) origin: Origin,
    pub(super) hash: blake3::Hash,
    pub(super) instance: InstancePre<State>,
    pub(super) service: service::GuestIndices,
    /// What it exports for the command line, if it does.
    pub(super) commands: Option<commands::GuestIndices>,
}

/// Makes versions of sources.
pub(super) struct Compiler {
    machine: Arc<Machine>,
    cache: Cache,
    linker: Linker<State>,
    /// One at a time: compiling uses every core that it gets.
    turn: tokio::sync::Mutex<()>,
}

impl Compiler {
    pub(super) fn new(machine: Arc<Machine>, cache: Cache) -> wasmtime::Result<Self> {
        let mut linker = Linker::new(&machine.engine);
        PluginWithCommands::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
        Ok(Self { machine, cache, linker, turn: tokio::sync::Mutex::new(()) })
    }

    /// Compiles and checks a source, in a thread that may take its time.
    ///
    /// # Errors
    /// One line that says what is wrong with it.
    pub(super) async fn compile(self: &Arc<Self>, source: Source) -> Result<Version, String> {
        let _turn = self.turn.lock().await;
        let this = Arc::clone(self);
        let compiled = self.machine.threads.spawn_blocking(move || this.compile_now(&source)).await;
        compiled.unwrap_or_else(|_| Err("compiling it failed".to_owned()))
    }

    fn compile_now(&self, source: &Source) -> Result<Version, String> {
        check_bytes(&source.bytes)?;
        let engine = &self.machine.engine;
        let component = match self.cache.load(engine, &source.hash) {
            Some(component) => component,
            None => {
                let component = Component::from_binary(engine, &source.bytes).map_err(|error| {
                    format!("it is not a valid component: {}", clean(&error.root_cause().to_string()))
                })?;
                self.cache.keep(engine, &source.hash, &component);
                component
            }
        };
        self.check(source, &component)
    }

    /// Links a component and finds its exports.
    fn check(&self, source: &Source, component: &Component) -> Result<Version, String> {
        check_imports(component)?;
        let instance = self
            .linker
            .instantiate_pre(component)
            .map_err(|error| format!("it does not fit this version of mute: {}", clean(&format!("{error:#}"))))?;
        let service = service::GuestIndices::new(&instance)
            .map_err(|_| "it does not export mute:plugin/service, so it is not a plugin".to_owned())?;
        let commands = commands::GuestIndices::new(&instance).ok();
        Ok(Version { origin: source.origin, hash: source.hash, instance, service, commands })
    }
}

/// What can be said before the compiler looks.
fn check_bytes(bytes: &[u8]) -> Result<(), String> {
    if bytes.len() as u64 > limits::COMPONENT_BYTES {
        return Err(format!("it is larger than {} MiB", limits::COMPONENT_BYTES >> 20));
    }
    if bytes.starts_with(MODULE_MAGIC) {
        return Err("it is a core module, not a component: build it with `mute plugin build`".to_owned());
    }
    if !bytes.starts_with(COMPONENT_MAGIC) {
        return Err("it is not a WebAssembly component".to_owned());
    }
    Ok(())
}

/// Refuses a component that wants more of the world than `mute:plugin`.
fn check_imports(component: &Component) -> Result<(), String> {
    let engine = component.engine();
    let component_type = component.component_type();
    let foreign: Vec<_> =
        component_type.imports(engine).map(|(name, _)| name).filter(|name| !is_allowed(name)).collect();
    if foreign.is_empty() {
        return Ok(());
    }
    let named: Vec<_> = foreign.iter().take(NAMED_IMPORTS).map(|name| clean(name)).collect();
    let more = match foreign.len() - named.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Err(format!("it imports {}{more}; a plugin may import only mute:plugin", named.join(", ")))
}

/// Whether an import is one of ours, of whatever version; the linker then compares versions.
fn is_allowed(import: &str) -> bool {
    let Some(rest) = import.strip_prefix(PACKAGE) else { return false };
    let interface = rest.split_once('@').map_or(rest, |(interface, _)| interface);
    INTERFACES.contains(&interface)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_interfaces_are_allowed() {
        assert!(is_allowed("mute:plugin/routing@0.1.0"));
        assert!(is_allowed("mute:plugin/log"));
        assert!(!is_allowed("mute:plugin/shell@0.1.0"));
        assert!(!is_allowed("wasi:cli/stdout@0.2.0"));
        assert!(!is_allowed("mute:pluginx/routing@0.1.0"));
    }

    #[test]
    fn bytes_that_are_no_component_are_named() {
        assert!(check_bytes(b"\0asm\x01\0\0\0").expect_err("a module").contains("core module"));
        assert!(check_bytes(b"#!/bin/sh").expect_err("a script").contains("not a WebAssembly component"));
        assert!(check_bytes(b"").is_err());
        let large = vec![0; limits::COMPONENT_BYTES as usize + 1];
        assert!(check_bytes(&large).expect_err("too large").contains("32 MiB"));
        assert!(check_bytes(COMPONENT_MAGIC).is_ok());
    }
}
