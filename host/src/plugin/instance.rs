//! One life of a plugin: a store, an instance, its `run`, and the commands beside it.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};

use futures_util::{
    future::BoxFuture,
    stream::{FuturesUnordered, StreamExt as _},
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use wasmtime::{
    Store, UpdateDeadline,
    component::{Accessor, FutureReader, StreamReader},
};

use super::{
    bindings::{
        exports::mute::plugin::{commands, service},
        mute::plugin::types::Error,
    },
    code,
    command::{Call, CallError, Invoke, Output, cleaned},
    component::Version,
    engine::{Machine, Metered, ticks},
    imports::{Forward, Once, ReceiverBytes},
    limits,
    state::{Host, State},
    status::{Shared, clean},
};

/// How a life ended.
#[derive(Debug)]
pub(super) enum Exit {
    /// `run` returned.
    Returned(Result<(), String>),
    /// It trapped, or broke a limit; in words.
    Failed(String),
}

/// A running instance, as its supervisor sees it.
pub(super) struct Running {
    /// Ends with the life. Aborting it drops the store wherever the guest is.
    pub(super) task: JoinHandle<Exit>,
    /// Asks the guest to stop.
    pub(super) stop: Option<oneshot::Sender<()>>,
    /// What is asked of it.
    pub(super) calls: mpsc::Sender<Call>,
}

/// Starts a life on the threads of guests.
pub(super) fn start(
    machine: &Machine,
    version: &Version,
    host: Arc<Host>,
    shared: Arc<Shared>,
    spin: Duration,
) -> Running {
    let (stop, stopped) = oneshot::channel();
    let (calls, inbox) = mpsc::channel(limits::COMMANDS);
    let (version, engine) = (version.clone(), machine.engine.clone());
    let life = {
        let shared = Arc::clone(&shared);
        async move {
            let store = new_store(&engine, State::new(host, shared), spin);
            live(store, &version, stopped, inbox).await
        }
    };
    let task = machine.threads.spawn(Metered::new(life, shared));
    Running { task, stop: Some(stop), calls }
}

/// A guest computed for too long.
#[derive(Debug, thiserror::Error)]
#[error("it ran for more than {0} seconds without a pause")]
struct Spun(u64);

fn new_store(engine: &wasmtime::Engine, state: State, spin: Duration) -> Store<State> {
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.limiter);
    store.set_hostcall_fuel(limits::CALL_BYTES);
    store.set_max_component_handles(limits::HANDLES);
    if let Some(table) = store.concurrent_resource_table() {
        table.set_max_capacity(limits::CONCURRENT);
    }
    let most = ticks(spin);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |context| {
        if context.data().spin_ticks.fetch_add(1, Ordering::Relaxed) >= most {
            return Err(Spun(spin.as_secs()).into());
        }
        // Others go on; this guest is continued after them.
        Ok(UpdateDeadline::Yield(1))
    });
    store
}

/// Lives: instantiates, runs, serves calls until `run` returns or something breaks.
async fn live(
    mut store: Store<State>,
    version: &Version,
    stopped: oneshot::Receiver<()>,
    inbox: mpsc::Receiver<Call>,
) -> Exit {
    let refused = store.data().limiter.refused();
    let spin_ticks = Arc::clone(&store.data().spin_ticks);
    let lived = async {
        let instance = version.instance.instantiate_async(&mut store).await?;
        let service = version.service.load(&mut store, &instance)?;
        let commands = version.commands.as_ref().map(|indices| indices.load(&mut store, &instance)).transpose()?;
        let stop = FutureReader::new(&mut store, signal(stopped))?;
        let work = async |accessor: &Accessor<State>| {
            let serving = serve(accessor, &service, commands.as_ref(), stop, inbox);
            let mut serving = pin!(serving);
            // The event loop comes by here between any two steps of the guest, and only then: it has not spun.
            poll_fn(|cx| {
                spin_ticks.store(0, Ordering::Relaxed);
                serving.as_mut().poll(cx)
            })
            .await
        };
        store.run_concurrent(work).await?
    };
    let lived: wasmtime::Result<Result<(), Error>> = lived.await;
    match lived {
        Ok(returned) => Exit::Returned(returned.map_err(|error| error.cleaned().message)),
        Err(error) => Exit::Failed(in_words(&error, &refused)),
    }
}

