//! One plugin's whole life: started, restarted after a crash, replaced, stopped. One task owns it all and takes orders.

use std::{collections::VecDeque, sync::Arc};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
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
    /// It is started again after a pause.
    Pause(Instant),
    /// It runs.
    Running(Running),
}

/// A new version is on trial until then: if it fails before, the version that it replaced runs again.
struct Trial {
    old: Version,
    until: Instant,
}

/// What a supervisor wakes for.
enum Event {
    Order(Option<Order>),
    Compiled(Result<Version, String>),
    PauseOver,
    Exited(Exit),
}

pub(super) struct Supervisor {
    common: Arc<Common>,
    shared: Arc<Shared>,
    orders: mpsc::Receiver<Order>,
    enabled: bool,
    /// What runs or is to run; none until a source compiled.
    version: Option<Version>,
    trial: Option<Trial>,
    /// What is part of this program under the plugin's name: it runs where a file in its place can't.
    builtin: Option<Source>,
    /// The newest source while the plugin is disabled: what doesn't run isn't compiled.
    waiting: Option<Source>,
    /// A source on its way to be a version; a newer source takes its place.
    compiling: Option<JoinHandle<Result<Version, String>>>,
    /// When it crashed lately, oldest first; at most [`Timing::crashes`].
    crashes: VecDeque<Instant>,
    phase: Phase,
}

impl Supervisor {
    pub(super) fn new(
        common: Arc<Common>,
        shared: Arc<Shared>,
        orders: mpsc::Receiver<Order>,
        enabled: bool,
        builtin: Option<Source>,
    ) -> Self {
        Self {
            common,
            shared,
            orders,
            enabled,
            version: None,
            trial: None,
            builtin,
            waiting: None,
            compiling: None,
            crashes: VecDeque::new(),
            phase: Phase::Idle,
        }
    }

    /// Takes orders until the end.
    pub(super) async fn run(mut self) {
        loop {
            match self.next().await {
                Event::Order(Some(Order::End(done))) => {
                    self.stop().await;
                    // Who asked may not wait.
                    let _ = done.send(());
                    return;
                }
                Event::Order(Some(order)) => self.obey(order).await,
                // The handle is gone: nobody will ask again.
                Event::Order(None) => return self.stop().await,
                Event::Compiled(compiled) => {
                    self.compiling = None;
                    self.replace(compiled).await;
                }
                Event::PauseOver => self.start(),
                Event::Exited(exit) => self.exited(&exit),
            }
        }
    }

    async fn next(&mut self) -> Event {
        let compiled = async {
            match &mut self.compiling {
                Some(compiling) => compiling.await.unwrap_or_else(|_| Err("compiling it failed".to_owned())),
                None => std::future::pending().await,
            }
        };
        let turned = async {
            match &mut self.phase {
                Phase::Idle => std::future::pending().await,
                Phase::Pause(until) => {
                    sleep_until(*until).await;
                    Event::PauseOver
                }
                Phase::Running(running) => Event::Exited(exit_of((&mut running.task).await)),
            }
        };
        tokio::select! {
            order = self.orders.recv() => Event::Order(order),
            compiled = compiled => Event::Compiled(compiled),
            event = turned => event,
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
            Order::Replace(source) => self.offer(source),
            Order::Call(call) => self.call(call),
            Order::End(_) => {}
        }
    }

    /// Starts with a clean record, if it may.
    fn begin_again(&mut self) {
        self.crashes.clear();
        if !self.enabled {
            return;
        }
        match self.waiting.take() {
            Some(source) => {
                self.shared.set_state(PluginState::Starting);
                self.compile(source);
            }
            None => self.start(),
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
    fn exited(&mut self, exit: &Exit) {
        self.recover(exit);
        // Last: who is told of the end finds what follows from it.
        self.shared.life_ended(Some(reason(exit)));
    }

    /// Goes back to the old version, pauses, or gives the plugin up.
    fn recover(&mut self, exit: &Exit) {
        let timing = &self.common.timing;
        let now = Instant::now();
        if let Some(trial) = self.trial.take().filter(|trial| now < trial.until) {
            return self.go_back(trial.old, exit);
        }
        self.shared.set_last_error(reason(exit));
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
        self.trial = None;
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
        let failure = match timeout(most, &mut running.task).await {
            Ok(exit) => match exit_of(exit) {
                Exit::Failed(reason) => Some(format!("it failed while it was stopping: {reason}")),
                Exit::Returned(_) => None,
            },
            Err(_) => {
                running.task.abort();
                // Resolves when the store is dropped; the guest is interrupted at the next tick.
                let _ = running.task.await;
                Some(format!("it did not stop within {} seconds of being asked", most.as_secs()))
            }
        };
        if let Some(failure) = &failure {
            self.shared.set_last_error(failure);
        }
        self.shared.life_ended(failure);
    }

    /// Takes a new source: at once if the plugin is to run, else when it is.
    fn offer(&mut self, source: Source) {
        if self.enabled {
            return self.compile(source);
        }
        if let Some(outdated) = self.compiling.take() {
            outdated.abort();
        }
        self.shared.set_version(source.origin, &source.hash);
        self.shared.set_state(PluginState::Stopped);
        self.waiting = Some(source);
    }

    /// Sets a new version's compilation going; the old one runs meanwhile.
    fn compile(&mut self, source: Source) {
        if self.version.is_none() {
            self.shared.set_version(source.origin, &source.hash);
            self.shared.set_state(PluginState::Starting);
        }
        if let Some(outdated) = self.compiling.take() {
            outdated.abort();
        }
        let compiler = Arc::clone(&self.common.compiler);
        self.compiling = Some(tokio::spawn(async move { compiler.compile(source).await }));
    }

    /// Puts a new version in the old one's place, on trial if the old one was running.
    async fn replace(&mut self, compiled: Result<Version, String>) {
        let version = match compiled {
            Ok(version) => version,
            Err(reason) => return self.refuse(&reason),
        };
        self.shared.set_version(version.origin, &version.hash);
        let was_running = matches!(self.phase, Phase::Running(_));
        let old = self.version.replace(version);
        self.stop().await;
        self.crashes.clear();
        if self.enabled {
            let until = Instant::now() + self.common.timing.start;
            // With nothing to go back to, a failure is a crash like any other.
            self.trial = old.filter(|_| was_running).map(|old| Trial { old, until });
            self.start();
        }
    }

    /// A new version can't run at all.
    fn refuse(&mut self, reason: &str) {
        if self.version.is_some() {
            self.shared.set_last_error(format!("a new version was refused, the old one stays: {reason}"));
            // It came while the plugin was disabled, and nothing runs yet. (A quarantined one has its crashes on record.)
            if self.enabled && self.crashes.is_empty() && matches!(self.phase, Phase::Idle) {
                self.start();
            }
        } else if let Some(builtin) = self.builtin.take() {
            self.shared.set_last_error(format!("its file was refused, the built-in version runs: {reason}"));
            self.compile(builtin);
        } else {
            self.shared.set_state(PluginState::Stopped);
            self.shared.set_last_error(reason);
        }
        tracing::warn!(plugin = &*self.shared.name, "a version of a plugin was refused");
    }

    /// The new version failed at once: the old one runs again.
    fn go_back(&mut self, old: Version, exit: &Exit) {
        self.version = Some(old);
        self.start();
        let reason = reason(exit);
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
