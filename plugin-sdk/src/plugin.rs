//! What a plugin is, and how the host reaches it.

use crate::bindings::commands::exports::mute::plugin::commands as host;
use crate::bindings::commands::{wit_future, wit_stream};
use crate::bindings::plugin::mute::plugin::types;
use crate::commands::{Arguments, Call, Commands};
use crate::stream::End;
use crate::{Error, Output, Reader, Result, Stop, log, spawn};
use std::future::Future;
use std::rc::Rc;
use wit_bindgen::{FutureReader, StreamReader};

/// A plugin. The host makes one value of it (by `Default`) that its service and its commands share.
pub trait Plugin: Default + 'static {
    /// What it does while it is enabled, until `stop` happens. To end before is a crash, after which it is started anew.
    ///
    /// # Errors
    /// Why it can't go on.
    fn run(self: Rc<Self>, stop: Stop) -> impl Future<Output = Result<()>> {
        async move {
            stop.wait().await;
            Ok(())
        }
    }

    /// What it offers on the command line. Exported if the plugin is declared by `plugin!(Name, commands)`.
    fn commands() -> Commands<Self> {
        Commands::new()
    }
}

/// The export `service.run`.
#[doc(hidden)]
pub async fn run<P: Plugin>(plugin: Rc<P>, stop: FutureReader<()>) -> End {
    log::log_panics();
    Ok(plugin.run(Stop::from_host(stop)).await?)
}

/// The export `commands.list-commands`.
#[doc(hidden)]
pub fn list_commands<P: Plugin>() -> Vec<host::Command> {
    log::log_panics();
    P::commands().list()
}

/// The export `commands.invoke`: the command goes on as a task of its own while the host reads what it puts out.
#[doc(hidden)]
pub fn invoke<P: Plugin>(
    plugin: Rc<P>,
    name: String,
    arguments: Vec<(String, String)>,
    input: StreamReader<u8>,
    cancelled: FutureReader<()>,
) -> (StreamReader<host::Output>, FutureReader<End>) {
    log::log_panics();
    let (output, output_read) = wit_stream::new::<host::Output>();
    let (end, end_read) = wit_future::new::<End>(|| Err(types::Error::from(Error::internal("the command broke off"))));
    spawn(async move {
        let call = Call {
            arguments: Arguments::new(arguments),
            output: Output::to_host(output),
            input: Reader::without_proof(input),
            cancelled: Stop::from_host(cancelled),
        };
        let result = P::commands().invoke(plugin, &name, call).await;
        // Fails if the user has gone: then nobody wants to know.
        let _ = end.write(result.map_err(types::Error::from)).await;
    });
    (output_read, end_read)
}

/// Declares the plugin: `plugin!(Name)`, or `plugin!(Name, commands)` if it has commands. Once in a crate.
///
/// It emits the exports for WebAssembly only, so that the crate's tests run anywhere.
#[macro_export]
macro_rules! plugin {
    ($plugin:ty) => {
        $crate::__service!($plugin, {});
    };
    ($plugin:ty, commands) => {
        $crate::__service!($plugin, {
            use $crate::__private::commands::exports::mute::plugin::commands as __commands;
            impl __commands::Guest for __Exported {
                fn list_commands() -> Vec<__commands::Command> {
                    $crate::__private::list_commands::<$plugin>()
                }
                async fn invoke(
                    name: String,
                    arguments: Vec<(String, String)>,
                    input: $crate::__private::wit_bindgen::StreamReader<u8>,
                    cancelled: $crate::__private::wit_bindgen::FutureReader<()>,
                ) -> (
                    $crate::__private::wit_bindgen::StreamReader<__commands::Output>,
                    $crate::__private::wit_bindgen::FutureReader<::std::result::Result<(), __commands::Error>>,
                ) {
                    $crate::__private::invoke(PLUGIN.with(Clone::clone), name, arguments, input, cancelled)
                }
            }
            $crate::__private::commands::export_commands!(__Exported with_types_in $crate::__private::commands);
        });
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __service {
    ($plugin:ty, { $($commands:tt)* }) => {
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, missing_docs, reason = "the exports of WebAssembly, as wit-bindgen makes them")]
        const _: () = {
            struct __Exported;
            thread_local! {
                // One value for all tasks of the instance; WebAssembly has one thread.
                static PLUGIN: ::std::rc::Rc<$plugin> = ::std::rc::Rc::default();
            }
            impl $crate::__private::plugin::exports::mute::plugin::service::Guest for __Exported {
                async fn run(
                    stop: $crate::__private::wit_bindgen::FutureReader<()>,
                ) -> ::std::result::Result<(), $crate::__private::plugin::exports::mute::plugin::service::Error> {
                    $crate::__private::run(PLUGIN.with(Clone::clone), stop).await
                }
            }
            $crate::__private::plugin::export_service!(__Exported with_types_in $crate::__private::plugin);
            $($commands)*
        };
        // Natively nobody calls it: this keeps the compiler from calling the plugin unused.
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn() = || {
            fn is_plugin<P: $crate::Plugin>() {}
            is_plugin::<$plugin>();
        };
    };
}
