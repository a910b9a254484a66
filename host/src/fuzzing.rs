//! The host's decoders, for property tests and fuzzers (feature `fuzzing`): see [`mute_core::fuzzing`].

use mute_core::{Address, IdentityKey, fuzzing::Decoder};

use crate::{
    control::{self, Argument, PluginArgument, PluginCommand, Reply, Request, Step},
    error::Error,
    overlay::fuzzing as overlay,
};

/// The decoders of this package.
pub const DECODERS: &[Decoder] = &[
    Decoder { name: "decode_request", check: check_request, examples: requests },
    Decoder { name: "decode_reply", check: check_reply, examples: replies },
    Decoder { name: "decode_letter", check: check_letter, examples: letters },
    Decoder { name: "decode_preface", check: overlay::check_preface, examples: overlay::prefaces },
];

/// Runs the check of the decoder with this name: what a fuzz target does.
///
/// # Panics
/// There is none, or the check fails.
pub fn check(name: &str, input: &[u8]) {
    let decoder = DECODERS.iter().find(|decoder| decoder.name == name);
    (decoder.expect("a fuzz target names a decoder of the list").check)(input);
}

/// What was read and written again must be read as the same.
fn check_request(input: &[u8]) -> bool {
    let Ok(request) = control::decode_request(input) else { return false };
    let again = rmp_serde::to_vec_named(&request).expect("a request can be encoded");
    assert_eq!(control::decode_request(&again).expect("it was read before"), request);
    true
}

fn check_reply(input: &[u8]) -> bool {
    let Ok(reply) = control::decode_reply(input) else { return false };
    let again = rmp_serde::to_vec_named(&reply).expect("a reply can be encoded");
    let read = control::decode_reply(&again).expect("it was read before");
    assert_eq!(format!("{read:?}"), format!("{reply:?}"));
    true
}

/// Whom the letters are for.
fn recipient() -> Address {
    IdentityKey::from_seed(&[2; 32]).address()
}

fn check_letter(input: &[u8]) -> bool {
    let Some((message, _)) = crate::overlay::letter::decode_letter(input, recipient()) else { return false };
    assert!(message.body.len() <= input.len() && !message.topic.is_empty());
    true
}

fn requests() -> Vec<Vec<u8>> {
    let argument = Argument { name: "words".into(), value: "blue".into() };
    let invoke = Request::Invoke { plugin: "fileshare".into(), command: "search".into(), arguments: vec![argument] };
    [
        Request::Hello { protocol: 1 },
        Request::Status,
        Request::AddPeer { peer: "a@b:1".into() },
        invoke,
        Request::Cancel,
    ]
    .iter()
    .map(|request| rmp_serde::to_vec_named(request).expect("a request can be encoded"))
    .collect()
}

fn replies() -> Vec<Vec<u8>> {
    let argument = PluginArgument { name: "words".into(), many: true, ..PluginArgument::default() };
    let command = PluginCommand { name: "search".into(), arguments: vec![argument], ..PluginCommand::default() };
    let step = Step { label: "file".into(), done: 1, total: Some(2), unit: "bytes".into() };
    [
        Reply::Hello { protocol: 1, version: "0".into() },
        Reply::Commands(vec![command]),
        Reply::Text("a".into()),
        Reply::Progress(step),
        Reply::Failed(Error::usage("no")),
        Reply::Done,
    ]
    .iter()
    .map(|reply| rmp_serde::to_vec_named(reply).expect("a reply can be encoded"))
    .collect()
}

fn letters() -> Vec<Vec<u8>> {
    overlay::letters(&IdentityKey::from_seed(&[1; 32]), recipient())
}
