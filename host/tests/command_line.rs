//! The command line as its users meet it, mistakes included.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

mod support;

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;
use support::{Node, mute, run, wait_for};

/// The JSON of a failure, as scripts read it.
fn failure(said: &support::Said) -> Value {
    serde_json::from_str(said.out.lines().last().expect("it says something")).expect("it says it in JSON")
}

#[test]
fn a_wrong_flag_or_command_is_one_line_with_a_suggestion() {
    let said = run(mute().args(["demo", "--shrae", "x"]));
    assert!(said.failed(2).contains("'--share'"), "{said:?}");
    let said = run(mute().args(["peer", "lst"]));
    assert!(said.failed(2).contains("'list'"), "{said:?}");
    let said = run(mute().args(["--json", "peer", "lst"]));
    assert_eq!(failure(&said)["error"]["kind"], "usage");
}

#[test]
fn help_has_examples_first_hand_and_goes_to_standard_output() {
    for words in [&["--help"][..], &["peer", "add", "--help"], &["demo", "--help"]] {
        let said = run(mute().args(words));
        assert!(said.code == 0 && said.err.is_empty() && said.out.contains("Example"), "{said:?}");
    }
}

#[test]
fn what_is_missing_is_said_with_the_next_step() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nowhere");
    let said = run(mute().arg("--home").arg(&nowhere).arg("run"));
    assert!(said.failed(3).contains("mute init --home"), "{said:?}");
    let node = Node::init(folder.path(), "node");
    let said = node.run(&["status"]);
    assert!(said.failed(3).contains("mute run --home"), "{said:?}");
    let said = node.run(&["--json", "fileshare", "list"]);
    assert_eq!(said.code, 3);
    assert_eq!(failure(&said)["error"]["kind"], "not-running");
    let said = node.run(&["init"]);
    assert!(said.failed(7).contains("exists"), "{said:?}");
}

#[test]
fn a_network_has_a_profile_which_is_chosen_shown_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let init = |home: &std::path::Path, profile: &str| {
        run(mute().arg("--home").arg(home).args(["init", "--listen", "127.0.0.1:0", "--profile", profile]))
    };
    let home = folder.path().join("strong");
    let said = init(&home, "strong");
    assert!(said.failed(2).contains("not there yet"), "{said:?}");
    assert!(!home.exists());
    let home = folder.path().join("fast");
    assert_eq!(init(&home, "fast").code, 0);
    assert!(std::fs::read_to_string(home.join("config.toml")).unwrap().contains("profile = \"fast\""));
    let mut node = Node::start(folder.path(), "node");
    let status = node.run(&["status"]);
    assert!(status.code == 0 && status.out.contains("profile    balanced: "), "{status:?}");
    assert_eq!(node.json(&["status"])[0]["profile"], "balanced");
    node.stop();
}

#[test]
fn a_corrupt_configuration_names_file_line_and_key() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::init(folder.path(), "node");
    let file = node.home.join("config.toml");
    for (text, expected) in [("listen = 5\n", "line 1: listen"), ("[lgo]\n", "unknown field `lgo`"), ("\"", "line 1")] {
        std::fs::write(&file, text).unwrap();
        let said = node.run(&["run"]);
        let line = said.failed(2);
        assert!(line.contains(file.to_str().unwrap()) && line.contains(expected), "{line}");
    }
}

#[test]
fn a_damaged_database_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::init(folder.path(), "node");
    std::fs::write(node.home.join("mute.redb"), [7; 9000]).unwrap();
    let said = node.run(&["run", "--quiet"]);
    assert!(said.failed(1).contains("damaged"), "{said:?}");
}

#[test]
fn a_taken_port_and_a_second_daemon_are_one_line_each() {
    let folder = tempfile::tempdir().unwrap();
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let taken = socket.local_addr().unwrap().to_string();
    let home = folder.path().join("late");
    assert_eq!(run(mute().arg("--home").arg(&home).args(["init", "--listen", &taken])).code, 0);
    let said = run(mute().arg("--home").arg(&home).args(["--quiet", "run"]));
    let line = said.failed(7);
    assert!(line.contains(&taken) && line.contains("taken"), "{line}");

    let mut node = Node::start(folder.path(), "node");
    let said = node.run(&["--quiet", "run"]);
    assert!(said.failed(7).contains("already runs"), "{said:?}");
    // The first one does not mind.
    assert_eq!(node.status()["network"], "test");
    assert_eq!(node.stop(), 0);
}

