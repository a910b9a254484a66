//! Time, randomness and logging: what every plugin may use.

use std::time::{Duration, SystemTime};

use wasmtime::component::{Accessor, HasSelf};

use crate::plugin::{
    bindings::mute::plugin::{log, random, time, types::Error},
    code, limits,
    state::State,
    status::unix_s,
};

impl time::Host for State {
    fn elapsed_ms(&mut self) -> wasmtime::Result<u64> {
        // A fine clock would let a plugin measure what others on this machine do.
        let step = limits::TICK.as_millis();
        let elapsed = self.started.elapsed().as_millis() / step * step;
        Ok(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }

    fn unix_s(&mut self) -> wasmtime::Result<u64> {
        Ok(unix_s(SystemTime::now()))
    }
}

impl<U: Send> time::HostWithStore<U> for HasSelf<State> {
    async fn sleep(_accessor: &Accessor<U, Self>, ms: u64) -> wasmtime::Result<()> {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        Ok(())
    }
}

impl random::Host for State {
    fn bytes(&mut self, length: u32) -> wasmtime::Result<Result<Vec<u8>, Error>> {
        if length > limits::RANDOM_BYTES {
            let message = format!("at most {} random bytes at a time", limits::RANDOM_BYTES);
            return Ok(Err(Error::new(code::TOO_LARGE, message)));
        }
        let mut bytes = vec![0; length as usize];
        let filled = getrandom::fill(&mut bytes);
        Ok(filled.map(|()| bytes).map_err(|_| Error::new(code::INTERNAL, "the system has no random bytes")))
    }
}

impl log::Host for State {
    fn write(&mut self, level: u8, message: String) -> wasmtime::Result<()> {
        self.shared.log(level.min(3), &message);
        Ok(())
    }
}
