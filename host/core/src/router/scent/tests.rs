//! The laws of scent.

use core::time::Duration;

use super::*;
use crate::{LinkId, PortId};

const A: Hop = Hop::Link(LinkId(1));
const B: Hop = Hop::Link(LinkId(2));
const PORT: Hop = Hop::Port(PortId(1));

fn scent() -> Scent {
    Scent::new(Keyed::new([1, 2]))
}

fn at(s: u64) -> Instant {
    Instant::from_origin(Duration::from_secs(s))
}

fn address(number: u32) -> Address {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    Address(bytes)
}

#[test]
fn first_arrivals_evaporate_and_copies_add_less() {
    let mut scent = scent();
    scent.lay(address(1), A, 0, at(0));
    scent.lay(address(1), B, 1, at(0));
    assert_eq!(scent.strength(address(1), A), Some(UNIT));
    assert_eq!(scent.strength(address(1), B), Some(UNIT / 2));
    scent.lay(address(1), B, 0, at(1));
    assert_eq!(scent.strength(address(1), A), Some(UNIT / 2));
    assert_eq!(scent.strength(address(1), B), Some(UNIT / 4 + UNIT));
}

/// Draws that have nothing to do with each other.
fn draws(count: u32) -> impl Iterator<Item = u64> {
    (0..count).map(|n| {
        let hash = blake3::hash(&n.to_be_bytes());
        hash.as_bytes().first_chunk().map_or(0, |draw| u64::from_be_bytes(*draw))
    })
}

#[test]
fn chooses_by_the_square_of_scent_never_what_cannot_be_used_and_less_under_load() {
    let mut scent = scent();
    scent.lay(address(1), B, 0, at(0));
    scent.lay(address(1), A, 0, at(0));
    let share = |load: &dyn Fn(Hop) -> Option<u8>| {
        draws(10_000).filter(|draw| scent.choose(address(1), *draw, at(0), load) == Some(A)).count()
    };
    // Four in five for twice the scent, and two in three of the eighth that explores.
    let even = share(&|_| Some(0));
    assert!(even.abs_diff(7_833) < 4 * 42, "{even}");
    let loaded = share(&|hop| Some(if hop == A { 1 } else { 0 }));
    assert!(loaded.abs_diff(4_792) < 4 * 50, "{loaded}");
    assert_eq!(share(&|hop| (hop == B).then_some(0)), 0);
    assert_eq!(scent.choose(address(1), 5, at(0), |_| None), None);
    assert_eq!(scent.choose(address(2), 5, at(0), |_| Some(0)), None);
}

#[test]
fn the_strongest_is_the_same_each_time_unless_it_is_loaded_bad_or_of_no_use() {
    let mut scent = scent();
    scent.lay(address(1), B, 0, at(0));
    scent.lay(address(1), A, 0, at(0));
    assert_eq!(scent.strongest(address(1), at(0), |_| Some(0)), Some(A));
    assert_eq!(scent.strongest(address(1), at(0), |hop| Some(if hop == A { 2 } else { 0 })), Some(B));
    assert_eq!(scent.strongest(address(1), at(0), |hop| (hop == B).then_some(0)), Some(B));
    scent.fail(address(1), A, at(1));
    assert_eq!(scent.strongest(address(1), at(1), |_| Some(0)), Some(B));
    assert_eq!(scent.strongest(address(1), at(1), |hop| (hop == A).then_some(0)), Some(A));
    assert_eq!(scent.strongest(address(2), at(1), |_| Some(0)), None);
}

#[test]
fn weakening_never_erases_and_silence_counts_once_in_a_while() {
    let mut scent = scent();
    scent.lay(address(1), A, 0, at(0));
    for _ in 0..100 {
        scent.weaken_for_silence(address(1), A, at(1));
    }
    assert_eq!(scent.strength(address(1), A), Some(UNIT / 2));
    for _ in 0..100 {
        scent.weaken(address(1), A);
    }
    assert_eq!(scent.strength(address(1), A), Some(WEAKEST));
    assert!(scent.has(address(1), |hop| hop == A));
}

#[test]
fn a_trail_that_proved_bad_turns_choices_elsewhere_until_one_through_it_proves_good() {
    let mut scent = scent();
    scent.lay(address(1), A, 0, at(0));
    scent.lay(address(1), B, 3, at(0));
    let chosen = |scent: &Scent, s: u64| {
        draws(100).filter(|draw| scent.choose(address(1), *draw, at(s), |_| Some(0)) == Some(A)).count()
    };
    assert!(chosen(&scent, 1) > 90);
    scent.fail(address(1), A, at(1));
    assert!(scent.is_bad(address(1), A, at(2)) && !scent.is_bad(address(1), B, at(2)));
    assert_eq!(chosen(&scent, 2), 0);
    assert_eq!(scent.choose(address(1), 7, at(2), |hop| (hop == A).then_some(0)), Some(A), "where there is no other");
    let later = 1 + FAILURE_MEMORY.as_secs();
    assert!(chosen(&scent, later) > 80, "it is tried again");
    scent.fail(address(1), A, at(later));
    scent.strengthen(address(1), A, UNIT / 4, false, at(later));
    assert_eq!(chosen(&scent, later), 0, "a Keep that tells of nothing proves nothing");
    scent.strengthen(address(1), A, UNIT, true, at(later));
    assert!(chosen(&scent, later) > 80);
}

