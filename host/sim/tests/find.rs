//! `find` at a small size: walks find more than floods of as many bytes, once a network is larger than those.

use mute_sim::{
    Kind,
    scenarios::{find::Find, scale::Rules},
};

#[test]
fn walks_find_more_than_floods_of_as_many_bytes_unless_they_are_cut_short() {
    let find = Find {
        nodes: 1000,
        topology: Kind::RandomRegular,
        degree: 8,
        addresses: 20,
        seeks: 60,
        whole: 2,
        minutes: 9,
        rate: 0.2,
        loss: 0.01,
        steady: true,
        rules: Rules::default(),
    };
    let record = find.run(1);
    assert!(record.passed(), "{}", record.render());
    // One walker that goes one hop lays no scent worth the name.
    let rules = Rules { walkers_log2: Some(0), walker_hops: Some(1), ..Rules::default() };
    assert!(!Find { rules, ..find }.run(1).passed());
}
