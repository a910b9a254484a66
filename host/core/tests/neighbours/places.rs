//! Degrees, classes, places, prefixes, origins, offences.

use std::time::Duration;

use mute_core::neighbours::{Admission, Class, DialFailure, End, Host, Refusal, Rules, limits};

use crate::world::{World, address, friend, host, is_full, is_kept, key};

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn four_strangers_are_chosen_and_asked() {
    let mut world = World::new(Rules::default());
    world.knows(0..40);
    world.run(MINUTE, |_| true);
    let chosen = world.linked(Class::Outbound);
    assert_eq!(chosen.len(), limits::OUTBOUND_STRANGERS);
    assert_eq!(world.dialled.len(), limits::OUTBOUND_STRANGERS, "nobody is dialled who is not needed");
    let mut asked = world.asked.clone();
    asked.sort();
    assert_eq!(asked, chosen);
    assert!(!world.neighbours.is_short());
}

#[test]
fn those_that_come_cannot_fill_a_node() {
    for (separate_slots, chosen) in [(true, limits::OUTBOUND_STRANGERS), (false, 0)] {
        let mut world = World::new(Rules { separate_slots, inbound_per_chosen: 64, least: 64, ..Rules::default() });
        let kept = (100..300).filter(|number| is_kept(world.comes(key(*number), host(*number).address))).count();
        let places = limits::INBOUND_STRANGERS + if separate_slots { 0 } else { limits::OUTBOUND_STRANGERS };
        assert_eq!(kept, places);
        world.knows(0..40);
        world.run(MINUTE, |_| true);
        assert_eq!(world.linked(Class::Outbound).len(), chosen, "with places of their own: {separate_slots}");
    }
}

#[test]
fn before_anybody_was_chosen_few_may_come() {
    let strangers = |world: &mut World, numbers: std::ops::Range<u32>| {
        numbers.filter(|number| is_kept(world.comes(key(*number), host(*number).address))).count()
    };
    let mut world = World::new(Rules::default());
    assert_eq!(strangers(&mut world, 100..200), limits::LEAST_LINKS);
    world.knows(0..1);
    world.run(MINUTE, |_| true);
    assert_eq!(strangers(&mut world, 200..300), limits::INBOUND_PER_CHOSEN);
}

#[test]
fn an_adversary_with_many_prefixes_is_a_partner_with_few() {
    let dials = |world: &mut World| {
        let adversary = (0..64).map(|number| (key(1000 + number), address(1000 + number as u16, 1, 1)));
        adversary.filter(|(key, from)| is_kept(world.comes(*key, *from))).count()
    };
    for partners in [Some(limits::PARTNERS), None] {
        let rules = Rules { partners, ..Rules::default() };
        let mut kept = 0;
        for place in 0..20 {
            let mut world = World::at(rules, address(2000 + place, 1, 1));
            // It has reached 320 others, so that one in twenty is a partner.
            for number in 0..320 {
                world.neighbours.checked(host(number), true, world.now);
            }
            world.run(10 * MINUTE, |_| true);
            assert_eq!(world.linked(Class::Outbound).len(), limits::OUTBOUND_PER_ORIGIN, "there are enough for it");
            kept += dials(&mut world);
            world.neighbours.check();
        }
        let most = 20 * (limits::LEAST_LINKS + limits::INBOUND_PER_CHOSEN * limits::OUTBOUND_PER_ORIGIN);
        match partners {
            // 64 of 64 prefixes are welcome at 1 of 20: 64 in all, give or take three standard deviations.
            Some(_) => assert!((40..=90).contains(&kept), "{kept}"),
            None => assert_eq!(kept, most, "they take all there is"),
        }
    }
}

#[test]
fn partners_agree() {
    let ours = address(1, 1, 1);
    let mut welcome = 0;
    for place in 0..200 {
        let theirs = address(300 + place, 2, 2);
        let both = [(ours, theirs), (theirs, ours)].map(|(at, from)| {
            let mut world = World::at(Rules::default(), at);
            for number in 1000..1160 {
                world.neighbours.checked(host(number), true, world.now);
            }
            is_kept(world.comes(key(1), from))
        });
        assert_eq!(both[0], both[1]);
        welcome += usize::from(both[0]);
    }
    // One in ten; three standard deviations are 13.
    assert!((7..=33).contains(&welcome), "{welcome}");
}

