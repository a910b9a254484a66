//! One plugin's whole life: started, restarted after a crash, replaced, stopped. One task owns it all and takes orders.

use std::{collections::VecDeque, sync::Arc};

use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until, timeout},
};

use super::{
    code,
    command::{Call, CallError},
    component::{Compiler, Source, Version},
    engine::Machine,
    instance::{self, Exit, Running},
    limits::Timing,
    state::Host,
    status::{PluginState, Shared},
};

/// What a supervisor is told to do.
pub(super) enum Order {
    /// Run, and forget earlier crashes.
    Enable,
    /// Stop, and stay so.
    Disable,
    /// Stop and start anew, and forget earlier crashes.
    Reload,
    /// Run this from now on, if it compiles and starts; else go on with what there is.
    Replace(Source),
    /// Something for the running instance.
    Call(Call),
    /// Stop for good. Answered when the plugin has stopped.
    End(oneshot::Sender<()>),
}

/// What all supervisors share.
pub(super) struct Common {
    pub(super) machine: Arc<Machine>,
    pub(super) compiler: Arc<Compiler>,
    pub(super) host: Arc<Host>,
    pub(super) timing: Timing,
}

/// Where the plugin is.
enum Phase {
    /// It does not run, and nothing but an order changes that.
    Idle,
    /// It is to be started.
    Start,
    /// It is started again after a pause.
    Pause(Instant),
    /// It runs.
    Running(Running),
}

pub(super) struct Supervisor {
    common: Arc<Common>,
    shared: Arc<Shared>,
    orders: mpsc::Receiver<Order>,
    enabled: bool,
    /// What runs or is to run; none until a source compiled.
    version: Option<Version>,
    /// When it crashed lately, oldest first; at most [`Timing::crashes`].
    crashes: VecDeque<Instant>,
    phase: Phase,
}

impl Supervisor {
    pub(super) fn new(common: Arc<Common>, shared: Arc<Shared>, orders: mpsc::Receiver<Order>, enabled: bool) -> Self {
        let crashes = VecDeque::new();
        Self { common, shared, orders, enabled, version: None, crashes, phase: Phase::Idle }
    }

    /// Takes orders until the end.
    pub(super) async fn run(mut self) {
        loop {
            let order = match &mut self.phase {
                Phase::Start => {
                    self.start();
                    continue;
                }
                Phase::Idle => self.orders.recv().await,
                Phase::Pause(until) => {
                    let until = *until;
                    tokio::select! {
                        order = self.orders.recv() => order,
                        () = sleep_until(until) => {
                            self.phase = Phase::Start;
                            continue;
                        }
                    }
                }
                Phase::Running(running) => tokio::select! {
                    order = self.orders.recv() => order,
                    exit = &mut running.task => {
                        self.exited(exit_of(exit));
                        continue;
                    }
                },
            };
            match order {
                Some(Order::End(done)) => {
                    self.stop().await;
                    // Who asked may not wait.
                    let _ = done.send(());
                    return;
                }
                Some(order) => self.obey(order).await,
                // The handle is gone: nobody will ask again.
                None => return self.stop().await,
            }
        }
    }

    async fn obey(&mut self, order: Order) {
        match order {
            Order::Enable => {
                self.enabled = true;
                if !matches!(self.phase, Phase::Running(_)) {
                    self.begin_again();
                }
            }
            Order::Disable => {
                self.enabled = false;
                self.stop().await;
            }
            Order::Reload => {
                self.stop().await;
                self.begin_again();
            }
            Order::Replace(source) => self.replace(source).await,
            Order::Call(call) => self.call(call),
            Order::End(_) => {}
        }
    }

    /// Starts with a clean record, if it may.
    fn begin_again(&mut self) {
        self.crashes.clear();
        if self.enabled && self.version.is_some() {
            self.phase = Phase::Start;
        }
    }

    fn start(&mut self) {
        let Some(version) = &self.version else {
            self.phase = Phase::Idle;
            return;
        };
        self.shared.set_version(version.origin, &version.hash);
        let running = self.launch(version);
        self.shared.set_state(PluginState::Running);
        self.phase = Phase::Running(running);
    }

    fn launch(&self, version: &Version) -> Running {
        let (host, shared) = (Arc::clone(&self.common.host), Arc::clone(&self.shared));
        instance::start(&self.common.machine, version, host, shared, self.common.timing.spin)
    }

    /// The plugin ended without having been asked to.
    fn exited(&mut self, exit: Exit) {
        let timing = &self.common.timing;
        self.shared.set_last_error(reason(&exit));
        let now = Instant::now();
        self.crashes.retain(|crash| now.duration_since(*crash) < timing.crash_window);
        self.crashes.push_back(now);
        if self.crashes.len() >= timing.crashes {
            tracing::warn!(plugin = &*self.shared.name, "a plugin crashed too often: it is quarantined");
            self.shared.set_state(PluginState::Quarantined);
            self.phase = Phase::Idle;
            return;
        }
        let doublings = u32::try_from(self.crashes.len() - 1).unwrap_or(u32::MAX);
        let pause = timing.backoff.saturating_mul(2_u32.saturating_pow(doublings)).min(timing.backoff_most);
        tracing::warn!(plugin = &*self.shared.name, ?pause, "a plugin crashed: it starts again after a pause");
        self.shared.set_state(PluginState::Crashed);
        self.shared.count_restart();
        self.phase = Phase::Pause(now + pause);
    }

