//! Signatures: a neighbour sends as many messages as its link carries, each of which has to be verified.

use std::{hint::black_box, time::Duration};

use bytes::Bytes;
use mute_core::{
    IdentityKey, Instant, KnownMessages, VERIFICATION_BURST, VERIFICATIONS_PER_SECOND, VerificationBudget,
    wire::{Decoded, Frame, LENGTH_PREFIX, Signed, Stamp, Verified, Walk, Way, decode_frame},
};

use crate::{NETWORK, Record, wire_bytes};

/// The attacker's link: 10 Mbit/s, in bytes a second.
const RATE: u64 = 1_250_000;

/// How long it sends, in seconds.
const TIME: u64 = 60;

/// Messages whose verification is timed.
const TIMED: u32 = 2000;

/// So many at once.
const BATCH: usize = 20;

/// Puts the figures and the verdicts on a record.
pub(super) fn run(record: &mut Record, seed: u64) {
    let messages = (0..TIMED).map(|number| message(seed, number)).collect::<Vec<Bytes>>();
    let length = messages.first().map_or(1, Bytes::len);
    let sent = RATE / wire_bytes(length + LENGTH_PREFIX);
    let (mut budget, mut verified) = (VerificationBudget::new(Instant::default()), 0u64);
    let mut at = Duration::ZERO;
    while at < Duration::from_secs(TIME) {
        match budget.take(Instant::from_origin(at)) {
            Ok(()) => {
                verified += 1;
                at += Duration::from_secs(1) / sent as u32;
            }
            // What waits stays in QUIC's window, and the neighbour's link with it.
            Err(wait) => at += wait,
        }
    }
    let bound = f64::from(VERIFICATIONS_PER_SECOND) + f64::from(VERIFICATION_BURST) / TIME as f64;
    let a_second = verified as f64 / TIME as f64;
    record.figure("signatures a second that a link of 10 Mbit/s brings", "", sent as f64);
    record.at_most("signatures a second that are checked for it", "", a_second, bound + 1.0);
    record.check(
        "without the budget they are more",
        sent as f64 > 2.0 * a_second,
        format!("{sent} against {a_second}"),
    );
    let mut known = KnownMessages::new(NETWORK, [3; 32]);
    let mut held = 0u32;
    // The fastest of some: in the others something else had the core.
    let mut each = f64::INFINITY;
    for batch in messages.chunks(BATCH) {
        let start = std::time::Instant::now();
        for message in batch {
            if let Ok(Decoded::Frame(frame)) = decode_frame(message.clone()) {
                held += u32::from(black_box(known.verify(frame)).is_ok());
            }
        }
        each = each.min(start.elapsed().as_secs_f64() / batch.len() as f64);
    }
    record.exactly("messages whose signature holds", "", f64::from(held), f64::from(TIMED));
    for message in &messages[TIMED as usize / 2..] {
        if let Ok(Decoded::Frame(frame)) = decode_frame(message.clone()) {
            held += u32::from(known.recognise(frame).is_ok());
        }
    }
    record.machine("a signature's check", "µs", each * 1e6);
    record.machine("of a core, with the budget", "", each * a_second);
    record.machine("of a core, without", "", each * sent as f64);
    let copies = f64::from(held - TIMED);
    record.exactly("copies in identical bytes that are checked again", "", f64::from(TIMED / 2) - copies, 0.0);
}

fn message(seed: u64, number: u32) -> Bytes {
    let key = IdentityKey::from_seed(&crate::derive(seed, "signature", u64::from(number)));
    let stamp = Stamp { minute: 1, random: u64::from(number) };
    let Ok(message) = Signed::<Walk, Verified>::sign(NETWORK, &key, stamp) else {
        return Bytes::new();
    };
    let frame = Frame::Walk { way: Way::Stem, message };
    let mut bytes = bytes::BytesMut::new();
    frame.write_header(&mut bytes);
    bytes.extend_from_slice(&frame.body());
    bytes.freeze().slice(LENGTH_PREFIX..)
}
