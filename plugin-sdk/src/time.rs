//! Time, which comes from the host: `std::time` has no clock here.

use crate::bindings::plugin::mute::plugin::time as host;
use crate::task::first;
use futures_util::future::Either;
use std::future::Future;
use std::time::Duration;

/// Waits.
pub async fn sleep(duration: Duration) {
    host::sleep(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)).await;
}

/// How long the plugin has been running, in steps of 10 ms.
pub fn elapsed() -> Duration {
    Duration::from_millis(host::elapsed_ms())
}

/// Seconds since 1970-01-01 UTC.
pub fn unix_s() -> u64 {
    host::unix_s()
}

/// The future's value, or none after `limit`; then the future is dropped, and with it the work behind it.
pub async fn timeout<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    match first(future, sleep(limit)).await {
        Either::Left(value) => Some(value),
        Either::Right(()) => None,
    }
}
