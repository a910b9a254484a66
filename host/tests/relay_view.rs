//! What relays see: every frame as they have it decrypted, searched for what they must not know. The same search of a run
//! without the seals finds it all, so that it is known to look in the right places.
#![cfg(feature = "relay-view")]
#![allow(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use mute_core::{
    Address, Ecn, Label, MessageId, SIZE_CLASSES,
    wire::{Decoded, Frame, Unverified, decode_frame, kind},
};
use rustls::{
    crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256,
    quic::{Keys, Version},
};
use support::{Node, line_with, share, wait_for};

/// What Bob writes.
const MESSAGE: &str = "meet me where the heron stands";
/// What stands on the page that Bob fetches.
const PAGE: &str = "<p>the quarry opens on thursday</p>";
/// The name of the file that Bob downloads. He asks for its first word, which relays do read.
const FILE: &str = "moonstone-from-the-quarry.bin";
/// The file's size in bytes.
const SIZE: usize = 1 << 20;
/// How much of the file is looked for, at each of some places.
const PIECE: usize = 24;

/// The header of a Data frame: its kind, a label, a congestion mark.
const DATA_HEADER: usize = 1 + 8 + 1;

/// A long-lived key of who asks. Its identities that listen are named in Walks, which they sign to be found: nothing else may name them.
const KEY: &str = "a key of the asking side";

/// What must not be found, by what it is.
type Needles = Vec<(&'static str, Vec<u8>)>;

/// What a relay wrote down.
struct View {
    /// Every frame, whole.
    frames: Vec<Vec<u8>>,
}

/// What the search found, by what it is.
fn find(view: &View, needles: &Needles) -> Vec<&'static str> {
    let mut found: Vec<&'static str> = Vec::new();
    for frame in &view.frames {
        for (what, needle) in needles {
            let told = *what == KEY && frame.first() == Some(&kind::WALK);
            if !told && !found.contains(what) && frame.windows(needle.len()).any(|window| window == needle) {
                found.push(what);
            }
        }
        // Where the body of a Data frame begins depends on its header; each place it can have is tried.
        if !found.contains(&"a QUIC Initial") && (0..frame.len().min(32)).any(|start| is_initial(&frame[start..])) {
            found.push("a QUIC Initial");
        }
    }
    found.sort_unstable();
    found
}

/// Whether these bytes are an Initial packet of a QUIC client, version 1: whether they open with the keys that everybody
/// can derive (RFC 9001, 5.2).
fn is_initial(packet: &[u8]) -> bool {
    open_initial(packet).is_some()
}

fn open_initial(packet: &[u8]) -> Option<()> {
    // Long header, fixed bit, type Initial; then the version.
    if packet.first()? & 0xf0 != 0xc0 || packet.get(1..5)? != 1_u32.to_be_bytes() {
        return None;
    }
    let mut at = 5;
    let destination = take_sized(packet, &mut at)?;
    take_sized(packet, &mut at)?;
    let token = usize::try_from(varint(packet, &mut at)?).ok()?;
    at = at.checked_add(token)?;
    let length = usize::try_from(varint(packet, &mut at)?).ok()?;
    let suite = TLS13_AES_128_GCM_SHA256.tls13()?;
    let keys = Keys::initial(Version::V1, suite, suite.quic?, destination, rustls::Side::Server);
    let mut packet = packet.get(..at.checked_add(length)?)?.to_vec();
    let (head, rest) = packet.split_at_mut(at);
    let sample = rest.get(4..20)?.to_vec();
    keys.remote.header.decrypt_in_place(&sample, head.first_mut()?, rest.get_mut(..4)?).ok()?;
    let number_length = usize::from(head[0] & 3) + 1;
    let number = rest[..number_length].iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let (header, body) = packet.split_at_mut(at + number_length);
    keys.remote.packet.decrypt_in_place(number, header, body).ok().map(drop)
}

