//! Folders of inputs, as the fuzzer has them, to one text file and back: a JSON string a line, so that a change of it can
//! be read. `corpus unpack FILE FOLDER`, `corpus pack FOLDER... FILE`. Inputs that are no text are left out: they are no
//! search either.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["unpack", file, folder] => unpack(Path::new(file), Path::new(folder)),
        ["pack", folders @ .., file] => pack(folders, Path::new(file)),
        _ => Err("usage: corpus unpack FILE FOLDER, or corpus pack FOLDER... FILE".into()),
    }
}

fn unpack(file: &Path, folder: &Path) -> Result<(), Box<dyn Error>> {
    for (number, line) in std::fs::read_to_string(file)?.lines().enumerate() {
        let input: String = serde_json::from_str(line)?;
        std::fs::write(folder.join(format!("{number:05}")), input)?;
    }
    Ok(())
}

fn pack(folders: &[&str], file: &Path) -> Result<(), Box<dyn Error>> {
    let mut inputs = BTreeSet::new();
    for folder in folders {
        for entry in std::fs::read_dir(folder)? {
            inputs.extend(String::from_utf8(std::fs::read(entry?.path())?));
        }
    }
    let lines: Vec<String> = inputs.iter().map(|input| escaped(input) + "\n").collect();
    Ok(std::fs::write(file, lines.concat())?)
}

/// Plain ASCII: nothing in the file is invisible, or turns the direction of writing.
fn escaped(text: &str) -> String {
    let unit = |unit: u16| match u8::try_from(unit) {
        Ok(plain @ (b' '..=b'!' | b'#'..=b'[' | b']'..=b'~')) => char::from(plain).to_string(),
        _ => format!("\\u{unit:04x}"),
    };
    format!("\"{}\"", text.encode_utf16().map(unit).collect::<String>())
}