/// A guest's future that resolves with a signal, and stays open without one.
async fn signal(signal: oneshot::Receiver<()>) -> wasmtime::Result<()> {
    if signal.await.is_err() {
        std::future::pending::<()>().await;
    }
    Ok(())
}

/// Runs the service, and commands beside it.
async fn serve(
    accessor: &Accessor<State>,
    service: &service::Guest,
    commands: Option<&commands::Guest>,
    stop: FutureReader<()>,
    mut inbox: mpsc::Receiver<Call>,
) -> wasmtime::Result<Result<(), Error>> {
    let mut running = pin!(service.call_run(accessor, stop));
    let mut calls: FuturesUnordered<BoxFuture<'_, wasmtime::Result<()>>> = FuturesUnordered::new();
    poll_fn(|cx| {
        if let Poll::Ready(returned) = running.as_mut().poll(cx) {
            return Poll::Ready(returned);
        }
        while calls.len() < limits::COMMANDS {
            // The supervisor holds the other end while this lives; once it is gone nothing is asked any more.
            let Poll::Ready(Some(call)) = inbox.poll_recv(cx) else { break };
            calls.push(Box::pin(answer(accessor, commands, call)));
        }
        while let Poll::Ready(Some(answered)) = calls.poll_next_unpin(cx) {
            // A call that trapped took the store with it.
            if let Err(error) = answered {
                return Poll::Ready(Err(error));
            }
        }
        Poll::Pending
    })
    .await
}

/// Answers one call.
async fn answer(accessor: &Accessor<State>, commands: Option<&commands::Guest>, call: Call) -> wasmtime::Result<()> {
    let Some(commands) = commands else {
        let none = CallError::new(code::NOT_FOUND, "this plugin has no commands");
        match call {
            Call::List(reply) => drop(reply.send(Ok(Vec::new()))),
            Call::Invoke(invoke) => drop(invoke.end.send(Err(none))),
        }
        return Ok(());
    };
    match call {
        Call::List(reply) => {
            let list = commands.call_list_commands(accessor).await?;
            // Who asked may have stopped waiting.
            let _ = reply.send(Ok(cleaned(list)));
            Ok(())
        }
        Call::Invoke(invoke) => run_command(accessor, commands, invoke).await,
    }
}

/// Runs a command to its end. Cancelling asks the guest: a call can't be taken back without losing the store.
async fn run_command(accessor: &Accessor<State>, commands: &commands::Guest, invoke: Invoke) -> wasmtime::Result<()> {
    let Invoke { name, arguments, input, output, end, cancelled } = invoke;
    let (input, cancelled) = accessor.with(|mut access| {
        let input = StreamReader::new(&mut access, ReceiverBytes(input))?;
        // The one who asked is gone: that cancels too.
        let cancelled = FutureReader::new(&mut access, async move {
            let _ = cancelled.await;
            Ok::<_, wasmtime::Error>(())
        })?;
        Ok::<_, wasmtime::Error>((input, cancelled))
    })?;
    let (said, returned) = commands.call_invoke(accessor, name, arguments, input, cancelled).await?;
    let (once, ended) = Once::new();
    accessor.with(|mut access| {
        said.pipe(&mut access, Forward::<commands::Output, Output, _>::new(output, Output::from))?;
        returned.pipe(&mut access, once)
    })?;
    let ended = ended.await.unwrap_or_else(|_| Err(Error::new(code::CANCELLED, "the command ended without a word")));
    // Who asked may be gone.
    let _ = end.send(ended.map_err(CallError::from));
    Ok(())
}

/// Why a life failed, for people.
fn in_words(error: &wasmtime::Error, refused_memory: &AtomicBool) -> String {
    let is_unreachable = matches!(error.downcast_ref(), Some(wasmtime::Trap::UnreachableCodeReached));
    let is_trap = error.downcast_ref::<wasmtime::Trap>().is_some();
    if refused_memory.load(Ordering::Relaxed) && (is_unreachable || !is_trap) {
        return format!("it wanted more memory than its limit of {} MiB", limits::MEMORY_BYTES >> 20);
    }
    if let Some(spun) = error.downcast_ref::<Spun>() {
        return spun.to_string();
    }
    if is_unreachable {
        return "it panicked (its last log lines may say why)".to_owned();
    }
    clean(&error.root_cause().to_string())
}
