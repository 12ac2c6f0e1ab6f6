//! Cuts Rust into words and signs; comments, texts and lifetimes fall away. Not a parser.

/// A word, `::`, or one other character.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) line: usize,
    pub(super) text: String,
}

impl Token {
    pub(super) fn is_word(&self) -> bool {
        self.text.starts_with(|c: char| c.is_alphanumeric() || c == '_')
    }
}

/// Without comments, texts and lifetimes.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < chars.len() {
        let length = one(&chars[at..]);
        let piece: String = chars[at..at + length].iter().collect();
        let is_word = chars[at].is_alphanumeric() || chars[at] == '_';
        let is_text = piece.len() > 1 && piece.ends_with(['"', '\'', '#']);
        if piece == "::" || (is_word && !is_text) || (length == 1 && !chars[at].is_whitespace()) {
            tokens.push(Token { line, text: piece.trim_start_matches("r#").to_owned() });
        }
        line += chars[at..at + length].iter().filter(|c| **c == '\n').count();
        at += length;
    }
    tokens
}

/// How many characters the token at the start takes.
fn one(rest: &[char]) -> usize {
    let until = |from: usize, end: &str| {
        let end: Vec<char> = end.chars().collect();
        (from..rest.len()).find(|at| rest[*at..].starts_with(&end)).map_or(rest.len(), |at| at + end.len())
    };
    let begins = |what: &str| rest.iter().copied().take(what.len()).eq(what.chars());
    if begins("//") {
        return until(2, "\n");
    }
    if begins("/*") {
        return comment(rest);
    }
    if begins("::") {
        return 2;
    }
    let prefix = rest.iter().take_while(|c| matches!(c, 'b' | 'c' | 'r')).count();
    let hashes = rest[prefix..].iter().take_while(|c| **c == '#').count();
    let raw = prefix > 0 && rest[prefix - 1] == 'r';
    if prefix <= 2 && raw && rest.get(prefix + hashes) == Some(&'"') {
        return until(prefix + hashes + 1, &format!("\"{}", "#".repeat(hashes)));
    }
    if prefix <= 2 && rest.get(prefix) == Some(&'"') {
        return quoted(rest, prefix, '"');
    }
    let is_character = rest.get(prefix + 1) == Some(&'\\') || rest.get(prefix + 2) == Some(&'\'');
    if prefix <= 1 && rest.get(prefix) == Some(&'\'') && is_character {
        return quoted(rest, prefix, '\'');
    }
    let name = rest.iter().take_while(|c| c.is_alphanumeric() || **c == '_').count();
    if prefix == 1 && raw && hashes == 1 {
        return 2 + rest[2..].iter().take_while(|c| c.is_alphanumeric() || **c == '_').count();
    }
    name.max(1)
}

/// A block comment, which may hold others.
fn comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        match (rest[at], rest.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at.min(rest.len())
}

fn quoted(rest: &[char], open: usize, quote: char) -> usize {
    let mut at = open + 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}