fn take_sized<'a>(packet: &'a [u8], at: &mut usize) -> Option<&'a [u8]> {
    let length = usize::from(*packet.get(*at)?);
    let bytes = packet.get(*at + 1..*at + 1 + length)?;
    *at += 1 + length;
    (length <= 20).then_some(bytes)
}

fn varint(packet: &[u8], at: &mut usize) -> Option<u64> {
    let first = *packet.get(*at)?;
    let length = 1 << (first >> 6);
    let bytes = packet.get(*at..*at + length)?;
    *at += length;
    Some(bytes[1..].iter().fold(u64::from(first & 0x3f), |value, byte| value << 8 | u64::from(*byte)))
}

/// The records of `link/view.rs`: length (4), link (8), direction (1), frame.
fn read_view(path: &Path) -> View {
    let bytes = std::fs::read(path).unwrap();
    let mut frames = Vec::new();
    let mut rest = &bytes[..];
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        // The last record of a relay that was killed may be cut short.
        let Some(record) = after.get(..length) else { break };
        frames.push(record[9..].to_vec());
        rest = &after[length..];
    }
    View { frames }
}

/// What a relay reads in its frames, all of which a parser takes apart.
struct Capture {
    /// Who signed what, by kind.
    authors: BTreeMap<&'static str, BTreeMap<MessageId, Address>>,
    /// Whom Seeks are for.
    targets: BTreeSet<Address>,
    /// Of Data: all that is in it beside the sealed body.
    headers: Vec<(Label, Ecn, usize)>,
    bodies: BTreeSet<Vec<u8>>,
    /// How often each byte stands in the sealed bodies, and at each of the first places of one.
    bytes: [u64; 256],
    places: Vec<[u64; 256]>,
    /// What stays on one link.
    of_links: usize,
}

/// Places of a sealed body that are looked at one by one: more than QUIC's longest header in the clear.
const PLACES: usize = 64;

impl Capture {
    fn of(view: &View) -> Self {
        let mut capture = Self {
            authors: BTreeMap::new(),
            targets: BTreeSet::new(),
            headers: Vec::new(),
            bodies: BTreeSet::new(),
            bytes: [0; 256],
            places: vec![[0; 256]; PLACES],
            of_links: 0,
        };
        for frame in &view.frames {
            match decode_frame(frame.clone().into()).unwrap() {
                Decoded::Frame(frame) => capture.take(frame),
                Decoded::Link(_) => capture.of_links += 1,
                Decoded::Unknown => panic!("a frame of an unknown kind"),
            }
        }
        capture
    }

    fn take(&mut self, frame: Frame<Unverified>) {
        let mut sign = |kind, id, author| {
            self.authors.entry(kind).or_default().insert(id, author);
        };
        match frame {
            Frame::Flood { message, .. } => sign("Flood", message.id(), message.author()),
            Frame::Seek { message, .. } => {
                sign("Seek", message.id(), message.author());
                self.targets.insert(message.target());
            }
            Frame::Letter { message } => sign("Letter", message.id(), message.author()),
            Frame::Trail { message, .. } => sign("Trail", message.id(), message.author()),
            Frame::Keep { message, .. } => sign("Keep", message.id(), message.author()),
            Frame::Walk { message, .. } => sign("Walk", message.id(), message.author()),
            Frame::Close { .. } => {}
            Frame::Data { label, ecn, body } => {
                self.headers.push((label, ecn, body.len()));
                // A relay has each body twice, as it comes and as it goes.
                if self.bodies.insert(body.to_vec()) {
                    body.iter().for_each(|byte| self.bytes[usize::from(*byte)] += 1);
                    for (place, byte) in self.places.iter_mut().zip(&body) {
                        place[usize::from(*byte)] += 1;
                    }
                }
            }
        }
    }

    fn authors(&self, kind: &str) -> BTreeSet<Address> {
        self.authors.get(kind).into_iter().flat_map(BTreeMap::values).copied().collect()
    }

