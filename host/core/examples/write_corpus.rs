//! Writes the decoders' examples and a few programs for the router into a folder, as the start of a fuzzer's corpus:
//! `cargo run -p mute-core --features fuzzing --example write_corpus -- host/core/tests/corpus`

use std::{env, error::Error, fs, path::PathBuf};

use mute_core::fuzzing::DECODERS;

fn main() -> Result<(), Box<dyn Error>> {
    let corpus: PathBuf = env::args_os().nth(1).ok_or("name the folder to write to")?.into();
    for decoder in DECODERS {
        let folder = corpus.join(decoder.name);
        fs::create_dir_all(&folder)?;
        for (number, example) in (decoder.examples)().into_iter().enumerate() {
            fs::write(folder.join(format!("example-{number}")), example)?;
        }
    }
    let folder = corpus.join("router");
    fs::create_dir_all(&folder)?;
    for program in 0..4u32 {
        let bytes: Vec<u8> =
            (0..4096u32).map(|n| (n.wrapping_add(program).wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        fs::write(folder.join(format!("program-{program}")), bytes)?;
    }
    Ok(())
}
