//! The program: its scenarios hold, its output is the same for the same seed, and seeds can be spread over processes.

use std::process::{Command, Output};

use mute_sim::Record;

fn run(words: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_mute-sim")).args(words).output().expect("the program starts");
    assert!(output.stderr.is_empty(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn text(words: &[&str]) -> String {
    let output = run(words);
    let text = String::from_utf8(output.stdout).expect("it prints text");
    assert!(output.status.success(), "{words:?}: {text}");
    text
}

#[test]
fn scenarios_hold_and_repeat_themselves_byte_for_byte() {
    for words in [
        &["loops", "--messages", "300", "--seconds", "30"][..],
        &["sanity", "--shape", "line"],
        &["sanity", "--shape", "ring", "--nodes", "12"],
        &["sanity", "--shape", "grid", "--nodes", "36", "--seed", "5"],
    ] {
        let words: Vec<&str> = words.iter().copied().chain(["--json"]).collect();
        let first = text(&words);
        assert_eq!(first, text(&words));
        let record: Record = serde_json::from_str(&first).expect("a record");
        assert!(record.passed() && record.machine.is_empty(), "{first}");
    }
}

#[test]
fn seeds_in_processes_are_the_seeds_one_after_the_other() {
    let words = ["sanity", "--seeds", "1..5", "--json"];
    let one_by_one = text(&words);
    assert_eq!(one_by_one.lines().count(), 4);
    let at_once: Vec<&str> = words.iter().copied().chain(["--jobs", "3"]).collect();
    assert_eq!(one_by_one, text(&at_once));
    let file = std::env::temp_dir().join(format!("mute-sim-records-{}", std::process::id()));
    std::fs::write(&file, &one_by_one).expect("the file is written");
    let merged = text(&["merge", &file.to_string_lossy()]);
    std::fs::remove_file(&file).expect("it was there");
    assert!(merged.contains("seeds 1 2 3 4") && merged.contains("with all 4 seeds"), "{merged}");
    assert_eq!(merged, text(&["sanity", "--seeds", "1..5"]));
}

#[test]
fn records_become_a_page_and_what_is_none_is_named() {
    let folder = std::env::temp_dir().join(format!("mute-sim-report-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let [records, page, other] = ["records", "page.html", "other"].map(|name| folder.join(name));
    std::fs::write(&records, text(&["sanity", "--seeds", "1..3", "--json"])).expect("the file is written");
    text(&["report", &records.to_string_lossy(), "--output", &page.to_string_lossy()]);
    let html = std::fs::read_to_string(&page).expect("the page is written");
    assert!(html.contains("seeds 1 to 2") && html.contains("all 5 hold"), "{html}");
    std::fs::write(&other, "\n{\"scenario\": 5}\n").expect("the file is written");
    let refused = Command::new(env!("CARGO_BIN_EXE_mute-sim")).arg("merge").arg(&other).output().expect("it starts");
    let error = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && error.contains("other: line 2: invalid type"), "{error}");
    std::fs::remove_dir_all(&folder).expect("it was there");
}

#[test]
fn a_small_network_of_every_kind_carries_what_it_should() {
    for topology in ["random-regular", "watts-strogatz", "barabasi-albert"] {
        let words = ["bench", "--nodes", "200", "--floods", "3", "--connections", "5", "--packets", "50", "--json"];
        let record = text(&words.iter().copied().chain(["--topology", topology]).collect::<Vec<_>>());
        let record: Record = serde_json::from_str(&record).expect("a record");
        let figure = |name: &str| record.figures.iter().find(|figure| figure.name == name).map(|figure| figure.value);
        assert!(figure("nodes that hear a flood") > Some(0.95), "{topology}: {record:?}");
        assert_eq!((figure("connections laid"), figure("packets delivered")), (Some(1.0), Some(1.0)), "{topology}");
        assert!(!record.machine.is_empty());
    }
}

#[test]
fn a_mistake_is_told_of() {
    let output = Command::new(env!("CARGO_BIN_EXE_mute-sim")).args(["sanity", "--shape", "star"]).output();
    assert_eq!(output.expect("the program starts").status.code(), Some(2));
}