    /// Asks the plugin to stop, waits, and stops it.
    async fn stop(&mut self) {
        let phase = std::mem::replace(&mut self.phase, Phase::Idle);
        if let Phase::Running(running) = phase {
            self.end(running).await;
        }
        self.shared.set_state(PluginState::Stopped);
    }

    /// Ends a life, in good order if the guest plays along.
    async fn end(&self, mut running: Running) {
        if let Some(stop) = running.stop.take() {
            // It may have ended just now.
            let _ = stop.send(());
        }
        let most = self.common.timing.stop;
        match timeout(most, &mut running.task).await {
            Ok(exit) => {
                if let Exit::Failed(reason) = exit_of(exit) {
                    self.shared.set_last_error(format!("it failed while it was stopping: {reason}"));
                }
            }
            Err(_) => {
                running.task.abort();
                // Resolves when the store is dropped; the guest is interrupted at the next tick.
                let _ = running.task.await;
                self.shared.set_last_error(format!("it did not stop within {} seconds of being asked", most.as_secs()));
            }
        }
    }

    /// Compiles, checks and starts a new version; the old one runs until then, and again if the new one fails.
    async fn replace(&mut self, source: Source) {
        let first = self.version.is_none();
        if first {
            self.shared.set_version(source.origin, &source.hash);
            self.shared.set_state(PluginState::Starting);
        }
        let version = match self.common.compiler.compile(source).await {
            Ok(version) => version,
            Err(reason) => return self.refuse(&reason),
        };
        let old = self.version.replace(version);
        if !self.enabled {
            self.shared.set_state(PluginState::Stopped);
            self.note_version();
            return;
        }
        let was_running = matches!(self.phase, Phase::Running(_));
        self.stop().await;
        self.crashes.clear();
        match old {
            // With nothing to go back to, a failure is a crash like any other.
            Some(old) if was_running => self.try_new(old).await,
            _ => self.phase = Phase::Start,
        }
    }

    fn note_version(&self) {
        if let Some(version) = &self.version {
            self.shared.set_version(version.origin, &version.hash);
        }
    }

    /// A new version can't run at all.
    fn refuse(&mut self, reason: &str) {
        if self.version.is_none() {
            self.shared.set_state(PluginState::Stopped);
            self.shared.set_last_error(reason);
        } else {
            self.shared.set_last_error(format!("a new version was refused, the old one stays: {reason}"));
        }
        tracing::warn!(plugin = &*self.shared.name, "a version of a plugin was refused");
    }

    /// Starts the new version, and the old one again if the new one fails at once.
    async fn try_new(&mut self, old: Version) {
        self.start();
        let Phase::Running(running) = &mut self.phase else { return };
        let Ok(exit) = timeout(self.common.timing.start, &mut running.task).await else { return };
        let reason = reason(&exit_of(exit));
        self.version = Some(old);
        self.start();
        self.shared.set_last_error(format!("a new version did not start, the old one runs again: {reason}"));
        tracing::warn!(plugin = &*self.shared.name, "a new version of a plugin did not start: the old one runs again");
    }

    fn call(&self, call: Call) {
        let refused = match &self.phase {
            Phase::Running(running) => match running.calls.try_send(call) {
                Ok(()) => return,
                Err(mpsc::error::TrySendError::Full(call)) => {
                    (call, CallError::new(code::BUSY, "the plugin has too many commands to do"))
                }
                Err(mpsc::error::TrySendError::Closed(call)) => (call, self.not_running()),
            },
            _ => (call, self.not_running()),
        };
        match refused {
            // Who asked may be gone.
            (Call::List(reply), error) => drop(reply.send(Err(error))),
            (Call::Invoke(invoke), error) => drop(invoke.end.send(Err(error))),
        }
    }

    fn not_running(&self) -> CallError {
        let reason = self.shared.last_error().map(|reason| format!(": {reason}")).unwrap_or_default();
        CallError::new(code::CLOSED, format!("the plugin {} is {}{reason}", self.shared.name, self.shared.state()))
    }
}

/// How a life's task ended.
fn exit_of(joined: Result<Exit, tokio::task::JoinError>) -> Exit {
    joined.unwrap_or_else(|_| Exit::Failed("the host failed while it ran (this is a bug of mute)".to_owned()))
}

/// Why a life ended that was not to end.
fn reason(exit: &Exit) -> String {
    match exit {
        Exit::Returned(Ok(())) => "it returned before it was asked to stop".to_owned(),
        Exit::Returned(Err(message)) => format!("it gave up: {message}"),
        Exit::Failed(reason) => reason.clone(),
    }
}
