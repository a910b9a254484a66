//! What is sent for an address that is gone dies down.

use mute_sim::{Record, scenarios::loops::Loops};

fn failed(record: &Record) -> Vec<&str> {
    record.checks.iter().filter(|check| !check.passed).map(|check| check.name.as_str()).collect()
}

#[test]
fn a_ring_of_scent_falls_silent() {
    let record = Loops { nodes: 20, messages: 1000, seconds: 100, every_copy: false }.run(1);
    assert!(record.passed(), "{:?}", failed(&record));
}

#[test]
fn where_every_copy_goes_on_it_does_not() {
    let record = Loops { nodes: 20, messages: 100, seconds: 10, every_copy: true }.run(1);
    let failed = failed(&record);
    for bound in ["sendings of one message", "a message's life", "frames in the minute after"] {
        assert!(
            failed.iter().any(|name| name.starts_with(bound)),
            "{bound} held all the same; these did not: {failed:?}"
        );
    }
}
