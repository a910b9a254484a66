//! What wit-bindgen makes of `wit/plugin.wit`: the interface in its raw form, behind the types of this crate.

#![allow(clippy::all, missing_docs, unreachable_pub, unsafe_code, unused)]

/// Every import, and the export that every plugin has.
pub mod plugin {
    wit_bindgen::generate!({
        world: "plugin",
        path: "wit",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_service",
        default_bindings_module: "mute_plugin::__private::plugin",
    });
}

/// The export of a plugin with commands. Together with the above it is the world `plugin-with-commands`; that one can't
/// be generated beside `plugin`, because the macros that export `service` would clash.
pub mod commands {
    wit_bindgen::generate!({
        inline: "
            package mute:sdk;
            world with-commands { export mute:plugin/commands@0.1.0; }
        ",
        path: "wit",
        with: { "mute:plugin/types@0.1.0": crate::bindings::plugin::mute::plugin::types },
        pub_export_macro: true,
        export_macro_name: "export_commands",
        default_bindings_module: "mute_plugin::__private::commands",
    });
}
