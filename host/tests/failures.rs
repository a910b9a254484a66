//! What happens in the middle of a transfer when things break.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

mod support;

use std::process::Stdio;

use support::{Said, files, line, share, wait_for};

/// Large enough that a transfer is under way for a while on any machine.
const SIZE: usize = 300 << 20;
/// A transfer that has carried this much is under way.
const UNDER_WAY: u64 = 4 << 20;

/// Whether a complete copy lies in a folder: by its size, for partial files may have any name.
fn has_complete(folder: &std::path::Path, name: &str) -> bool {
    files(folder).iter().any(|path| path.file_name().is_some_and(|file| file == name))
}

#[test]
fn killed_relays_stop_a_transfer_with_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let mut nodes = line(folder.path(), &["alice", "relay-1", "relay-2", "bob"]);
    let link = share(&nodes[0], &nodes[3], &folder.path().join("shared"), "moonstone.bin", SIZE, "moonstone");
    let get = nodes[3]
        .command()
        .args(["fileshare", "get", &link, "--patience", "5"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut get = get.unwrap();
    wait_for("the transfer", || {
        assert!(get.try_wait().unwrap().is_none(), "the transfer ended before the relays were killed");
        (nodes[1].relayed() > UNDER_WAY).then_some(())
    });
    nodes[1].kill();
    nodes[2].kill();
    wait_for("the end of the transfer", || get.try_wait().unwrap());
    let said = Said::from(&get.wait_with_output().unwrap());
    assert_ne!(said.code, 0, "{said:?}");
    assert!(said.err.lines().last().is_some_and(|line| line.starts_with("error: ")), "{said:?}");
    assert!(!said.out.to_lowercase().contains("done"), "{said:?}");
    assert!(!has_complete(&nodes[3].home.join("downloads"), "moonstone.bin"));
    // The end itself is well.
    assert_eq!(nodes[3].run(&["status"]).code, 0);
}

#[test]
fn a_killed_daemon_leaves_a_home_that_works() {
    let folder = tempfile::tempdir().unwrap();
    let mut nodes = line(folder.path(), &["alice", "relay", "bob"]);
    let link = share(&nodes[0], &nodes[2], &folder.path().join("shared"), "moonstone.bin", SIZE, "moonstone");
    let get = nodes[2].command().args(["fileshare", "get", &link]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let get = get.unwrap();
    wait_for("the transfer", || (nodes[1].relayed() > UNDER_WAY).then_some(()));
    nodes[2].kill();
    let said = Said::from(&get.wait_with_output().unwrap());
    assert!(said.failed(1).contains("the daemon has gone"), "{said:?}");
    assert!(!has_complete(&nodes[2].home.join("downloads"), "moonstone.bin"));
    let address = |node: &support::Node| node.json(&["chat", "me"]);
    nodes[2].spawn(&[]);
    nodes[2].wait_for_plugins();
    assert!(!address(&nodes[2]).is_empty());
    // And the relay that it knew by nobody's dialling is told again, for the port may be another.
    let peer = nodes[1].peer();
    nodes[2].json(&["peer", "add", &peer]);
    wait_for("the link", || (nodes[2].links() == 1).then_some(()));
    let said = nodes[2].run(&["fileshare", "get", &link]);
    assert_eq!(said.code, 0, "{said:?}");
    let copy = files(&nodes[2].home.join("downloads"));
    let original = std::fs::read(folder.path().join("shared/moonstone.bin")).unwrap();
    assert!(copy.iter().any(|path| std::fs::read(path).is_ok_and(|bytes| bytes == original)));
}

#[test]
fn a_transfer_goes_on_beside_a_plugin_that_spins_traps_and_eats() {
    let folder = tempfile::tempdir().unwrap();
    let nodes = line(folder.path(), &["alice", "relay", "bob"]);
    let [alice, relay, bob] = &nodes[..] else { panic!("three nodes") };
    let link = share(alice, bob, &folder.path().join("shared"), "moonstone.bin", SIZE, "moonstone");
    // Whole at once, as a user's `mv` would put it there.
    let component = folder.path().join("specimen.wasm");
    std::fs::write(&component, support::specimen()).unwrap();
    std::fs::rename(&component, bob.home.join("plugins/specimen.wasm")).unwrap();
    wait_for("the new plugin", || (bob.plugin("specimen")["state"] == "running").then_some(()));

    let mut get =
        bob.command().args(["fileshare", "get", &link]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for("the transfer", || (relay.relayed() > UNDER_WAY).then_some(()));
    for misdeed in ["spin", "panic", "eat"] {
        let (before, was_running) = (relay.relayed(), get.try_wait().unwrap().is_none());
        let said = bob.run(&["specimen", misdeed]);
        assert_ne!(said.code, 0, "{misdeed}: {said:?}");
        if was_running {
            wait_for("the transfer's progress", || (relay.relayed() > before).then_some(()));
        }
        wait_for("the plugin's return", || (bob.plugin("specimen")["state"] == "running").then_some(()));
        assert_eq!(bob.plugin("fileshare")["restarts"], 0, "{misdeed}");
    }
    assert!(bob.plugin("specimen")["restarts"].as_u64().unwrap() >= 3);
    let said = Said::from(&get.wait_with_output().unwrap());
    assert_eq!(said.code, 0, "{said:?}");
    let original = std::fs::read(folder.path().join("shared/moonstone.bin")).unwrap();
    assert!(std::fs::read(bob.home.join("downloads/moonstone.bin")).unwrap() == original, "the copy differs");
}
