//! `scale` at small sizes: what a network does, and that the rules of floods matter.

use mute_sim::{
    Kind, Record,
    scenarios::scale::{End, Rules, Scale, Start},
};

fn scale(nodes: usize) -> Scale {
    Scale {
        nodes,
        topology: Kind::RandomRegular,
        degree: 8,
        floods: 10,
        connections: 40,
        listening: 150,
        minutes: 2,
        loss: 0.01,
        steady: false,
        rules: Rules::default(),
    }
}

fn figure(record: &Record, name: &str) -> f64 {
    let found = record.figures.iter().find(|figure| figure.name == name);
    found.unwrap_or_else(|| panic!("no figure {name}")).value
}

const SHARE: &str = "horizon: share of the nodes that hear a flood";
const LAID: &str = "connections laid, where both stayed and there was a way";
const RATIO: &str = "links of a trail over the shortest way";

#[test]
fn small_networks_are_reached_whole_whatever_their_shape_and_though_nodes_come_and_go() {
    for topology in [Kind::RandomRegular, Kind::WattsStrogatz, Kind::BarabasiAlbert] {
        let run = || {
            let mut record = Scale { topology, ..scale(150) }.run(1);
            record.machine.clear();
            record
        };
        let record = run();
        assert!(record.passed(), "{}", record.render());
        assert!(figure(&record, SHARE) >= 0.98 && figure(&record, LAID) >= 0.97, "{}", record.render());
        assert!((1.0..3.0).contains(&figure(&record, RATIO)), "{}", record.render());
        assert_eq!(run(), record, "the same seed, the same record");
    }
}

#[test]
fn a_flood_that_is_hidden_everywhere_has_no_horizon_and_one_on_a_path_has() {
    let heard = |start| {
        let rules = Rules { start: Some(start), hops: Some(1), end: Some(End::KeyedStop), ..Rules::default() };
        let record = Scale { connections: 0, steady: true, rules, ..scale(3000) }.run(1);
        figure(&record, SHARE)
    };
    let (everywhere, path) = (heard(Start::Everywhere), heard(Start::Path));
    assert!(everywhere > 0.6 && path < 0.2, "{everywhere} and {path}");
}