#[test]
fn a_line_has_one_place_and_a_provider_two() {
    let mut world = World::new(Rules::default());
    assert!(is_kept(world.comes(key(1), address(1, 1, 1))));
    assert!(is_full(world.comes(key(2), address(1, 1, 2))));
    assert!(is_kept(world.comes(key(3), address(1, 2, 1))));
    assert!(is_full(world.comes(key(4), address(1, 3, 1))));
    assert!(is_kept(world.comes(key(5), address(2, 1, 1))));
    // Without the rule one line takes all places.
    let none = usize::MAX;
    let mut world = World::new(Rules { per_prefix: none, per_wide_prefix: none, ..Rules::default() });
    let kept = (0..100).filter(|number| is_kept(world.comes(key(*number), address(1, 1, *number as u8)))).count();
    assert_eq!(kept, limits::LEAST_LINKS, "all that may come before anybody was chosen");
}

#[test]
fn the_limits_hold_for_those_that_are_chosen_too() {
    for (rules, most) in [(Rules::default(), 1), (Rules { per_prefix: 9, per_wide_prefix: 9, ..Rules::default() }, 4)] {
        let mut world = World::new(rules);
        for number in 0..40 {
            let host = Host { key: key(number), address: address(1, 1, number as u8) };
            world.neighbours.add_stranger(host, world.now);
        }
        world.run(MINUTE, |_| true);
        // They are one host to the book only if they share the IP address; here each has its own.
        assert_eq!(world.linked(Class::Outbound).len(), most);
    }
}

#[test]
fn one_origin_has_two_of_the_chosen_places() {
    for (per_origin, most) in [(limits::OUTBOUND_PER_ORIGIN, 1 + limits::OUTBOUND_PER_ORIGIN), (9, 4)] {
        let mut world = World::new(Rules { per_origin, ..Rules::default() });
        world.knows(0..1);
        world.run(MINUTE, |_| true);
        let told: Vec<Host> = (1..17).map(host).collect();
        world.neighbours.learn(key(0), &told, world.now);
        world.run(MINUTE, |_| true);
        assert_eq!(world.linked(Class::Outbound).len(), most, "{per_origin} per origin");
    }
}

#[test]
fn a_friend_always_finds_room_and_no_stranger_takes_it_away() {
    let mut world = World::new(Rules::default());
    world.knows(0..40);
    world.run(MINUTE, |_| true);
    for number in 100..100 + limits::INBOUND_STRANGERS as u32 {
        world.pass(MINUTE);
        assert!(is_kept(world.comes(key(number), host(number).address)));
    }
    for number in 200..200 + limits::MOST_LINKS as u32 {
        world.neighbours.befriend(key(number), friend()).expect("room");
        let admission = world.comes(key(number), host(number).address);
        let Admission::Keep { class: Class::Friend, instead_of: None, gives_way } = admission else {
            panic!("{admission:?}")
        };
        // Sixteen strangers: one gives way to each friend.
        assert!(gives_way.is_some(), "{number}");
        world.neighbours.check();
        if number < 212 {
            let chosen = world.linked(Class::Outbound).len();
            assert_eq!(chosen, limits::OUTBOUND_STRANGERS, "those that came go first");
        }
    }
    assert_eq!(world.linked(Class::Friend).len(), limits::MOST_LINKS);
    world.neighbours.befriend(key(300), friend()).expect("room to remember it");
    assert!(is_full(world.comes(key(300), host(300).address)));
    assert!(is_full(world.comes(key(301), host(301).address)));
    world.run(10 * MINUTE, |_| true);
    assert_eq!(world.linked(Class::Friend).len(), limits::MOST_LINKS);
}

#[test]
fn friends_leave_fewer_places_to_choose() {
    for (friends, chosen) in [(0, 4), (4, 4), (6, 2), (8, 0)] {
        let mut world = World::new(Rules::default());
        for number in 100..100 + friends {
            world.neighbours.befriend(key(number), friend()).expect("room");
        }
        // Friends are there at once; a stranger that was chosen in the same moment stays.
        world.run(Duration::from_millis(1), |_| true);
        world.knows(0..40);
        world.run(MINUTE, |_| true);
        assert_eq!(world.linked(Class::Friend).len(), friends as usize);
        assert_eq!(world.linked(Class::Outbound).len(), chosen, "{friends} friends");
    }
}