#[test]
fn whoever_mints_addresses_evicts_its_own_on_probation_first() {
    let mut scent = scent();
    scent.lay(address(1), A, 0, at(0));
    scent.lay(address(2), PORT, 0, at(0));
    scent.lay(address(3), B, 0, at(0));
    scent.lay(address(3), B, 0, at(PROBATION.as_secs()));
    let start = PROBATION.as_secs();
    for number in 10..3 * MAX_ROWS as u32 {
        scent.lay(address(number), B, 0, at(start + u64::from(number) / 1000));
    }
    assert_eq!(scent.len(), MAX_ROWS);
    assert!(scent.has(address(1), |hop| hop == A) && scent.has(address(2), |hop| hop == PORT), "others lose nothing");
    assert!(scent.has(address(3), |hop| hop == B), "nor what came to stay");
    assert!(!scent.has(address(10), |_| true));
    // Two messages for each address, a minute apart, do not help either: what gives way is still the minter's.
    for number in 0..MAX_ROWS as u32 {
        for s in [0, PROBATION.as_secs()] {
            scent.lay(address(1_000_000 + number), B, 0, at(1000 + u64::from(number) / 10 + s));
        }
    }
    assert!(scent.has(address(1), |hop| hop == A) && scent.has(address(2), |hop| hop == PORT));
    scent.table.assert_consistent();
}

#[test]
fn nobody_with_a_fair_share_or_less_loses_a_row_to_others() {
    let mut scent = scent();
    let share = MAX_ROWS as u32 / 3;
    for number in 0..share {
        scent.lay(address(number), A, 0, at(0));
    }
    for number in 0..MAX_ROWS as u32 {
        scent.lay(address(100_000 + number), B, 0, at(1));
    }
    for number in 0..MAX_ROWS as u32 {
        scent.lay(address(200_000 + number), PORT, 0, at(2));
    }
    assert!((0..share).all(|number| scent.has(address(number), |hop| hop == A)));
    let held = |hop| scent.table.slot(hop).map_or(0, |slot| scent.table.rows_of(slot));
    assert!(held(B).abs_diff(held(PORT)) <= 2, "{} and {} share the rest", held(B), held(PORT));
    scent.table.assert_consistent();
}

#[test]
fn an_address_that_others_bring_as_well_is_not_lost_with_a_minters_rows() {
    let mut scent = scent();
    for number in 10..1000 {
        scent.lay(address(number), A, 0, at(0));
    }
    scent.lay(address(1), A, 0, at(0));
    scent.lay(address(1), B, 0, at(PROBATION.as_secs()));
    for number in 10_000..10_000 + 2 * MAX_ROWS as u32 {
        scent.lay(address(number), A, 0, at(100));
    }
    assert!(scent.has(address(1), |hop| hop == A), "it is charged to the modest hop");
}

#[test]
fn rows_with_live_trails_give_way_last_and_do_not_expire() {
    let mut scent = scent();
    scent.lay(address(1), A, 0, at(0));
    scent.count_live(address(1), true, at(0));
    for number in 10..MAX_ROWS as u32 + 100 {
        scent.lay(address(number), A, 0, at(1));
    }
    assert!(scent.has(address(1), |_| true));
    scent.expire(at(601));
    assert_eq!((scent.len(), scent.next_expiry()), (1, None));
    scent.count_live(address(1), false, at(601));
    assert_eq!(scent.next_expiry(), Some(at(1201)));
    scent.expire(at(1201));
    assert_eq!(scent.len(), 0);
    scent.table.assert_consistent();
}

#[test]
fn a_hop_that_is_gone_leaves_nothing() {
    let mut scent = scent();
    scent.lay(address(1), A, 0, at(0));
    scent.lay(address(1), B, 1, at(0));
    scent.lay(address(2), A, 0, at(0));
    scent.forget_hop(A, at(1));
    assert!(scent.has(address(1), |hop| hop == B));
    assert!(!scent.has(address(1), |hop| hop == A));
    assert!(!scent.has(address(2), |_| true));
    scent.table.assert_consistent();
    assert_eq!((scent.table.slot(A), scent.len()), (None, 1));
}

#[test]
fn a_row_takes_less_than_150_bytes() {
    for rows in [300, 3_000, MAX_ROWS as u32] {
        let mut scent = scent();
        for number in 0..rows {
            for rank in 0..4u8 {
                scent.lay(address(number), Hop::Link(LinkId(u64::from(rank))), rank, at(0));
            }
        }
        let each = scent.table.bytes() / rows as usize;
        assert!(each < 150, "{each} bytes for each of {rows} rows");
    }
}

#[test]
fn lists_and_rows_agree_whatever_happens() {
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng as _};
    use rand_core::Rng as _;
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut scent = scent();
    let hops = [A, B, PORT, Hop::Link(LinkId(9))];
    for step in 0..200_000u64 {
        let draw = rng.next_u64();
        let (address, hop, now) = (address((draw % 40) as u32), hops[(draw >> 8) as usize % 4], at(step / 20));
        match (draw >> 16) % 32 {
            0 if (draw >> 32).is_multiple_of(64) => scent.forget_hop(hop, now),
            1 => scent.count_live(address, true, now),
            2 | 3 => scent.count_live(address, false, now),
            4 => scent.strengthen(address, hop, (draw >> 40) as u32 % (2 * UNIT), draw >> 63 == 1, now),
            5 => scent.weaken(address, hop),
            6 => scent.fail(address, hop, now),
            7 => scent.weaken_for_silence(address, hop, now),
            8 if (draw >> 32).is_multiple_of(16) => scent.expire(now),
            _ => scent.lay(address, hop, (draw >> 40) as u8 % 5, now),
        }
        if step.is_multiple_of(64) {
            scent.table.assert_consistent();
        }
    }
    assert!(scent.len() > 10);
}
