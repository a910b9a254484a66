//! Who is told of whom, and who is believed.

use std::time::Duration;

use mute_core::neighbours::{Class, Friend, Host, NeighbourAddress, Rules, limits};

use crate::world::{World, address, host, key};

const MINUTE: Duration = Duration::from_secs(60);

/// A node that has reached a hundred others, and has room for who asks.
fn knowing() -> World {
    let mut world = World::new(Rules::default());
    for number in 0..100 {
        world.neighbours.checked(host(number), true, world.now);
    }
    world
}

/// What a stranger from here is told.
fn told(world: &mut World, number: u32, from: NeighbourAddress) -> Vec<Host> {
    world.comes(key(number), from);
    let told = world.neighbours.asked(key(number), world.now).expect("its first question");
    world.neighbours.remove(key(number));
    told
}

#[test]
fn a_prefix_is_told_the_same_under_any_key_and_another_prefix_others() {
    let mut world = knowing();
    let first = told(&mut world, 1000, address(1000, 1, 1));
    assert_eq!(first.len(), limits::MAX_TOLD);
    assert_eq!(told(&mut world, 1001, address(1000, 1, 99)), first);
    let other = told(&mut world, 1002, address(1001, 1, 1));
    assert_ne!(other, first);
    // A thousand keys of one prefix learn no more than one.
    for number in 2000..3000 {
        assert_eq!(told(&mut world, number, address(1000, 1, number as u8)), first);
    }
    world.pass(Duration::from_secs(2 * limits::TOLD_FOR_S));
    assert_ne!(told(&mut world, 3000, address(1000, 1, 1)), first, "another day");
}

#[test]
fn a_neighbour_is_answered_once_in_a_while() {
    let mut world = knowing();
    world.comes(key(1000), address(1000, 1, 1));
    assert!(world.neighbours.asked(key(1000), world.now).is_some());
    assert!(world.neighbours.asked(key(1000), world.now).is_none());
    world.pass(limits::ASK_INTERVAL);
    assert!(world.neighbours.asked(key(1000), world.now).is_some());
    assert!(world.neighbours.asked(key(1001), world.now).is_none(), "no neighbour");
}

#[test]
fn one_of_a_prefix_is_told_of() {
    let mut world = World::new(Rules::default());
    for number in 0..100 {
        let host = Host { key: key(number), address: address(7, 7, number as u8) };
        world.neighbours.checked(host, true, world.now);
    }
    assert_eq!(told(&mut world, 1000, address(1000, 1, 1)).len(), 1);
}

#[test]
fn nobody_is_told_of_a_friend_without_its_consent() {
    for consent in [false, true] {
        let mut world = World::new(Rules::default());
        let Host { key: name, address } = host(1);
        world.neighbours.checked(host(1), true, world.now);
        world.neighbours.befriend(name, Friend { address, dialled: true, told: consent }).expect("room");
        world.run(MINUTE, |_| true);
        assert_eq!(world.linked(Class::Friend), [name]);
        let told = told(&mut world, 1000, crate::world::address(1000, 1, 1));
        assert_eq!(told.contains(&host(1)), consent);
    }
}

#[test]
fn only_who_was_reached_is_told_of() {
    let mut world = World::new(Rules::default());
    world.knows(0..1);
    world.run(MINUTE, |_| true);
    let hosts: Vec<Host> = (1..17).map(host).collect();
    world.neighbours.learn(key(0), &hosts, world.now);
    assert_eq!(told(&mut world, 1000, address(1000, 1, 1)), [host(0)]);
    world.run(MINUTE, |name| name == key(3));
    let mut now_told = told(&mut world, 1001, address(1000, 1, 1));
    now_told.sort_by_key(|host| host.key);
    let mut reached: Vec<Host> =
        world.linked(Class::Outbound).into_iter().map(|name| if name == key(0) { host(0) } else { host(3) }).collect();
    reached.sort_by_key(|host| host.key);
    assert_eq!(now_told, reached);
}