#[test]
fn what_is_written_is_the_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(folder.path(), "node");
    node.wait_for_plugins();
    let mode = |path: &std::path::Path| std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&node.home), 0o700);
    for name in ["config.toml", "mute.redb", "mute.log", "control.sock", "lock"] {
        assert_eq!(mode(&node.home.join(name)), 0o600, "{name}");
    }
}

#[test]
fn neighbours_are_kept_over_restarts_and_forgotten_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut one = Node::start(folder.path(), "one");
    let other = Node::start(folder.path(), "other");
    let peer = other.peer();
    let said = one.run(&["peer", "add", "nonsense"]);
    assert!(said.failed(2).contains("not a peer"), "{said:?}");
    one.json(&["peer", "add", &peer]);
    wait_for("the link", || (one.links() == 1 && other.links() == 1).then_some(()));
    assert_eq!(one.stop(), 0);
    wait_for("the link's end", || (other.links() == 0).then_some(()));
    one.spawn(&[]);
    wait_for("the link's return", || (one.links() == 1 && other.links() == 1).then_some(()));
    let key = peer.split('@').next().unwrap();
    one.json(&["peer", "remove", key]);
    wait_for("the link's end", || (other.links() == 0).then_some(()));
    assert_eq!(one.run(&["peer", "remove", one.status()["node"]["key"].as_str().unwrap()]).code, 6);
    let list = one.run(&["peer", "list"]);
    assert_eq!(list.code, 0);
}

#[test]
fn plugins_bring_their_commands_and_help() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(folder.path(), "node");
    node.wait_for_plugins();
    let said = node.run(&["fileshare", "--help"]);
    assert!(said.code == 0 && said.out.contains("search") && said.out.contains("Example"), "{said:?}");
    let said = node.run(&["fileshare", "serch", "x"]);
    assert!(said.failed(2).contains("'search'"), "{said:?}");
    let said = node.run(&["fileshar", "search", "x"]);
    assert!(said.failed(2).contains("no plugin `fileshar`; plugins: chat, fileshare, webserve"), "{said:?}");
    let said = node.run(&["fileshare", "share", "/nonexistent"]);
    assert!(said.failed(2).contains("cannot read the folder"), "{said:?}");
    // Root reads everything, so that only others can be refused.
    let closed = folder.path().join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o0)).unwrap();
    if std::fs::read_dir(&closed).is_err() {
        let said = node.run(&["fileshare", "share", closed.to_str().unwrap()]);
        assert!(said.failed(2).contains("permission denied"), "{said:?}");
    }
    node.json(&["plugin", "disable", "chat"]);
    wait_for("the plugin's end", || {
        let plugins = node.json(&["plugin", "list"]).pop().unwrap();
        plugins
            .as_array()
            .unwrap()
            .iter()
            .any(|plugin| plugin["name"] == "chat" && plugin["state"] == "stopped")
            .then_some(())
    });
    assert_ne!(node.run(&["chat", "me"]).code, 0);
    node.json(&["plugin", "enable", "chat"]);
    node.wait_for_plugins();
    node.json(&["chat", "me"]);
}

#[test]
fn a_daemon_ends_with_its_parent_and_leaves_a_home_that_works() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::start(folder.path(), "node");
    let key = node.status()["node"]["key"].clone();
    assert_eq!(node.orphan(), 0);
    assert!(!node.home.join("control.sock").exists());
    node.spawn(&[]);
    node.kill();
    node.spawn(&[]);
    assert_eq!(node.status()["node"]["key"], key);
}

#[test]
fn a_log_above_debug_holds_no_address() {
    let folder = tempfile::tempdir().unwrap();
    let mut one = Node::start(folder.path(), "one");
    let mut other = Node::start(folder.path(), "other");
    one.json(&["peer", "add", &other.peer()]);
    wait_for("the link", || (other.links() == 1).then_some(()));
    one.wait_for_plugins();
    one.json(&["chat", "me"]);
    other.kill();
    wait_for("the link's end", || (one.links() == 0).then_some(()));
    one.stop();
    for name in ["mute.log", "stderr.log"] {
        let log = std::fs::read_to_string(one.home.join(name)).unwrap();
        assert!(log.contains("the node runs"), "{log}");
        // The line for the user that says where the node listens is no log.
        for line in log.lines().filter(|line| !line.starts_with("ready, ")) {
            assert!(!line.contains("127.0.0.1") && !line.contains("mute1") && !line.contains("mutenode1"), "{line}");
        }
    }
}