    /// How far the bytes of sealed bodies are from even, over all and at the worst of the first places: Pearson's χ² over 255 degrees of
    /// freedom, as a normal deviate (Wilson and Hilferty 1931).
    fn unevenness(&self) -> [f64; 2] {
        let of = |counts: &[u64; 256]| {
            let mean = counts.iter().sum::<u64>() as f64 / 256.0;
            let square = counts.iter().map(|count| (*count as f64 - mean).powi(2) / mean).sum::<f64>();
            let spread = 2.0 / (9.0 * 255.0);
            ((square / 255.0).cbrt() - (1.0 - spread)) / spread.sqrt()
        };
        [of(&self.bytes), self.places.iter().map(of).fold(f64::MIN, f64::max)]
    }
}

/// A deviate that chance exceeds once in a million, and of [`PLACES`] once in 15,000.
const UNEVEN: f64 = 4.8;

/// All identities that a node keeps, raw and as text.
fn identities(node: &Node) -> Needles {
    let store = mute::store::Store::open(&node.home.join("mute.redb")).unwrap();
    let mut needles = Needles::new();
    for plugin in ["chat", "fileshare", "webserve"] {
        for name in store.identity_names(plugin).unwrap() {
            let address = store.identity(plugin, &name).unwrap().address();
            needles.push((KEY, address.0.to_vec()));
            needles.push(("an address of the asking side", address.to_string().into_bytes()));
        }
    }
    assert!(needles.len() >= 2, "the asking side has no identity");
    needles
}

