//! The search language: what is understood, what is refused and where.

use proptest::prelude::*;

use super::*;

fn canonical(line: &str) -> String {
    Query::parse(line).unwrap().to_string()
}

fn refused(line: &str) -> String {
    Query::parse(line).unwrap_err().to_string()
}

#[test]
fn words_and_phrases_are_folded_and_ordered() {
    assert_eq!(canonical(""), "");
    assert_eq!(canonical("  Ñandú  web "), "nandu web");
    assert_eq!(canonical("web nandu web"), "nandu web");
    assert_eq!(canonical(r#""two  spaces" -DB"#), r#""two  spaces" -db"#);
    assert_eq!(canonical(r#""a \"b\" \\ c""#), r#""a \"b\" \\ c""#);
    assert_eq!(canonical(r#"5"disk DOMAIN\user"#), r#""5\"disk" "domain\\user""#);
}

#[test]
fn fields_take_lists() {
    assert_eq!(canonical("Status:warning,critical"), "status:warning,critical");
    assert_eq!(canonical(r#"group:"L'Eixample (CPD)",web"#), r#"group:"l'eixample (cpd)",web"#);
    assert_eq!(canonical("-site:madrid tag:EMEA"), "tag:emea -site:madrid");
    assert_eq!(canonical("ip:10.1.2.3/16,10.2."), "ip:10.1.0.0/16,10.2.");
    assert_eq!(canonical("AGE:>60m,<30s,>1h"), "age:<30s,>1h");
    assert_eq!(canonical("-Alert:FIRED,fired web"), "web -alert:fired");
    assert_eq!(canonical("name:/^Ñ, [a-z]\\/\\d+$/,web"), "name:web,/^n, [a-z]\\/\\d+$/");
}

#[test]
fn a_colon_alone_makes_no_field() {
    for text in [
        "10.0.0.1:8080",
        "localhost:80",
        "http://a.b/c",
        r"C:\temp",
        "dead:beef::1",
        "fe80::1%eth0",
        "beef::1%eth0",
        "dead:beef::/32",
        "ffff::10.0.0.1",
        "[dead:beef::1]:80",
        ":x",
        "a::b:1",
    ] {
        let parsed = Query::parse(text);
        if text == "a::b:1" {
            assert!(parsed.is_ok(), "{text}");
            continue;
        }
        assert_eq!(parsed.unwrap().terms(), [Term { negated: false, what: What::Text(fold(text)) }]);
    }
}

#[test]
fn a_mistake_names_its_position_and_the_remedy() {
    for (line, expected) in [
        (
            r#"web ""#,
            r#"position 5: this quote is never closed; add a `"` behind the phrase, or write `"\""` to find a quote"#,
        ),
        ("web -", "position 5: nothing follows `-`; write the word to exclude behind it, or `\"-\"` to find a dash"),
        (r#"web """#, "position 5: an empty phrase; write what to look for"),
        ("\u{301}", "position 1: only accents, without a letter; write what to look for"),
        (r#""web"01"#, "position 6: text follows a closing quote; put a blank between them"),
        (
            "ñ statsu:critical",
            "position 3: unknown field `statsu`; write `status:`, or `\"statsu:critical\"` to find that text",
        ),
        (
            "colour:red",
            "position 1: unknown field `colour`; known are alias, name, ip, group, os, status, site, tag, age, alert; or write `\"colour:red\"` to find that text",
        ),
        ("status:", "position 8: `status:` has no value here; write `status:critical` or `status:critical,warning`"),
        ("group:a,,b", "position 9: `group:` has no value here; write `group:web` or `group:\"two words\"`"),
        (
            "status:critical,red",
            "position 17: `red` is no status; write one of critical, warning, unknown, normal, not_init",
        ),
        ("ip:web", "position 4: `web` is no address; write `ip:10.1.0.7`, `ip:10.1.` or `ip:10.1.0.0/16`"),
        (
            "name:/web",
            "position 6: this pattern is never closed; add a `/` behind it, or write `name:\"/…\"` to find that text",
        ),
        ("ñ alias:/é(b/", "position 11: in this pattern: unclosed group; see docs/search.md for patterns"),
        (
            "alias:x,/\\w{200}/",
            "position 10: in this pattern: too large: it repeats too much; see docs/search.md for patterns",
        ),
        ("name://", "position 6: `name:` has no value here; write `group:web` or `group:\"two words\"`"),
        (
            "age:10m",
            "position 5: `10m` is no age: it begins with neither `>` (older) nor `<` (younger); write `age:>10m` or `age:<1h` (units s, m, h, d, w)",
        ),
        (
            "-age:>1h,<x",
            "position 10: `<x` is no age: it has no unit; write `age:>10m` or `age:<1h` (units s, m, h, d, w)",
        ),
        ("alert:acked", "position 7: `acked` is no state of an alert; write `alert:fired` or `-alert:fired`"),
    ] {
        assert_eq!(refused(line), expected, "{line}");
    }
    assert!(refused("os:/etc/passwd").starts_with("position 9: text follows a closing slash"));
    assert!(refused(&"os:/a/ ".repeat(5)).starts_with("position 32: more than 4 patterns"));
    assert_eq!(Query::parse("ñ x:y").unwrap_err().byte, 3);
    assert_eq!(Query::parse("ñ os:/ñ(/").unwrap_err().byte, 9);
    assert!(refused(&"x ".repeat(65)).starts_with("position 129: more than 64 words and values"));
    assert!(refused(&format!("alias:{}x", "x,".repeat(64))).starts_with("position 135: more than 64"));
    assert!(refused("zq:\"a").contains("known are alias"));
    assert!(refused("foo:a\"b").contains(r#"`"foo:a\"b"`"#));
    assert!(refused(&"ñ".repeat(5000)).starts_with("position 2049: the search is 10000 bytes long"));
}

#[test]
fn a_site_that_cannot_answer_is_not_concerned() {
    let tags = ["Production".to_owned()];
    for (line, concerns) in [
        ("web", true),
        ("site:madrid", true),
        ("site:lyon,madrid", true),
        ("site:lyon", false),
        ("-site:madrid", false),
        ("tag:production", true),
        ("tag:prod", false),
        ("-tag:production web", false),
        ("site:madrid tag:lab", false),
    ] {
        assert_eq!(Query::parse(line).unwrap().concerns("madrid", &tags), concerns, "{line}");
    }
}

#[test]
fn ids_and_tags_that_no_site_has_are_found_out() {
    let tags = ["Production".to_owned()];
    let query = Query::parse("site:madrid,lyno -site:x tag:production,prod web").unwrap();
    let nowhere = query.nowhere(&[("madrid", &tags), ("lyon", &[])]);
    assert_eq!(nowhere, [("site", "lyno"), ("tag", "prod"), ("site", "x")]);
}

#[test]
fn every_printable_character_is_answered_or_pointed_at() {
    for c in ' '..='~' {
        for line in [c.to_string(), format!("web {c}"), format!("{c}web"), format!("web{c}"), format!("a{c}b")] {
            if let Err(error) = Query::parse(&line) {
                assert!((1..=line.chars().count() + 1).contains(&error.position), "{line}: {error}");
            }
        }
    }
}

proptest! {
    #[test]
    fn any_line_is_answered_or_pointed_at(line in any::<String>()) {
        if let Err(error) = Query::parse(&line) {
            prop_assert!((1..=line.chars().count() + 1).contains(&error.position));
        }
    }

    #[test]
    fn the_canonical_form_means_the_same(
        line in r#"([-"\\:,/a-cÑ .0-9]|status:|group:|ip:|critical|age:|[<>][0-9]{1,3}[smhdw]|alert:fired|os:/|[+*()\[\]ß^$]| ){0,12}"#,
    ) {
        if let Ok(query) = Query::parse(&line) {
            let text = query.to_string();
            prop_assert_eq!(Query::parse(&text).map_err(|e| format!("{text}: {e}")), Ok(query));
        }
    }
}
