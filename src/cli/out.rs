//! Where words and data go: a closed pipe ends the output quietly, colour only reaches a terminal.

use std::fmt::{Arguments, Display};
use std::io::{self, BufWriter, IsTerminal as _, Write};

/// A line for a person, on stderr.
pub(super) fn say(line: impl Display) {
    let _ = writeln!(anstream::stderr(), "{line}");
}

/// Data, on stdout. After the pipe was closed, nothing more is written, and that is no error.
pub(super) struct Data {
    to: Box<dyn Write>,
    failed: Option<io::Error>,
}

impl Data {
    /// For programs: byte for byte what is written, escape sequences in names included.
    pub(super) fn exact() -> Self {
        Self { to: Box::new(BufWriter::new(io::stdout())), failed: None }
    }

    /// For people: colours reach a terminal only.
    pub(super) fn coloured() -> Self {
        Self { to: Box::new(BufWriter::new(anstream::stdout())), failed: None }
    }

    /// Writes a piece.
    pub(super) fn write(&mut self, piece: Arguments<'_>) {
        if self.failed.is_none() {
            self.failed = self.to.write_fmt(piece).err();
        }
    }

    /// Whether writing more makes sense: nobody has left, and nothing went wrong.
    pub(super) fn is_wanted(&self) -> bool {
        self.failed.is_none()
    }

    /// What went wrong, other than that nobody wanted more.
    pub(super) fn finish(mut self) -> Result<Reader, io::Error> {
        if self.failed.is_none() {
            self.failed = self.to.flush().err();
        }
        match self.failed {
            None => Ok(Reader::There),
            Some(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Left),
            Some(error) => Err(error),
        }
    }
}

/// Whether somebody reads what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// They do.
    There,
    /// They closed the pipe.
    Left,
}

/// Whether a person reads stdout.
pub(super) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// A line on stderr that is written over and over while waiting; only on a terminal.
#[derive(Debug)]
pub(super) struct Progress {
    shown: bool,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { shown: io::stderr().is_terminal() }
    }

    pub(super) fn show(&self, line: Arguments<'_>) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\x1b[K{line}");
        }
    }

    pub(super) fn clear(&self) {
        self.show(format_args!(""));
    }
}

/// A text of a site on a terminal: what would move the cursor, colour the screen, turn the direction of writing or
/// hide is shown as a replacement character.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if is_unseen(c) { '\u{fffd}' } else { c }).collect()
}

/// Characters that act instead of being seen.
pub(super) fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_a_site_cannot_drive_the_terminal() {
        assert_eq!(plain("a\x1b[31mb\r\n\u{202e}c ñ 日本"), "a\u{fffd}[31mb\u{fffd}\u{fffd}\u{fffd}c ñ 日本");
    }
}
