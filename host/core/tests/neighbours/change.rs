//! Slow change: anchors, restarts, the held place, minimum stay.

use std::{collections::BTreeSet, time::Duration};

use mute_core::neighbours::{Class, End, NodeKey, Rules, limits};

use crate::world::{World, address, friend, host, is_kept, key};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// A node that has had its four for a day.
fn settled(rules: Rules) -> (World, BTreeSet<NodeKey>) {
    let mut world = World::new(rules);
    world.knows(0..200);
    world.run(24 * HOUR, |_| true);
    let chosen: BTreeSet<_> = world.linked(Class::Outbound).into_iter().collect();
    assert_eq!(chosen.len(), limits::OUTBOUND_STRANGERS);
    assert_eq!(world.dialled.len(), chosen.len(), "nobody who stays is given up");
    (world, chosen)
}

#[test]
fn a_restart_keeps_the_anchors() {
    for (anchors, kept) in [(limits::ANCHORS, true), (0, false)] {
        let rules = Rules { anchors, ..Rules::default() };
        let (mut world, before) = settled(rules);
        world.restart(rules, 9);
        world.run(MINUTE, |_| true);
        let after: BTreeSet<_> = world.linked(Class::Outbound).into_iter().collect();
        assert_eq!(after == before, kept, "{anchors} anchors");
    }
}

#[test]
fn a_flood_of_short_links_displaces_no_anchor() {
    let (mut world, before) = settled(Rules::default());
    for number in 1000..11_000 {
        let from = address(number as u16, (number >> 8) as u8, 1);
        let kept = is_kept(world.comes(key(number), from));
        world.pass(Duration::from_millis(100));
        if kept {
            world.lose(key(number), End::Lost);
        }
    }
    world.neighbours.check();
    assert_eq!(world.linked(Class::Outbound).into_iter().collect::<BTreeSet<_>>(), before);
    world.restart(Rules::default(), 9);
    world.run(MINUTE, |_| true);
    assert_eq!(world.linked(Class::Outbound).into_iter().collect::<BTreeSet<_>>(), before);
}

#[test]
fn whoever_comes_back_has_its_place_again() {
    let (mut world, before) = settled(Rules::default());
    let lost = *before.first().expect("four");
    world.lose(lost, End::Lost);
    world.dialled.clear();
    world.run(MINUTE, |_| true);
    assert_eq!(world.dialled, [lost]);
}

#[test]
fn an_unknown_one_waits_while_the_place_is_held() {
    for (hold, early) in [(limits::HOLD, false), (Duration::ZERO, true)] {
        let (mut world, before) = settled(Rules { hold, ..Rules::default() });
        let lost = *before.first().expect("four");
        world.lose(lost, End::Lost);
        world.dialled.clear();
        world.run(limits::HOLD - Duration::from_secs(2), |key| key != lost);
        assert_eq!(world.dialled.iter().any(|key| *key != lost), early, "held for {hold:?}");
        world.run(2 * MINUTE, |key| key != lost);
        assert_eq!(world.linked(Class::Outbound).len(), limits::OUTBOUND_STRANGERS);
    }
}

#[test]
fn nothing_is_held_with_fewer_than_two() {
    let (mut world, before) = settled(Rules::default());
    for lost in &before {
        world.lose(*lost, End::Lost);
    }
    world.run(Duration::from_secs(10), |key| !before.contains(&key));
    assert!(world.linked(Class::Outbound).len() >= 2);
}

/// Loses its four for an hour, so that others take their places, and finds them alive again.
fn displaced(rules: Rules) -> (World, BTreeSet<NodeKey>) {
    let (mut world, before) = settled(rules);
    for lost in &before {
        world.lose(*lost, End::Lost);
    }
    world.run(10 * MINUTE, |key| !before.contains(&key));
    assert!(world.linked(Class::Outbound).iter().all(|key| !before.contains(key)));
    world.dialled.clear();
    (world, before)
}

fn returned(world: &World, before: &BTreeSet<NodeKey>) -> usize {
    world.linked(Class::Outbound).iter().filter(|key| before.contains(key)).count()
}

#[test]
fn a_better_one_takes_a_place_only_after_the_minimum_stay_and_one_at_a_time() {
    let (mut world, before) = displaced(Rules::default());
    // The last voluntary change, the start, is more than a day ago; the stay is what counts.
    world.run(limits::MINIMUM_STAY - 11 * MINUTE, |_| true);
    assert_eq!(returned(&world, &before), 0);
    world.run(HOUR, |_| true);
    assert_eq!(returned(&world, &before), 1);
    world.run(limits::CHANGE_INTERVAL, |_| true);
    assert_eq!(returned(&world, &before), 2);
    // Without the limits all come back in a row; without changes none does.
    let hasty = Rules { minimum_stay: Duration::ZERO, change_interval: Some(Duration::ZERO), ..Rules::default() };
    let (mut world, before) = displaced(hasty);
    world.run(30 * MINUTE, |_| true);
    assert_eq!(returned(&world, &before), 4);
    let (mut world, before) = displaced(Rules { change_interval: None, ..Rules::default() });
    world.run(24 * HOUR, |_| true);
    assert_eq!(returned(&world, &before), 0);
}

#[test]
fn service_outranks_mere_presence_and_counts_once_a_minute() {
    let mut world = World::new(Rules { outbound: 2, anchors: 1, ..Rules::default() });
    world.knows(0..2);
    world.run(MINUTE, |_| true);
    let [first, second] = world.linked(Class::Outbound)[..] else { panic!("two") };
    for _ in 0..60 {
        // The first says it all at once, the second as it comes.
        world.neighbours.served(second, world.now.instant);
        world.run(MINUTE, |_| true);
    }
    for _ in 0..10_000 {
        world.neighbours.served(first, world.now.instant);
    }
    world.run(MINUTE, |_| true);
    let rules = Rules { outbound: 1, anchors: 1, ..Rules::default() };
    world.restart(rules, 9);
    world.run(MINUTE, |_| true);
    assert_eq!(world.dialled.first(), Some(&second));
}

#[test]
fn whoever_dialled_us_is_never_an_anchor() {
    let mut world = World::new(Rules::default());
    for number in 0..limits::LEAST_LINKS as u32 {
        assert!(is_kept(world.comes(key(number), host(number).address)));
    }
    world.run(100 * HOUR, |_| true);
    world.restart(Rules::default(), 9);
    world.run(HOUR, |_| true);
    assert!(world.dialled.is_empty());
}

#[test]
fn a_friend_is_dialled_again_and_again_with_growing_waits() {
    let mut world = World::new(Rules::default());
    world.neighbours.befriend(key(1), friend()).expect("room");
    world.run(HOUR, |_| false);
    let attempts = world.dialled.len();
    assert!((60..140).contains(&attempts), "{attempts} in an hour");
    world.run(2 * MINUTE, |_| true);
    assert_eq!(world.linked(Class::Friend), [key(1)]);
}
