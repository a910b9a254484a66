//! Finds decoders that a list forgot, by their names in the sources.

use std::{fs, io, path::Path};

use super::Decoder;

/// What a decoder's name starts with.
const PREFIXES: [&str; 2] = ["decode_", "parse_wire_"];

/// Reads all Rust sources below `sources` and compares the functions named `decode_…`, `decode`, or `parse_wire_…` with
/// `lists`: one line for each function that is in none, is there twice, or is listed and does not exist. Functions inside `#[cfg(test)]` modules at a
/// file's end are left out, and so are folders and files named `tests`.
///
/// # Errors
/// A folder or file cannot be read.
pub fn missing_from(lists: &[&[Decoder]], sources: &Path) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    collect(sources, &mut found)?;
    let listed: Vec<&str> = lists.iter().flat_map(|list| list.iter()).map(|decoder| decoder.name).collect();
    let mut complaints = Vec::new();
    for (place, (name, path)) in found.iter().enumerate() {
        if !listed.contains(&name.as_str()) {
            complaints.push(format!("{name} in {path} is in no list of decoders"));
        }
        if found[..place].iter().any(|(other, _)| other == name) {
            complaints.push(format!("{name} in {path} has the name of another decoder"));
        }
    }
    for name in listed {
        if !found.iter().any(|(found, _)| found == name) {
            complaints.push(format!("{name} is listed and is nowhere in the sources"));
        }
    }
    Ok(complaints)
}

fn collect(folder: &Path, found: &mut Vec<(String, String)>) -> io::Result<()> {
    let mut paths: Vec<_> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    paths.sort();
    for path in paths {
        if path.file_stem().is_some_and(|stem| stem == "tests") {
            continue;
        }
        if path.is_dir() {
            collect(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let shown = path.strip_prefix(folder).unwrap_or(&path).display().to_string();
            found.extend(functions(&fs::read_to_string(&path)?).into_iter().map(|name| (name, shown.clone())));
        }
    }
    Ok(())
}

/// The names of the decoders that a source defines.
fn functions(source: &str) -> Vec<String> {
    let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    code.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .filter_map(|line| line.split_once("fn "))
        .filter(|(before, _)| before.is_empty() || before.ends_with(' ') || before.ends_with('('))
        .map(|(_, after)| after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>())
        .filter(|name| name == "decode" || PREFIXES.iter().any(|prefix| name.starts_with(prefix)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::functions;

    #[test]
    fn sees_functions_wherever_they_stand() {
        let source = "
            pub fn decode_a(x: u8) {}
            impl X { pub(crate) async fn decode_b<'a>(&self) {} }
            const fn decode() {}
            fn parse_wire_c() {}
            // fn decode_d()
            fn encode_e() { decode_f(); }
            fn predecode_g() {}
#[cfg(test)]
mod tests {
            fn decode_h() {}
}
";
        assert_eq!(functions(source), ["decode_a", "decode_b", "decode", "parse_wire_c"]);
    }
}
