//! What a relay pays for one frame of Data: `cargo run --release -p mute-core --example fast_path`

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "it measures, outside of the core")]

use std::{error::Error, hint::black_box, time::Duration, time::Instant as Clock};

use bytes::Bytes;
use mute_core::{
    Ecn, IdentityKey, Input, Instant, Label, LinkId, NeighbourId, NetworkId, Now, Output, Router, RouterConfig,
    wire::{Frame, Phase, Seek, SeekMode, Signed, Stamp, Trail},
};

const NETWORK: NetworkId = NetworkId([7; 16]);
const FRAMES: u32 = 5_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let now = Now { instant: Instant::default(), unix_s: 1_800_000_000 };
    let mut router = Router::new(RouterConfig::new(NETWORK, [1; 32], [2; 32]), now);
    let (seeker, owner) = (IdentityKey::from_seed(&[1; 32]), IdentityKey::from_seed(&[2; 32]));
    for link in 0..2 {
        router.handle(Input::LinkUp { link: LinkId(link), neighbour: NeighbourId(link), initiator: false }, now);
    }
    // A thousand trails, as on a busy relay.
    let mut labels = Vec::new();
    for n in 0..1000u64 {
        let stamp = Stamp { minute: 30_000_000, random: n };
        let message = Signed::<Seek, _>::sign(NETWORK, &seeker, stamp, owner.address(), &[9; 32])?;
        let id = message.id();
        let now = Now { instant: Instant::from_origin(Duration::from_millis(n * 20)), ..now };
        let frame = Frame::Seek { mode: SeekMode::Flood(Phase::Counted(7)), message };
        router.handle(Input::Frame { link: LinkId(0), frame }, now);
        let message = Signed::<Trail, _>::sign(NETWORK, &owner, stamp, id, &[9; 32])?;
        let frame = Frame::Trail { label: Label(2 * n + 1), message };
        router.handle(Input::Frame { link: LinkId(1), frame }, now);
        while let Some(output) = router.poll() {
            if let Output::Send { frame: Frame::Trail { label, .. }, .. } = output {
                labels.push(label);
            }
        }
    }
    let body = Bytes::from(vec![0; 1400]);
    let start = Clock::now();
    for n in 0..FRAMES {
        let label = labels[n as usize % labels.len()];
        let frame = Frame::Data { label, ecn: Ecn::Capable0, body: body.clone() };
        router.handle(Input::Frame { link: LinkId(0), frame }, now);
        black_box(router.poll());
    }
    println!("{} ns a frame over {} trails", start.elapsed().as_nanos() / u128::from(FRAMES), labels.len());
    assert_eq!(router.counters().data.relayed, u64::from(FRAMES));
    Ok(())
}
