//! What no plugin should do.

use mute_plugin::prelude::*;
use mute_plugin::time;
use std::hint::black_box;
use std::time::Duration;

use crate::Specimen;

/// Computes for ever.
pub fn spin() -> ! {
    let mut n = 0_u64;
    loop {
        n = black_box(n).wrapping_add(1);
    }
}

/// Takes all memory there is.
pub fn eat() -> ! {
    let mut eaten: Vec<Vec<u8>> = Vec::new();
    loop {
        eaten.push(black_box(vec![1; 16 * 1024 * 1024]));
    }
}

/// Computes for long, in steps of some milliseconds: allowed.
pub async fn busy(_: Rc<Specimen>, mut call: Call) -> Result<()> {
    let ms: u64 = call.arguments.parsed("ms")?.unwrap_or_default();
    let end = time::elapsed() + Duration::from_millis(ms);
    while time::elapsed() < end {
        let pause = time::elapsed() + Duration::from_millis(20);
        let mut n = 0_u64;
        while time::elapsed() < pause {
            for _ in 0..1000 {
                n = black_box(n).wrapping_add(1);
            }
        }
        mute_plugin::yield_now().await;
    }
    call.output.text("done").await
}

/// Opens identities until it may not, and says why.
pub async fn hoard(_: Rc<Specimen>, mut call: Call) -> Result<()> {
    let mut held = Vec::new();
    let error = loop {
        match Identity::ephemeral() {
            Ok(identity) => held.push(identity),
            Err(error) => break error,
        }
    };
    let count = held.len();
    call.output.json(&serde_json::json!({ "count": count, "code": error.code() })).await
}

/// Tries to connect to nobody so often, at once, that it holds more options than it may.
pub async fn options(_: Rc<Specimen>, _: Call) -> Result<()> {
    let identity = Rc::new(Identity::ephemeral()?);
    let tries = (0..200).map(|_| {
        let identity = Rc::clone(&identity);
        async move {
            let options = ConnectOptions::new("nobody/1").timeout(Duration::from_secs(60));
            // The listener of this one never takes a connection, so the call hangs and the options stay.
            identity.connect(identity.address(), &options).await.map(drop)
        }
    });
    let _listening = identity.listen("nobody/1")?;
    mute_plugin::futures::future::join_all(tries).await;
    Ok(())
}

/// Starts tasks until the host has enough.
pub async fn tasks(_: Rc<Specimen>, _: Call) -> Result<()> {
    let sleeps = (0..100_000).map(|_| time::sleep(Duration::from_secs(3600)));
    mute_plugin::futures::future::join_all(sleeps).await;
    Ok(())
}

/// Logs more than anybody reads.
pub async fn flood(_: Rc<Specimen>, mut call: Call) -> Result<()> {
    for n in 0..100_000 {
        mute_plugin::log::write(0, &format!("line {n} {}", "x".repeat(100)));
        if n % 100 == 0 {
            mute_plugin::yield_now().await;
        }
    }
    call.output.text("done").await
}

/// Says that something is text that would clear the screen.
pub async fn lie(_: Rc<Specimen>, mut call: Call) -> Result<()> {
    call.output.text("\x1b[2Jall fine\r\nreally").await
}
