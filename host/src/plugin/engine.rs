//! The one engine of all plugins: its rules for wasm, its clock, the threads that guests run on.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    task::{Context, Poll},
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::{Handle, Runtime};
use wasmtime::{Config, Engine};

use super::{limits, status::Shared};

/// The engine, its clock and its threads. Dropping it lets the threads end.
pub(super) struct Machine {
    pub(super) engine: Engine,
    pub(super) threads: Handle,
    runtime: Mutex<Option<Runtime>>,
}

impl Machine {
    /// Starts the threads that guests run on, and the clock that interrupts guests.
    pub(super) fn start() -> std::io::Result<Self> {
        let engine = Engine::new(&config()).map_err(std::io::Error::other)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(limits::GUEST_THREADS)
            .max_blocking_threads(limits::DISK_THREADS)
            .thread_name("plugin")
            .enable_time()
            .build()?;
        start_ticker(&engine)?;
        Ok(Self { engine, threads: runtime.handle().clone(), runtime: Mutex::new(Some(runtime)) })
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // A runtime may not be dropped within another one; this way it does not wait for its threads.
        if let Some(runtime) = self.runtime.lock().unwrap_or_else(PoisonError::into_inner).take() {
            runtime.shutdown_background();
        }
    }
}

/// The rules of the engine.
fn config() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .wasm_component_model_async(true)
        .max_wasm_stack(limits::WASM_STACK_BYTES)
        .async_stack_size(limits::TASK_STACK_BYTES)
        // A trap's reason is shown to people; a list of wasm functions is not for them.
        .wasm_backtrace_max_frames(None);
    config
}

/// Starts the thread that advances the engine's clock. It ends with the engine.
fn start_ticker(engine: &Engine) -> std::io::Result<()> {
    let engine = engine.weak();
    std::thread::Builder::new().name("plugin-clock".to_owned()).spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(limits::TICK);
        }
    })?;
    Ok(())
}

/// How many ticks a time is, at least one.
pub(super) fn ticks(time: Duration) -> u32 {
    u32::try_from(time.as_millis() / limits::TICK.as_millis()).unwrap_or(u32::MAX).max(1)
}

/// A future that counts the processor time of its polls.
pub(super) struct Metered<F> {
    future: Pin<Box<F>>,
    shared: Arc<Shared>,
}

impl<F: Future> Metered<F> {
    pub(super) fn new(future: F, shared: Arc<Shared>) -> Self {
        Self { future: Box::pin(future), shared }
    }
}

impl<F: Future> Future for Metered<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let before = thread_time_ns();
        let polled = self.future.as_mut().poll(cx);
        let spent = thread_time_ns().saturating_sub(before);
        self.shared.cpu_ns.fetch_add(spent, Ordering::Relaxed);
        polled
    }
}

/// The processor time of this thread.
fn thread_time_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}
