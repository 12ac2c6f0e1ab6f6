//! `${NAME}` in texts of the configuration.

use super::Environment;
use super::mistake::Fault;

/// Replaces every `${NAME}`; `$$` stands for one `$`. Any other `$` is a mistake, so that a typing error never
/// becomes part of a name or an address.
pub(crate) fn expand(text: &str, environment: Environment<'_>) -> Result<String, Fault> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            expanded.push('$');
            rest = after;
        } else {
            let (name, after) = leading_name(after).ok_or_else(lone_dollar)?;
            expanded.push_str(&look_up(name, environment)?);
            rest = after;
        }
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// The name, when `text` is exactly one `${NAME}`.
pub(crate) fn whole_name(text: &str) -> Option<&str> {
    match leading_name(text.strip_prefix('$')?)? {
        (name, "") => Some(name),
        _ => None,
    }
}

/// The value of a variable; unset and empty are mistakes that name it.
pub(crate) fn look_up(name: &str, environment: Environment<'_>) -> Result<String, Fault> {
    match environment(name) {
        None => {
            Err(Fault::new(format!("the environment variable `{name}` is not set")).remedy("set it before the start"))
        }
        Some(value) if value.is_empty() => Err(Fault::new(format!("the environment variable `{name}` is empty"))),
        Some(value) => Ok(value),
    }
}

/// `{NAME}` at the beginning, and what follows it.
fn leading_name(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = text.strip_prefix('{')?.split_once('}')?;
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (starts_well && name.chars().all(allowed)).then_some((name, rest))
}

fn lone_dollar() -> Fault {
    Fault::new("`$` does not begin a `${NAME}`").remedy("write `$$` for a plain `$`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<String> {
        match name {
            "A" => Some("1".to_owned()),
            "B_2" => Some("${A}".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn names_are_replaced_once() {
        let expand = |text| expand(text, &environment);
        assert_eq!(expand("x${A}y$$${B_2}").unwrap(), "x1y$${A}");
        assert_eq!(expand("plain").unwrap(), "plain");
        for bad in ["$", "$A", "${", "${}", "${A", "${a-b}", "${1}", "a${NOT}", "${EMPTY}"] {
            assert!(expand(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_whole_name_is_nothing_but_it() {
        assert_eq!(whole_name("${A}"), Some("A"));
        for not in ["${A} ", "x${A}", "${A}${A}", "$A", "A", ""] {
            assert_eq!(whole_name(not), None, "{not}");
        }
    }
}
