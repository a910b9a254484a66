use super::*;

/// A granted folder `inside`, beside it a file that is nobody's business.
fn folder() -> (tempfile::TempDir, Dir) {
    let home = tempfile::tempdir().expect("a temporary folder");
    let inside = home.path().join("inside");
    std::fs::create_dir_all(inside.join("sub")).expect("made");
    std::fs::write(home.path().join("secret"), b"secret").expect("written");
    std::fs::write(inside.join("file"), b"file").expect("written");
    let dir = open_root(&inside).expect("opens");
    (home, dir)
}

fn code_of<T>(result: Result<T, Error>) -> u32 {
    result.err().expect("an error").code
}

#[test]
fn paths_are_relative_and_plain() {
    for bad in ["..", "../secret", "sub/../../secret", "/etc/passwd", "/", "sub/.."] {
        assert_eq!(code_of(check_path(bad, true)), code::DENIED, "{bad}");
    }
    for bad in ["a//b", "./a", "a/.", "a/", "a\0b", &"a".repeat(limits::PATH_BYTES + 1)] {
        assert_eq!(code_of(check_path(bad, true)), code::INVALID, "{bad}");
    }
    assert_eq!(code_of(check_path("", false)), code::INVALID);
    for good in ["a", "a/b/c", "..a", "a..", "sub/...", "ä ö"] {
        assert!(check_path(good, false).is_ok(), "{good}");
    }
    assert!(check_path("", true).is_ok());
}

#[test]
fn links_that_lead_out_are_denied_and_those_inside_work() {
    let (home, dir) = folder();
    let inside = home.path().join("inside");
    for (link, target) in [("out", "../secret"), ("up", ".."), ("absolute", "/etc")] {
        std::os::unix::fs::symlink(target, inside.join(link)).expect("linked");
    }
    std::os::unix::fs::symlink(home.path().join("secret"), inside.join("full")).expect("linked");
    std::os::unix::fs::symlink("file", inside.join("fine")).expect("linked");
    for path in ["out", "full", "up/secret", "absolute/passwd"] {
        assert_eq!(code_of(open_file(&dir, path, false)), code::DENIED, "{path}");
        assert_eq!(code_of(open_file(&dir, path, true)), code::DENIED, "{path}");
        assert_eq!(code_of(stat(&dir, path.to_owned())), code::DENIED, "{path}");
    }
    assert_eq!(code_of(rename(&dir, "file", "up/stolen")), code::DENIED);
    assert_eq!(code_of(rename(&dir, "up/secret", "stolen")), code::DENIED);
    assert_eq!(code_of(remove(&dir, "up/secret")), code::DENIED);
    assert!(open_file(&dir, "fine", false).is_ok());
    // Removing a link removes the link.
    remove(&dir, "out").expect("removed");
    assert_eq!(std::fs::read(home.path().join("secret")).expect("read"), b"secret");
}

#[test]
fn special_files_are_refused_without_waiting() {
    let (home, dir) = folder();
    let pipe = home.path().join("inside").join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).expect("made");
    assert_eq!(code_of(open_file(&dir, "pipe", false)), code::INVALID);
    assert_eq!(code_of(open_file(&dir, "pipe", true)), code::INVALID);
    assert_eq!(code_of(stat(&dir, "pipe".to_owned())), code::INVALID);
    assert_eq!(code_of(open_file(&dir, "sub", false)), code::INVALID);
}

#[test]
fn rename_never_replaces() {
    let (home, dir) = folder();
    let inside = home.path().join("inside");
    std::fs::write(inside.join("other"), b"other").expect("written");
    assert_eq!(code_of(rename(&dir, "file", "other")), code::INVALID);
    assert_eq!(code_of(rename(&dir, "file", "sub")), code::INVALID);
    assert_eq!(std::fs::read(inside.join("other")).expect("read"), b"other");
    rename(&dir, "file", "sub/moved").expect("moves");
    assert_eq!(std::fs::read(inside.join("sub").join("moved")).expect("read"), b"file");
    assert_eq!(code_of(rename(&dir, "file", "again")), code::NOT_FOUND);
    rename(&dir, "sub", "renamed").expect("folders move too");
}

#[test]
fn a_file_that_is_opened_for_writing_is_made_and_never_cut() {
    let (home, dir) = folder();
    let inside = home.path().join("inside");
    assert_eq!(code_of(open_file(&dir, "new", false)), code::NOT_FOUND);
    open_file(&dir, "new", true).expect("made");
    open_file(&dir, "file", true).expect("opened");
    assert_eq!(std::fs::read(inside.join("file")).expect("read"), b"file");
    let entry = stat(&dir, "file".to_owned()).expect("known");
    assert_eq!((entry.size_bytes, entry.is_folder), (4, false));
    assert!(entry.modified_ms > 1_600_000_000_000);
    assert!(stat(&dir, String::new()).expect("known").is_folder);
    assert!(free_bytes(&dir).expect("known") > 0);
}

#[test]
fn a_grant_that_is_taken_back_ends_what_is_open() {
    let grants = crate::plugin::grants::Grants::default();
    let grant = |can_write| crate::store::FolderGrant { name: "a".to_owned(), path: "/tmp".into(), can_write };
    grants.grant(grant(false));
    let held = grants.folder("a").expect("granted");
    assert!(check_grant(&held, false).is_ok());
    assert_eq!(code_of(check_grant(&held, true)), code::DENIED);
    grants.grant(grant(true));
    assert_eq!(code_of(check_grant(&held, false)), code::DENIED);
    assert!(check_grant(&grants.folder("a").expect("granted anew"), true).is_ok());
    assert!(grants.revoke("a"));
    assert!(grants.folder("a").is_none());
}
