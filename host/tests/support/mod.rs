//! Nodes as their users have them: processes of the real program, driven by its command line.

#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, reason = "a test stops at what should not be")]

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

/// Far more than anything here takes: only a hang gets there.
pub(crate) const PATIENCE: Duration = Duration::from_secs(900);
/// How often it is looked again.
const POLL: Duration = Duration::from_millis(50);

/// The program under test.
pub(crate) fn mute() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mute"));
    command.stdin(Stdio::null()).env("NO_COLOR", "1");
    command
}

/// What a finished command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn from(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The command failed with this code and one clear line; the line.
    pub(crate) fn failed(&self, code: i32) -> &str {
        assert_eq!(self.code, code, "{self:?}");
        let lines: Vec<&str> = self.err.lines().collect();
        assert_eq!(lines.len(), 1, "not one line: {self:?}");
        lines[0].strip_prefix("error: ").unwrap_or_else(|| panic!("no error line: {self:?}"))
    }
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Said {
    Said::from(&command.output().unwrap())
}

/// Waits until `look` finds something.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::sleep(POLL);
    }
}

/// A node in a folder of its own, killed when dropped.
pub(crate) struct Node {
    pub(crate) home: PathBuf,
    process: Option<Child>,
}

impl Node {
    /// Makes a home on a port that the system chooses, of the default profile.
    pub(crate) fn init(folder: &Path, name: &str) -> Self {
        Self::init_with(folder, name, &[])
    }

    /// The same, with more to say.
    fn init_with(folder: &Path, name: &str, words: &[&str]) -> Self {
        let node = Self { home: folder.join(name), process: None };
        let said = run(node.command().args(["init", "--listen", "127.0.0.1:0", "--network", "test"]).args(words));
        assert_eq!(said.code, 0, "{said:?}");
        node
    }

    /// Makes a home and runs its daemon.
    pub(crate) fn start(folder: &Path, name: &str) -> Self {
        let mut node = Self::init(folder, name);
        node.spawn(&[]);
        node
    }

    /// The program on this home.
    pub(crate) fn command(&self) -> Command {
        let mut command = mute();
        command.arg("--home").arg(&self.home);
        command
    }

    /// Runs the daemon until it answers.
    pub(crate) fn spawn(&mut self, environment: &[(&str, &Path)]) {
        let log = std::fs::File::create(self.home.join("stderr.log")).unwrap();
        let mut command = self.command();
        command.args(["run", "--with-parent"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log);
        command.envs(environment.iter().copied());
        self.process = Some(command.spawn().unwrap());
        wait_for("the start of the daemon", || {
            let process = self.process.as_mut().unwrap();
            let ended = process.try_wait().unwrap();
            assert!(ended.is_none(), "the daemon ended: {}", self.stderr());
            (run(self.command().arg("status")).code == 0).then_some(())
        });
    }

    /// What the daemon wrote to its standard error.
    pub(crate) fn stderr(&self) -> String {
        std::fs::read_to_string(self.home.join("stderr.log")).unwrap_or_default()
    }

    /// Kills the daemon as an accident would: SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Ends the daemon as its user would; its exit code.
    pub(crate) fn stop(&mut self) -> i32 {
        let said = run(self.command().arg("stop"));
        assert_eq!(said.code, 0, "{said:?}");
        let mut process = self.process.take().unwrap();
        wait_for("the end of the daemon", || process.try_wait().unwrap()).code().unwrap_or(-1)
    }

    /// Closes the pipe by which a parent holds the daemon; its exit code.
    pub(crate) fn orphan(&mut self) -> i32 {
        let mut process = self.process.take().unwrap();
        drop(process.stdin.take());
        wait_for("the end of the orphan", || process.try_wait().unwrap()).code().unwrap_or(-1)
    }

    /// Runs a command on this home to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Said {
        run(self.command().args(words))
    }

    /// Runs a command that must succeed; its JSON documents.
    pub(crate) fn json(&self, words: &[&str]) -> Vec<Value> {
        let said = run(self.command().arg("--json").args(words));
        assert_eq!(said.code, 0, "{words:?}: {said:?}");
        said.out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect()
    }

    /// `mute status --json`
    pub(crate) fn status(&self) -> Value {
        self.json(&["status"]).pop().unwrap()
    }

