//! `life` at a small size: an ordinary day works, and a line that is too narrow for it shows.

use mute_sim::{
    Kind, Record,
    scenarios::{life::Life, scale::Rules},
};

fn life(upload: u64) -> Record {
    let life = Life {
        nodes: 250,
        topology: Kind::RandomRegular,
        degree: 8,
        seconds: 40,
        before: 10,
        searches: 5.0,
        connections: 10.0,
        contacts: 20,
        answers: 5.0,
        messages: 5,
        upload,
        loss: 0.01,
        steady: false,
        rules: Rules::default(),
    };
    life.run(1)
}

fn failed(record: &Record) -> Vec<&str> {
    record.checks.iter().filter(|check| !check.passed).map(|check| check.name.as_str()).collect()
}

#[test]
fn an_ordinary_day_works_and_takes_a_tenth_of_a_line_that_is_too_narrow() {
    let wide = life(1_250_000);
    assert!(wide.passed(), "{}", wide.render());
    let narrow = life(20_000);
    assert!(failed(&narrow).contains(&"floods' share of a node's upload ≤ 0.1"), "{}", narrow.render());
}
