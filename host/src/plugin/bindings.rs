//! What `plugin.wit` says, as Rust: the imports as traits that [`super::state::State`] implements, the exports as callers.

wasmtime::component::bindgen!({
    path: "../plugin-sdk/wit",
    world: "plugin-with-commands",
    imports: {
        // These work on the disk or on the network's tables for a moment, while the guest waits.
        "mute:plugin/routing.[static]identity.open": async | trappable,
        "mute:plugin/routing.[static]identity.ephemeral": async | trappable,
        "mute:plugin/routing.[static]identity.names": async | trappable,
        "mute:plugin/routing.[static]identity.retire": async | trappable,
        // These make streams, which live in the store.
        "mute:plugin/routing.[method]identity.broadcasts": store | trappable,
        "mute:plugin/routing.[method]identity.letters": store | trappable,
        "mute:plugin/routing.[method]identity.listen": store | trappable,
        "mute:plugin/routing.[method]connection.accept": store | trappable,
        "mute:plugin/routing.[method]channel.receive": store | trappable,
        "mute:plugin/folders.[static]folder.open": async | trappable,
        "mute:plugin/folders.[method]folder.walk": store | trappable,
        "mute:plugin/folders.[method]folder.changes": store | trappable,
        "mute:plugin/folders.[method]file.read": store | trappable,
        // A trap stands for a broken invariant of the host, never for a guest's mistake: that has its error codes.
        default: trappable,
    },
    exports: {
        "mute:plugin/commands.list-commands": async | store,
    },
    with: {
        "mute:plugin/routing.identity": super::imports::Identity,
        "mute:plugin/routing.connect-options": super::imports::ConnectOptions,
        "mute:plugin/routing.connection": super::imports::Connection,
        "mute:plugin/routing.channel": super::imports::Channel,
        "mute:plugin/folders.folder": super::imports::Folder,
        "mute:plugin/folders.file": super::imports::File,
    },
});
