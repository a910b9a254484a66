//! Folders that the user grants by name.

use std::time::Duration;

use mute::plugin::Output;
use tokio::{sync::mpsc, time::timeout};

use crate::harness::{Bench, PATIENCE, SPECIMEN};

async fn bench() -> (Bench, std::path::PathBuf) {
    let bench = Bench::new(&[("one", &SPECIMEN)], &["one"]).await;
    bench.running("one").await;
    let folder = bench.folder("stuff");
    std::fs::write(folder.join("file"), b"content").expect("written");
    bench.plugins.grant_folder("one", "stuff", &folder, true).await.expect("granted");
    (bench, folder)
}

impl Bench {
    async fn file_op(&self, op: &str, path: &str, target: &str) -> Result<String, u32> {
        let arguments = [("op", op), ("folder", "stuff"), ("path", path), ("target", target)];
        let given: Vec<_> = arguments.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        let said = self.command("one", "file", &given).await.map_err(|error| error.code)?;
        match said.into_iter().next() {
            Some(Output::Text(text)) => Ok(text),
            other => panic!("{op} said {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_read_and_written_as_streams() {
    let (bench, folder) = bench().await;
    assert_eq!(bench.file_op("read", "file", "").await, Ok("7 bytes, the last Some(116)".to_owned()));
    assert_eq!(bench.file_op("write", "new", "").await, Ok("written".to_owned()));
    let written = std::fs::read(folder.join("new")).expect("read");
    assert_eq!(written.len(), 40 * 64 * 1024);
    assert!(written.iter().enumerate().all(|(n, byte)| *byte == (n % 251) as u8));
    assert_eq!(bench.file_op("read", "new", "").await, Ok("2621440 bytes, the last Some(246)".to_owned()));
    assert_eq!(bench.file_op("make", "inner", "").await, Ok("made".to_owned()));
    assert_eq!(bench.file_op("move", "new", "inner/new").await, Ok("moved".to_owned()));
    assert_eq!(bench.file_op("list", "", "").await, Ok("file inner inner/new".to_owned()));
    assert_eq!(bench.file_op("move", "inner/new", "file").await, Err(8));
    assert_eq!(std::fs::read(folder.join("file")).expect("read"), b"content");
    assert_eq!(bench.file_op("remove", "inner", "").await, Err(8));
    assert_eq!(bench.file_op("remove", "inner/new", "").await, Ok("removed".to_owned()));
    assert_eq!(bench.file_op("remove", "inner", "").await, Ok("removed".to_owned()));
    let many = bench.file_op("open-many", "file", "").await.expect("it is told");
    // One place is the folder's.
    assert_eq!(many, "127 files, then 7");
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_way_out() {
    let (bench, folder) = bench().await;
    std::os::unix::fs::symlink("/etc", folder.join("etc")).expect("linked");
    std::os::unix::fs::symlink("../mute.redb", folder.join("keys")).expect("linked");
    for path in ["../mute.redb", "/etc/passwd", "etc/passwd", "keys"] {
        assert_eq!(bench.file_op("read", path, "").await, Err(5), "{path}");
        assert_eq!(bench.file_op("write", path, "").await, Err(5), "{path}");
    }
    assert_eq!(bench.file_op("move", "file", "../file").await, Err(5));
    assert_eq!(bench.file_op("move", "file", "etc/file").await, Err(5));
    assert_eq!(bench.file_op("list", "", "").await, Ok("file".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_can_be_for_reading_be_taken_back_and_outlives_the_daemon() {
    let (bench, folder) = bench().await;
    bench.plugins.grant_folder("one", "stuff", &folder, false).await.expect("granted");
    assert_eq!(bench.file_op("write", "file", "").await, Err(5));
    assert_eq!(bench.file_op("remove", "file", "").await, Err(5));
    assert!(bench.file_op("read", "file", "").await.is_ok());
    bench.plugins.shutdown().await;
    let Bench { home, store, plugins } = bench;
    drop(plugins);
    let bench = Bench::start(home, store, &["one"]).await;
    bench.running("one").await;
    assert_eq!(bench.info("one").folders, ["stuff"]);
    assert!(bench.file_op("read", "file", "").await.is_ok());
    assert!(bench.plugins.revoke_folder("one", "stuff").await.expect("known"));
    assert_eq!(bench.file_op("read", "file", "").await, Err(5));
    assert!(!bench.plugins.revoke_folder("one", "stuff").await.expect("known"));
}

#[tokio::test(flavor = "multi_thread")]
async fn mutes_own_folders_are_not_to_be_granted() {
    let (bench, folder) = bench().await;
    let home = bench.home.path();
    for own in [home.to_owned(), home.join("plugins"), home.join("cache"), home.join("stuff").join("..")] {
        assert!(bench.plugins.grant_folder("one", "x", &own, false).await.is_err(), "{}", own.display());
    }
    for (name, path) in [("x", folder.join("file")), ("x", folder.join("none")), ("", folder.clone()), ("a\nb", folder)]
    {
        assert!(bench.plugins.grant_folder("one", name, &path, false).await.is_err());
    }
    assert_eq!(bench.info("one").folders, ["stuff"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_told() {
    let (bench, folder) = bench().await;
    let (_, input) = mpsc::channel(1);
    let arguments = vec![("op".to_owned(), "watch".to_owned()), ("folder".to_owned(), "stuff".to_owned())];
    let mut watching = bench.plugins.invoke("one", "file", arguments, input).expect("it runs");
    let mut next = async || timeout(PATIENCE, watching.next()).await.expect("in time");
    assert_eq!(next().await, Some(Output::Text("watching".to_owned())));
    // The watch begins a moment after it was asked for.
    tokio::time::sleep(Duration::from_millis(500)).await;
    std::fs::write(folder.join("fresh"), b"new").expect("written");
    assert_eq!(next().await, Some(Output::Text("fresh".to_owned())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_dropped_lets_go_of_its_file() {
    let (bench, folder) = bench().await;
    for _ in 0..3 {
        assert_eq!(bench.file_op("cut", "half", "").await, Ok("cut".to_owned()));
    }
    // Whatever of it came is there, and no more.
    assert!(b"half".starts_with(&std::fs::read(folder.join("half")).expect("read")));
    // Places are given back as soon as the last operation on the disk has ended.
    let freed = async {
        while bench.file_op("open-many", "file", "").await.as_deref() != Ok("127 files, then 7") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, freed).await.expect("all places come back");
}
