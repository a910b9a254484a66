//! Runs a decoder over a corpus, random bytes and mutations.

use std::{fs, io, path::Path};

use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng as _};
use rand_core::Rng as _;

use super::Decoder;

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hammered {
    /// Inputs tried.
    pub inputs: u64,
    /// Those that were accepted: none would mean that the examples no longer reach past the first check.
    pub accepted: u64,
}

/// The longest random input in bytes; the decoders' own limits lie within it or are reached by repeated mutation.
const LONGEST: usize = 512;

/// Runs `decoder` over its examples, `corpus`, and then `inputs` inputs made from `seed`: one in four random, the rest examples or
/// corpus with up to eight mutations. A panic is a finding.
pub fn hammer(decoder: &Decoder, corpus: &[Vec<u8>], inputs: u64, seed: u64) -> Hammered {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut hammered = Hammered::default();
    let mut run = |input: &[u8]| {
        hammered.inputs += 1;
        hammered.accepted += u64::from((decoder.check)(input));
    };
    let examples = (decoder.examples)();
    for example in &examples {
        assert!((decoder.check)(example), "{} refuses its own example", decoder.name);
    }
    let starts: Vec<&Vec<u8>> = examples.iter().chain(corpus).collect();
    for start in &starts {
        run(start);
    }
    let mut input = Vec::new();
    for _ in 0..inputs {
        input.clear();
        let draw = rng.next_u32();
        if draw.is_multiple_of(4) || starts.is_empty() {
            input.resize(draw as usize / 4 % LONGEST, 0);
            rng.fill_bytes(&mut input);
        } else {
            input.extend_from_slice(starts[draw as usize / 4 % starts.len()]);
            for _ in 0..rng.next_u32() % 9 {
                mutate(&mut input, &mut rng);
            }
        }
        run(&input);
    }
    hammered
}

fn mutate(input: &mut Vec<u8>, rng: &mut ChaCha8Rng) {
    let draw = rng.next_u64();
    let value = (draw >> 8) as u8;
    let at = (draw >> 16) as usize % input.len().max(1);
    let span = 1 + (draw >> 48) as usize % 16;
    match draw % 7 {
        0 if !input.is_empty() => input[at] ^= 1 << (value % 8),
        1 if !input.is_empty() => input[at] = value,
        2 if !input.is_empty() => input[at] = [0, 1, 0x7f, 0x80, 0xff][usize::from(value) % 5],
        3 => input.truncate(at),
        4 => input.insert(at.min(input.len()), value),
        5 if !input.is_empty() => {
            input.drain(at..(at + span).min(input.len()));
        }
        _ => {
            let copy = input[at.min(input.len())..(at + span).min(input.len())].to_vec();
            input.extend_from_slice(&copy);
        }
    }
}

/// The files of a folder, by name: a decoder's kept corpus, with what once made it fail.
///
/// # Errors
/// The folder or a file in it cannot be read.
pub fn read_corpus(folder: &Path) -> io::Result<Vec<Vec<u8>>> {
    let mut paths: Vec<_> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    paths.sort();
    paths.into_iter().map(fs::read).collect()
}
