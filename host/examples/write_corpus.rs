//! Writes the examples of the host's decoders into a folder, as the start of a fuzzer's corpus:
//! `cargo run -p mute --features fuzzing --example write_corpus -- host/tests/corpus`

use std::{env, error::Error, fs, path::PathBuf};

use mute::fuzzing::DECODERS;

fn main() -> Result<(), Box<dyn Error>> {
    let corpus: PathBuf = env::args_os().nth(1).ok_or("name the folder to write to")?.into();
    for decoder in DECODERS {
        let folder = corpus.join(decoder.name);
        fs::create_dir_all(&folder)?;
        for (number, example) in (decoder.examples)().into_iter().enumerate() {
            fs::write(folder.join(format!("example-{number}")), example)?;
        }
    }
    Ok(())
}