    /// How others dial this node.
    pub(crate) fn peer(&self) -> String {
        let node = &self.status()["node"];
        format!("{}@{}", node["key"].as_str().unwrap(), node["listen"].as_str().unwrap())
    }

    /// Bytes of sealed packets that the node has passed on.
    pub(crate) fn relayed(&self) -> u64 {
        self.status()["node"]["router"]["data_bytes"]["relayed"].as_u64().unwrap()
    }

    /// How many links it has.
    pub(crate) fn links(&self) -> usize {
        let status = self.status();
        let neighbours = status["node"]["neighbours"].as_array().unwrap();
        neighbours.iter().filter(|neighbour| !neighbour["link"].is_null()).count()
    }

    /// One of its plugins, as `mute plugin list --json` has it; null if there is none.
    pub(crate) fn plugin(&self, name: &str) -> Value {
        let plugins = self.json(&["plugin", "list"]).pop().unwrap();
        plugins.as_array().unwrap().iter().find(|plugin| plugin["name"] == name).cloned().unwrap_or_default()
    }

    /// Waits until all its plugins run.
    pub(crate) fn wait_for_plugins(&self) {
        wait_for("the start of the plugins", || {
            let plugins = self.json(&["plugin", "list"]).pop().unwrap();
            plugins.as_array().unwrap().iter().all(|plugin| plugin["state"] == "running").then_some(())
        });
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            if std::thread::panicking() {
                let log = self.stderr();
                let newest: Vec<&str> = log.lines().rev().take(15).collect();
                let _ = writeln!(std::io::stderr(), "{}:", self.home.display());
                for line in newest.iter().rev() {
                    let _ = writeln!(std::io::stderr(), "  {line}");
                }
            }
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Nodes in a row, each linked to the next, in a network without delays; the first and the last have their plugins running.
pub(crate) fn line(folder: &Path, names: &[&str]) -> Vec<Node> {
    linked(names.iter().map(|name| Node::init_with(folder, name, &["--profile", "fast"])).collect(), names, |_| vec![])
}

/// The same in a network of the default profile, with an environment for each.
pub(crate) fn line_with(
    folder: &Path,
    names: &[&str],
    environment: impl Fn(&str) -> Vec<(&'static str, PathBuf)>,
) -> Vec<Node> {
    linked(names.iter().map(|name| Node::init(folder, name)).collect(), names, environment)
}

fn linked(
    mut nodes: Vec<Node>,
    names: &[&str],
    environment: impl Fn(&str) -> Vec<(&'static str, PathBuf)>,
) -> Vec<Node> {
    for (node, name) in nodes.iter_mut().zip(names) {
        let environment = environment(name);
        let environment: Vec<(&str, &Path)> =
            environment.iter().map(|(name, value)| (*name, value.as_path())).collect();
        node.spawn(&environment);
    }
    for pair in nodes.windows(2) {
        pair[0].json(&["peer", "add", &pair[1].peer()]);
    }
    let last = nodes.len() - 1;
    for (place, node) in nodes.iter().enumerate() {
        let expected = if place == 0 || place == last { 1 } else { 2 };
        wait_for("the links", || (node.links() == expected).then_some(()));
    }
    nodes[0].wait_for_plugins();
    nodes[last].wait_for_plugins();
    nodes
}

/// Shares a file of random bytes at one node and finds it at another; its link.
pub(crate) fn share(from: &Node, to: &Node, folder: &Path, name: &str, size: usize, words: &str) -> String {
    std::fs::create_dir(folder).unwrap();
    let mut bytes = vec![0; size];
    // A generator of our own would do; the system's is there.
    getrandom::fill(&mut bytes).unwrap();
    std::fs::write(folder.join(name), &bytes).unwrap();
    from.json(&["fileshare", "share", folder.to_str().unwrap()]);
    wait_for("the search's success", || {
        to.json(&["fileshare", "search", words, "--seconds", "2"]).iter().find_map(|hit| {
            (hit["size"].as_u64() == Some(size as u64)).then(|| hit["link"].as_str().unwrap().to_owned())
        })
    })
}

/// All files under a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}

/// A plugin that does wrong what it is told to, compiled.
pub(crate) fn specimen() -> Vec<u8> {
    let program = std::env::current_exe().unwrap();
    let folder = mute_plugin_build::build_folder(&program).unwrap();
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests/specimen");
    mute_plugin_build::build_crate(&package, "specimen", &folder).unwrap().bytes
}
