//! Doing several things at once, and stopping.

use futures_util::FutureExt as _;
use futures_util::future::{Either, LocalBoxFuture, Shared, select};
use std::cell::{Cell, RefCell};
use std::future::{Future, IntoFuture as _, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};
use wit_bindgen::FutureReader;

/// Runs a future beside the current one, until it ends or the plugin does. Bound how many you start: see [`Limit`].
pub fn spawn(future: impl Future<Output = ()> + 'static) {
    wit_bindgen::spawn_local(future);
}

/// Lets other tasks run; to be awaited now and then in a long computation.
pub async fn yield_now() {
    wit_bindgen::yield_async().await;
}

/// Whichever ends first; the other is dropped, and with it the work behind it.
pub async fn first<A: Future, B: Future>(a: A, b: B) -> Either<A::Output, B::Output> {
    match select(pin!(a), pin!(b)).await {
        Either::Left((a, _)) => Either::Left(a),
        Either::Right((b, _)) => Either::Right(b),
    }
}

/// Something that happens once and is waited for in many places: that the plugin is to stop, or its user cancels.
#[derive(Clone)]
pub struct Stop(Shared<LocalBoxFuture<'static, ()>>);

impl Stop {
    /// What happens when `future` ends.
    pub fn when(future: impl Future<Output = ()> + 'static) -> Self {
        Self(future.boxed_local().shared())
    }

    pub(crate) fn from_host(future: FutureReader<()>) -> Self {
        Self::when(future.into_future())
    }

    /// Waits for it.
    pub async fn wait(&self) {
        self.0.clone().await;
    }

    /// The future's value, or none if it happens before; then the future is dropped.
    pub async fn or<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        match first(self.wait(), future).await {
            Either::Left(()) => None,
            Either::Right(value) => Some(value),
        }
    }

    /// Whether it has happened.
    pub fn happened(&self) -> bool {
        self.0.clone().now_or_never().is_some()
    }
}

/// Tells a waiting task that there is something to do. Told many times before it looks, it looks once.
#[derive(Default)]
pub struct Signal {
    raised: Cell<bool>,
    waiting: RefCell<Option<Waker>>,
}

impl Signal {
    /// Wakes the one who waits, or the next who will.
    pub fn raise(&self) {
        self.raised.set(true);
        let waiting = self.waiting.take();
        if let Some(waker) = waiting {
            waker.wake();
        }
    }

    /// Waits until it is raised, and lowers it. One task waits at a time; of two the later one is woken.
    pub async fn wait(&self) {
        poll_fn(|context| {
            if self.raised.replace(false) {
                return Poll::Ready(());
            }
            self.waiting.replace(Some(context.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

/// A bound on how many of a kind may exist at once, such as connections served.
#[derive(Clone)]
pub struct Limit(Rc<Cell<usize>>);

/// A place under a [`Limit`]; free again when dropped.
pub struct Permit(Rc<Cell<usize>>);

impl Limit {
    /// At most `places` at once.
    pub fn new(places: usize) -> Self {
        Self(Rc::new(Cell::new(places)))
    }

    /// A place, if one is free.
    pub fn enter(&self) -> Option<Permit> {
        self.0.set(self.0.get().checked_sub(1)?);
        Some(Permit(Rc::clone(&self.0)))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_add(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::{pending, ready};

    #[test]
    fn stop_ends_what_waits() {
        let stop = Stop::when(ready(()));
        assert!(!Stop::when(pending()).happened());
        assert!(stop.happened() && stop.clone().happened());
        assert_eq!(stop.or(pending::<u8>()).now_or_never(), Some(None));
        assert_eq!(Stop::when(pending()).or(ready(3)).now_or_never(), Some(Some(3)));
    }

    #[test]
    fn a_signal_wakes_once() {
        let signal = Signal::default();
        assert!(signal.wait().now_or_never().is_none());
        signal.raise();
        signal.raise();
        assert!(signal.wait().now_or_never().is_some());
        assert!(signal.wait().now_or_never().is_none());
        let (count, waker) = counting_waker();
        let waiting = std::pin::pin!(signal.wait());
        assert!(waiting.poll(&mut std::task::Context::from_waker(&waker)).is_pending());
        signal.raise();
        assert_eq!(count.load(std::sync::atomic::Ordering::Relaxed), 1);
    }

    /// A waker that counts.
    fn counting_waker() -> (std::sync::Arc<std::sync::atomic::AtomicUsize>, Waker) {
        struct Count(std::sync::Arc<std::sync::atomic::AtomicUsize>);
        impl std::task::Wake for Count {
            fn wake(self: std::sync::Arc<Self>) {
                self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        }
        let count = std::sync::Arc::default();
        (std::sync::Arc::clone(&count), Waker::from(std::sync::Arc::new(Count(count))))
    }

    #[test]
    fn a_limit_holds() {
        let limit = Limit::new(2);
        let (first, second) = (limit.enter(), limit.enter());
        assert!(first.is_some() && second.is_some() && limit.clone().enter().is_none());
        drop(first);
        assert!(limit.enter().is_some());
    }
}
