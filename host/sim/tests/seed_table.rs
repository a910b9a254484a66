//! The scalability model, in small.

use mute_sim::scenarios::seed_table::{Case, SeedTable};

#[test]
fn uploads_carry_transfers_and_no_more_than_they_have() {
    let table = SeedTable {
        cases: vec![Case::Direct],
        few: 20,
        nodes: 100,
        degree: 5,
        packet: 1024,
        delay: 50,
        tries: 5,
        window: 300,
        everywhere: true,
        fifo: false,
    };
    let record = table.run(1);
    // Ten sources have an upload each. That all ten run is for the full size to show.
    let running = record.figures.iter().find(|figure| figure.name == "direct: transfers at 5 KB/s").map(|f| f.value);
    assert!(running.is_some_and(|running| (5.0..=10.0).contains(&running)), "{running:?}");
    let conserved = record.checks.iter().filter(|check| check.name.contains("conserved"));
    assert!(conserved.map(|check| check.passed).eq([true]), "{:?}", record.checks);
}