/// Bob searches, downloads, writes and fetches; what the two relays wrote down, and what is looked for in it.
fn play(folder: &Path, seals: bool) -> (Vec<View>, Needles) {
    let view = |name: &str| folder.join(format!("{name}.view"));
    let mut nodes = line_with(folder, &["alice", "relay-1", "relay-2", "bob"], |name| {
        let mut environment: Vec<(&'static str, PathBuf)> = vec![];
        if name.starts_with("relay") {
            environment.push(("MUTE_RELAY_VIEW", view(name)));
        }
        if !seals {
            environment.push(("MUTE_UNSEALED", "1".into()));
        }
        environment
    });
    let shared = folder.join("shared");
    let link = share_as(&nodes[0], &nodes[3], &shared);
    nodes[3].json(&["fileshare", "get", &link]);
    let alices = nodes[0].json(&["chat", "me"])[0]["address"].as_str().unwrap().to_owned();
    nodes[3].json(&["chat", "send", &alices, MESSAGE]);
    let site = folder.join("site");
    std::fs::create_dir(&site).unwrap();
    std::fs::write(site.join("index.html"), PAGE).unwrap();
    let published = nodes[0].json(&["webserve", "publish", site.to_str().unwrap()]);
    let page = format!("{}/", published[0]["address"].as_str().unwrap());
    wait_for("the page", || (nodes[3].run(&["webserve", "fetch", &page]).code == 0).then_some(()));

    let original = std::fs::read(shared.join(FILE)).unwrap();
    let mut needles: Needles = [1000, SIZE / 3, SIZE / 2, SIZE - 1000]
        .map(|at| ("content of the file", original[at..at + PIECE].to_vec()))
        .into();
    needles.push(("the file's name", b"from-the-quarry".to_vec()));
    needles.push(("the message", MESSAGE.into()));
    needles.push(("the page", PAGE.into()));
    for name in ["fileshare", "webserve", "chat/1", "web/1"] {
        needles.push(("a plugin's name", name.into()));
    }
    for node in &mut nodes {
        node.stop();
    }
    needles.extend(identities(&nodes[3]));
    ([1, 2].map(|place| read_view(&view(&format!("relay-{place}")))).into(), needles)
}

fn share_as(from: &Node, to: &Node, folder: &Path) -> String {
    share(from, to, folder, FILE, SIZE, "moonstone")
}

#[test]
fn relays_see_neither_who_asks_nor_what_passes() {
    let folder = tempfile::tempdir().unwrap();
    let (views, needles) = play(folder.path(), true);
    let keys = needles.iter().filter(|(what, _)| *what == KEY);
    let asking: BTreeSet<Address> = keys.map(|(_, key)| Address(key.as_slice().try_into().unwrap())).collect();
    for view in views {
        assert_capture_tells_nothing(&view, &asking);
        let bytes: usize = view.frames.iter().map(Vec::len).sum();
        assert!(bytes > SIZE, "the view holds {bytes} bytes: less than what passed");
        // What relays do read: the words of the search.
        assert_eq!(find(&view, &vec![("the words", b"moonstone".to_vec())]), ["the words"]);
        assert_eq!(find(&view, &needles), [""; 0]);
        // Of the length of a sealed packet they learn its class. (Whether any is of a middle one is up to the transfer's pace.)
        let packets = view.frames.iter().filter(|frame| frame.first() == Some(&kind::DATA));
        let lengths: BTreeSet<usize> = packets.map(|frame| frame.len() - DATA_HEADER).collect();
        assert!(lengths.is_subset(&BTreeSet::from(SIZE_CLASSES)), "a length that is no class: {lengths:?}");
        assert!([SIZE_CLASSES[0], SIZE_CLASSES[3]].iter().all(|class| lengths.contains(class)), "{lengths:?}");
    }
}

/// The parser's view of the same run: who signed, and what Data says.
fn assert_capture_tells_nothing(view: &View, asking: &BTreeSet<Address>) {
    let capture = Capture::of(view);
    for kind in ["Flood", "Seek", "Letter", "Trail", "Keep"] {
        assert!(!capture.authors(kind).is_empty(), "the capture holds no {kind}");
        let known: Vec<_> = capture.authors(kind).intersection(asking).copied().collect();
        assert!(known.is_empty(), "a {kind} is signed by the asking side's long-lived key");
    }
    // A fresh key for each Flood and Letter.
    for kind in ["Flood", "Letter"] {
        assert_eq!(capture.authors(kind).len(), capture.authors[kind].len(), "two of kind {kind} have one author");
    }
    // Trails are signed by those who were sought, Keeps by them or by keys that Seeks were signed with.
    assert!(capture.authors("Trail").is_subset(&capture.targets));
    let ends: BTreeSet<_> = capture.targets.union(&capture.authors("Seek")).copied().collect();
    assert!(capture.authors("Keep").is_subset(&ends));
    assert!(capture.headers.iter().all(|(_, _, size)| SIZE_CLASSES.contains(size)));
    let [all, worst] = capture.unevenness();
    assert!(all < UNEVEN && worst < UNEVEN, "sealed bodies are not even: {all}, {worst}");
    let labels: BTreeSet<Label> = capture.headers.iter().map(|(label, ..)| *label).collect();
    println!(
        "{} frames of Data with {} labels, {} bodies; deviates {all:.2} and {worst:.2}; {} frames of one link; {:?}",
        capture.headers.len(),
        labels.len(),
        capture.bodies.len(),
        capture.of_links,
        capture.authors.iter().map(|(kind, of)| (kind, of.len())).collect::<Vec<_>>()
    );
}

#[test]
fn without_the_seals_the_same_search_finds_it_all() {
    let folder = tempfile::tempdir().unwrap();
    let (views, needles) = play(folder.path(), false);
    let all =
        ["a QUIC Initial", KEY, "a plugin's name", "content of the file", "the file's name", "the message", "the page"];
    for view in views {
        let [bytes, worst] = Capture::of(&view).unevenness();
        assert!(bytes > UNEVEN && worst > UNEVEN, "bodies without a seal look sealed: {bytes}, {worst}");
        let found = find(&view, &needles);
        for what in all {
            assert!(found.contains(&what), "{what} is not among what was found: {found:?}");
        }
    }
}
