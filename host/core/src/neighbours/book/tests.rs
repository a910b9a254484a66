//! The book against those who would fill it.

use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng as _};

use super::*;

const NOW_S: u64 = 1_800_000_000;

fn key(number: u32) -> NodeKey {
    let mut key = [3; 32];
    key[..4].copy_from_slice(&number.to_be_bytes());
    NodeKey(key)
}

fn at(provider: u16, line: u8, machine: u8) -> NeighbourAddress {
    let [a, b] = provider.to_be_bytes();
    NeighbourAddress::at(([20 + a, b, line, machine], 4848).into())
}

/// A book with a hundred addresses that answer, each of a provider of its own.
fn honest(fixed_places: bool, rng: &mut ChaCha12Rng) -> Book {
    let mut book = Book::new([7; 32], Group::HIDDEN, fixed_places);
    for number in 0..100 {
        book.prove(key(number), at(number as u16, 0, 1), Origin::Itself, NOW_S, rng);
    }
    book
}

fn left(book: &Book) -> usize {
    (0..100).filter(|number| book.get(key(*number)).is_some()).count()
}

#[test]
fn a_flood_of_addresses_displaces_nobody_who_answers() {
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    for fixed_places in [true, false] {
        let mut book = honest(fixed_places, &mut rng);
        let before = left(&book);
        for number in 1000..21_000_u32 {
            let address = at(500 + (number % 64) as u16, (number >> 6) as u8, number as u8);
            book.hear(key(number), address, Origin::Told(address.group()), NOW_S, &mut rng);
            book.prove(key(number), address, Origin::Itself, NOW_S, &mut rng);
        }
        if fixed_places {
            assert_eq!(left(&book), before);
        } else {
            assert!(left(&book) < 10, "newcomers took the places of all but {}", left(&book));
        }
    }
}

#[test]
fn one_origin_reaches_few_buckets_and_one_prefix_fewer() {
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let mut book = Book::new([7; 32], Group::HIDDEN, true);
    let teller = Origin::Told(at(1, 1, 1).group());
    for number in 0..50_000_u32 {
        book.hear(key(number), at((number % 8000) as u16, (number / 8000) as u8, 1), teller, NOW_S, &mut rng);
    }
    let places = usize::from(BUCKET_SIZE);
    assert!(book.len() > places * 8, "{} of one origin", book.len());
    assert!(book.len() <= places * usize::from(NEW_BUCKETS_PER_ORIGIN), "{} of one origin", book.len());
    let mut book = Book::new([7; 32], Group::HIDDEN, true);
    for number in 0..256_u32 {
        book.prove(key(number), at(1, 1, number as u8), Origin::Itself, NOW_S, &mut rng);
    }
    let tried = book.entries.values().filter(|entry| entry.place.tried).count();
    assert!(tried <= places * usize::from(TRIED_BUCKETS_PER_PREFIX), "{tried} of one prefix");
}

#[test]
fn an_address_that_fails_gives_way_and_is_forgotten() {
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let mut book = Book::new([7; 32], Group::HIDDEN, true);
    let (first, now) = (at(1, 1, 1), Instant::default());
    book.hear(key(1), first, Origin::Given, NOW_S, &mut rng);
    // The same host under another key wants the same place.
    book.hear(key(2), first, Origin::Given, NOW_S, &mut rng);
    assert!(book.get(key(2)).is_none());
    book.failed(key(1), now, NOW_S, 0);
    book.hear(key(2), first, Origin::Given, NOW_S, &mut rng);
    assert!(book.get(key(2)).is_some() && book.get(key(1)).is_none());
    for _ in 0..NEW_ATTEMPTS {
        assert!(book.get(key(2)).is_some());
        book.failed(key(2), now, NOW_S, 0);
    }
    assert_eq!(book.len(), 0);
    // One that was reached is kept through a bad night, and through no more.
    book.prove(key(3), first, Origin::Given, NOW_S, &mut rng);
    for _ in 0..2 * TRIED_ATTEMPTS {
        book.failed(key(3), now, NOW_S, 0);
    }
    assert_eq!(book.len(), 1);
    book.failed(key(3), now, NOW_S + FRESH_S + 1, 0);
    assert_eq!(book.len(), 0);
}

#[test]
fn nobody_moves_anothers_entry_and_stale_ones_go() {
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let mut book = Book::new([7; 32], Group::HIDDEN, true);
    book.hear(key(1), at(1, 1, 1), Origin::Given, NOW_S, &mut rng);
    book.hear(key(1), at(2, 1, 1), Origin::Itself, NOW_S + STALE_S, &mut rng);
    assert_eq!(book.get(key(1)).map(|entry| (entry.address, entry.heard_s)), Some((at(1, 1, 1), NOW_S)));
    book.sweep(NOW_S + STALE_S);
    assert_eq!(book.len(), 1);
    book.sweep(NOW_S + STALE_S + 1);
    assert_eq!(book.len(), 0);
}

#[test]
fn a_share_of_choices_is_a_share_of_prefixes() {
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let mut book = Book::new([7; 32], Group::HIDDEN, true);
    // Twenty prefixes with one address each, one with two hundred.
    for number in 0..20 {
        book.prove(key(number), at(number as u16, 0, 1), Origin::Itself, NOW_S, &mut rng);
    }
    for number in 1000..1200 {
        book.prove(key(number), at(900, 1, number as u8), Origin::Itself, NOW_S, &mut rng);
    }
    let prefixes = (0..20).filter(|number| book.get(key(*number)).is_some()).count() + 1;
    let minted = |by_prefix, rng: &mut ChaCha12Rng| {
        let picks = (0..4000).filter_map(|_| book.pick(by_prefix, rng, |_, _| true));
        picks.filter(|picked| *picked >= key(1000)).count()
    };
    let (by_prefix, by_entry) = (minted(true, &mut rng), minted(false, &mut rng));
    // One of 21; six standard deviations are 81.
    assert!(by_prefix.abs_diff(4000 / prefixes) < 81, "{by_prefix}");
    // Its places in the book are few; without the choice by prefix it has a share as large as those.
    assert!(by_entry > 5 * by_prefix, "{by_entry}");
}
