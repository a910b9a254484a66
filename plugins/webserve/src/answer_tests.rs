use super::*;
use mute_plugin::futures::FutureExt as _;
use proptest::prelude::*;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// A folder in memory that remembers what it was asked for.
#[derive(Default)]
struct FakeDisk {
    files: BTreeMap<&'static str, u64>,
    asked: RefCell<Vec<String>>,
    fault: Option<u32>,
}

impl Disk for FakeDisk {
    async fn stat(&self, path: &str) -> Result<Entry> {
        self.asked.borrow_mut().push(path.to_owned());
        if let Some(code) = self.fault {
            return Err(Error::new(code, "the disk is unwell"));
        }
        let is_folder = self.files.keys().any(|file| file.starts_with(&format!("{path}/")));
        match self.files.get(path) {
            Some(size) => Ok(Entry { path: path.to_owned(), size: *size, modified_ms: 255, is_folder: false }),
            None if is_folder => Ok(Entry { path: path.to_owned(), size: 0, modified_ms: 0, is_folder: true }),
            None => Err(Error::not_found("no such file")),
        }
    }
}

fn disk() -> FakeDisk {
    let files =
        [("index.html", 100), ("a/index.html", 10), ("a/photo.png", 5_000), ("b c/x", 1), ("empty", 0), (".git/x", 1)];
    FakeDisk { files: files.into(), ..FakeDisk::default() }
}

fn ask_disk(request: &Request, disk: &FakeDisk) -> Answer {
    answer(request, Some(disk)).now_or_never().expect("memory does not wait")
}

fn ask(method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::new(method, target);
    for (name, value) in headers {
        request.headers = request.headers.with(name, *value);
    }
    ask_disk(&request, &disk())
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.response.headers.get(name).unwrap_or_default()
}

fn file_body(path: &str, offset: u64, length: u64) -> Body {
    Body::File { path: path.to_owned(), offset, length }
}

#[test]
fn files_come_with_type_length_and_tag() {
    let answer = ask("GET", "/a/photo.png?x=1", &[]);
    assert_eq!((answer.response.status, &answer.body), (200, &file_body("a/photo.png", 0, 5_000)));
    assert_eq!((header(&answer, "content-type"), header(&answer, "content-length")), ("image/png", "5000"));
    assert_eq!((header(&answer, "etag"), answer.response.length()), ("\"1388-ff\"", Some(5_000)));
    let answer = ask("GET", "/empty", &[]);
    assert_eq!((answer.response.status, answer.body), (200, file_body("empty", 0, 0)));
}

#[test]
fn a_folder_is_its_index_and_never_a_list() {
    assert_eq!(ask("GET", "/", &[]).body, file_body("index.html", 0, 100));
    assert_eq!(ask("GET", "/a/", &[]).body, file_body("a/index.html", 0, 10));
    assert_eq!(ask("GET", "/b%20c/", &[]).response.status, 404);
    let moved = ask("GET", "/b%20c", &[]);
    assert_eq!((moved.response.status, header(&moved, "location")), (301, "/b%20c/"));
    assert_eq!(ask("GET", "/index.html/", &[]).response.status, 404);
}

#[test]
fn what_is_not_there_or_hidden_is_a_page_of_its_own() {
    let answer = ask("GET", "/none", &[]);
    assert_eq!((answer.response.status, header(&answer, "content-type")), (404, HTML));
    for target in ["/.git/x", "/../x", "/%2e%2e/x", "//etc/passwd", "/a//photo.png"] {
        assert_eq!(ask("GET", target, &[]), answer, "{target}");
    }
    assert_eq!(ask("GET", "/%00", &[]).response.status, 400);

    let mut disk = disk();
    disk.files.insert("404.html", 77);
    let answer = ask_disk(&Request::new("GET", "/none"), &disk);
    assert_eq!((answer.response.status, answer.body), (404, file_body("404.html", 0, 77)));
}

#[test]
fn only_reading_is_allowed() {
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let answer = ask(method, "/", &[]);
        assert_eq!((answer.response.status, header(&answer, "allow")), (405, "GET, HEAD"), "{method}");
    }
    let (head, get) = (ask("HEAD", "/a/photo.png", &[]), ask("GET", "/a/photo.png", &[]));
    assert_eq!((head.response, head.body), (get.response, Body::None));
    assert_eq!(ask("HEAD", "/none", &[]).body, Body::None);
}

#[test]
fn a_known_version_is_not_sent_again() {
    let answer = ask("GET", "/", &[("if-none-match", "W/\"64-ff\"")]);
    assert_eq!((answer.response.status, answer.body), (304, Body::None));
    assert_eq!(ask("GET", "/", &[("if-none-match", "\"63-ff\"")]).response.status, 200);
}

#[test]
fn parts_are_sent_if_the_version_is_the_same() {
    let range = ("range", "bytes=10-19");
    let answer = ask("GET", "/", &[range]);
    assert_eq!((answer.response.status, &answer.body), (206, &file_body("index.html", 10, 10)));
    assert_eq!((header(&answer, "content-range"), header(&answer, "content-length")), ("bytes 10-19/100", "10"));
    assert_eq!(ask("GET", "/", &[range, ("if-range", "\"64-ff\"")]).response.status, 206);
    assert_eq!(ask("GET", "/", &[range, ("if-range", "\"old\"")]).response.status, 200);
    assert_eq!(ask("HEAD", "/", &[range]).response.status, 200);
    let beyond = ask("GET", "/", &[("range", "bytes=100-")]);
    assert_eq!((beyond.response.status, header(&beyond, "content-range")), (416, "bytes */100"));
}

#[test]
fn a_site_without_its_folder_says_so() {
    let gone = answer::<FakeDisk>(&Request::new("GET", "/"), None).now_or_never().unwrap();
    assert_eq!(gone.response.status, 503);
    let unwell = FakeDisk { fault: Some(Error::INTERNAL), ..disk() };
    assert_eq!(ask_disk(&Request::new("GET", "/"), &unwell).response.status, 503);
    let denied = FakeDisk { fault: Some(Error::DENIED), ..disk() };
    assert_eq!(ask_disk(&Request::new("GET", "/"), &denied).response.status, 404);
}

proptest! {
    #[test]
    fn whatever_is_asked_only_plain_paths_reach_the_disk(
        target in "/(/|%2[eEfF]|%5c|\\.|\\\\|%00|[!-~]|a|index.html){0,40}",
        range in "(bytes=)?[0-9]{0,20}-[0-9]{0,20}|.{0,20}",
        tag in ".{0,20}",
    ) {
        let disk = disk();
        let mut request = Request::new("GET", &target);
        request.headers = request.headers.with("range", range).with("if-none-match", tag);
        let answer = ask_disk(&request, &disk);
        for path in disk.asked.borrow().iter() {
            prop_assert!(path.split('/').all(|name| !name.is_empty() && !name.starts_with('.')), "{}", path);
            prop_assert!(!path.contains(['\\', '\0', ':']));
        }
        if let Body::File { path, offset, length } = &answer.body {
            prop_assert!(offset + length <= disk.files[path.as_str()]);
            prop_assert_eq!(answer.response.length(), Some(*length));
        }
    }
}