#[test]
fn a_fixed_topology_lets_nobody_else_in_and_asks_nobody() {
    let mut world = World::new(Rules::fixed(64));
    world.knows(0..40);
    for number in 100..164 {
        world.neighbours.befriend(key(number), friend()).expect("room");
    }
    world.run(10 * MINUTE, |_| true);
    assert_eq!(world.linked(Class::Friend).len(), 64);
    assert!(world.asked.is_empty());
    let refused = Admission::Refuse { why: Refusal::NotWelcome, introduce: false };
    assert_eq!(world.comes(key(0), host(0).address), refused);
    assert_eq!(world.neighbours.next_deadline(), None, "it sleeps");
}

#[test]
fn an_offender_and_its_prefix_stay_out() {
    let mut world = World::new(Rules::default());
    world.comes(key(1), address(1, 1, 1));
    world.lose(key(1), End::Offence);
    let refused = Admission::Refuse { why: Refusal::BackedOff, introduce: false };
    assert_eq!(world.comes(key(1), address(2, 1, 1)), refused, "by its key");
    assert_eq!(world.comes(key(2), address(1, 1, 9)), refused, "by its prefix, under a fresh key");
    assert!(is_kept(world.comes(key(3), address(1, 2, 1))));
    world.neighbours.befriend(key(4), friend()).expect("room");
    assert!(is_kept(world.comes(key(4), address(1, 1, 4))), "a friend does not answer for its prefix");
    world.pass(limits::FIRST_BAN);
    assert!(is_kept(world.comes(key(1), address(1, 1, 1))));
    // A friend's offence bars the friend, until the ban ends.
    world.lose(key(4), End::Offence);
    assert_eq!(world.comes(key(4), address(1, 1, 4)), refused);
    world.pass(limits::FIRST_BAN);
    assert!(is_kept(world.comes(key(4), address(1, 1, 4))));
}

#[test]
fn one_that_proves_another_key_is_forgotten_and_one_that_refuses_is_not() {
    let mut world = World::new(Rules::default());
    world.knows(0..2);
    world.neighbours.tick(world.now);
    world.neighbours.dial_failed(key(0), DialFailure::Impostor, &[], world.now);
    world.neighbours.dial_failed(key(1), DialFailure::Refused, &[host(50)], world.now);
    while world.neighbours.poll().is_some() {}
    world.run(10 * MINUTE, |_| true);
    assert!(!world.dialled.contains(&key(0)));
    assert!(world.dialled.contains(&key(1)) && world.dialled.contains(&key(50)));
}

#[test]
fn a_removed_neighbour_stays_out_until_it_is_befriended() {
    let mut world = World::new(Rules::default());
    world.comes(key(1), host(1).address);
    assert!(world.neighbours.remove(key(1)).is_some());
    let refused = Admission::Refuse { why: Refusal::NotWelcome, introduce: false };
    assert_eq!(world.comes(key(1), host(1).address), refused);
    world.neighbours.befriend(key(1), friend()).expect("room");
    assert!(is_kept(world.comes(key(1), host(1).address)));
}

#[test]
fn both_sides_of_a_double_dial_keep_the_same_link() {
    let smaller = (0..).find(|number| key(*number) < key(u32::MAX)).expect("some key is smaller");
    let larger = (0..).find(|number| key(*number) > key(u32::MAX)).expect("some key is larger");
    for (other, theirs_is_kept) in [(smaller, true), (larger, false)] {
        let from = host(other).address;
        let mut world = World::new(Rules::default());
        world.knows(other..=other);
        world.neighbours.tick(world.now);
        assert!(matches!(
            world.comes(key(other), from),
            Admission::Keep { class: Class::Outbound, instead_of: None, .. }
        ));
        let link = world.link();
        let ours = world.neighbours.admit(key(other), from, link, true, world.now);
        assert_eq!(ours == Admission::Refuse { why: Refusal::Duplicate, introduce: false }, theirs_is_kept);
        world.neighbours.check();
        // One that dials again has lost its first link.
        let again = world.comes(key(other), from);
        assert_eq!(matches!(again, Admission::Keep { instead_of: Some(_), .. }), theirs_is_kept);
    }
}