#[test]
fn only_answers_are_believed() {
    let hosts: Vec<Host> = (1..17).map(host).collect();
    // Who dialled us.
    let mut world = World::new(Rules::default());
    world.comes(key(0), host(0).address);
    world.neighbours.learn(key(0), &hosts, world.now);
    world.run(MINUTE, |_| true);
    assert!(world.dialled.is_empty());
    // Whom we asked: once.
    world.knows(100..101);
    world.run(MINUTE, |_| true);
    assert_eq!(world.asked, [key(100)]);
    world.neighbours.learn(key(100), &[], world.now);
    world.neighbours.learn(key(100), &hosts, world.now);
    world.run(MINUTE, |_| true);
    assert_eq!(world.dialled, [key(100)]);
}

#[test]
fn of_an_answer_no_more_is_read_than_there_may_be_and_nothing_private() {
    let mut world = World::new(Rules { outbound: 64, target: 64, most: 64, per_origin: 64, ..Rules::default() });
    world.knows(0..1);
    world.run(MINUTE, |_| true);
    let private = |number: u32| Host { key: key(number), address: NeighbourAddress::at(([10, 0, 0, 1], 4848).into()) };
    let mut hosts: Vec<Host> = (1..100).map(host).collect();
    hosts[0] = private(1);
    hosts[1] = Host { key: key(2), address: NeighbourAddress::at(([9, 9, 9, 9], 53).into()) };
    hosts[2] = Host { key: key(u32::MAX), address: address(9, 9, 9) };
    world.neighbours.learn(key(0), &hosts, world.now);
    world.run(10 * MINUTE, |_| true);
    // Of the thirteen that are left a few may have met in one place of the book.
    let told: Vec<_> = (4..=limits::MAX_TOLD as u32).map(key).collect();
    assert!(world.dialled[1..].iter().all(|name| told.contains(name)));
    assert!((8..=told.len()).contains(&(world.dialled.len() - 1)), "{}", world.dialled.len());
}

#[test]
fn whoever_says_where_it_listens_is_checked_at_its_own_address() {
    let mut world = World::new(Rules::default());
    let from = NeighbourAddress::at(([21, 1, 1, 1], 50_000).into());
    let listens = NeighbourAddress::at(([21, 1, 1, 1], 4848).into());
    world.comes(key(1), from);
    world.neighbours.claims(key(1), 4848);
    world.neighbours.claims(key(1), 4849);
    world.neighbours.claims(key(2), 4848);
    world.run(MINUTE, |_| true);
    let claim = Host { key: key(1), address: listens };
    assert_eq!(world.checks, [claim]);
    assert!(told(&mut world, 1000, address(1000, 1, 1)).is_empty());
    world.neighbours.checked(claim, false, world.now);
    assert!(told(&mut world, 1001, address(1000, 1, 1)).is_empty());
    world.neighbours.checked(claim, true, world.now);
    assert_eq!(told(&mut world, 1002, address(1000, 1, 1)), [claim]);
}

#[test]
fn those_that_came_are_one_origin() {
    for (per_origin, most) in [(limits::OUTBOUND_PER_ORIGIN, limits::OUTBOUND_PER_ORIGIN), (9, 4)] {
        let mut world = World::new(Rules { per_origin, ..Rules::default() });
        for number in 0..100 {
            world.neighbours.checked(host(number), true, world.now);
        }
        world.run(10 * MINUTE, |_| true);
        assert_eq!(world.linked(Class::Outbound).len(), most);
    }
}

#[test]
fn whoever_finds_no_room_is_told_of_others_but_not_without_end() {
    let mut world = knowing();
    for number in 1000..1000 + limits::LEAST_LINKS as u32 {
        world.comes(key(number), address(number as u16, 1, 1));
    }
    let introduced = |world: &mut World| {
        let full = |number: u32| (key(number), address(number as u16, 1, 1));
        (2000..3000)
            .map(full)
            .filter(|(key, from)| {
                matches!(world.comes(*key, *from), mute_core::neighbours::Admission::Refuse { introduce: true, .. })
            })
            .count() as u64
    };
    assert_eq!(introduced(&mut world), limits::INTRODUCTIONS);
    world.pass(limits::INTRODUCTION_INTERVAL);
    assert_eq!(introduced(&mut world), limits::INTRODUCTIONS);
    assert_eq!(world.neighbours.introduce(key(9), address(9, 1, 1), world.now).len(), limits::MAX_TOLD);
}
