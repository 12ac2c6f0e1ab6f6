//! What is accepted, and what becomes of it. What is refused: `tests/fixtures/config`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::config::{Config, Credentials, Subject, Verifier};
use crate::domain::SiteKind;

const MADRID: &str = "sites:\n  - id: madrid\n    url: https://madrid.example.org/pandora_console\n    \
                      credentials: {token: \"${TOKEN}\"}\n";

const CA: &str = include_str!("../../../tests/fixtures/config/files/ca.pem");

/// Reading asks only for the frame of a key, so this one needs no content.
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";

fn environment(name: &str) -> Option<String> {
    let value = match name {
        "TOKEN" => "hunter2",
        "CITY" => "Madrid",
        "MINUTES" => "5m",
        "MASTER" => "0123456789abcdef0123456789abcdef",
        "PROXY" => "socks5h://ana:hunter2@proxy.example.org:1080",
        "HASH" => "abcdeABCDE12345",
        _ => return None,
    };
    Some(value.to_owned())
}

fn folder_with(main: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("sites.yaml"), main).unwrap();
    folder
}

fn load_folder(folder: &TempDir) -> Config {
    match load(&folder.path().join("sites.yaml"), &environment) {
        Ok(config) => config,
        Err(mistakes) => panic!("{mistakes}"),
    }
}

fn accepted(main: &str) -> Config {
    load_folder(&folder_with(main))
}

const fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

#[test]
fn what_is_not_said_has_a_default() {
    let config = accepted(&format!("\u{feff}{MADRID}"));
    let gateway = &config.gateway;
    assert_eq!(gateway.id, "gateway");
    assert_eq!(gateway.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(gateway.public_url.as_str(), "http://127.0.0.1:8080/");
    assert_eq!((gateway.deadline, gateway.max_deadline), (seconds(2), seconds(60)));
    assert!(gateway.keys.is_empty() && !gateway.allow_anonymous && !gateway.last_known);
    let site = &config.sites[0];
    assert_eq!((site.name.as_str(), site.kind), ("madrid", SiteKind::Pandora));
    assert_eq!(site.urls[0].as_str(), "https://madrid.example.org/pandora_console/");
    assert_eq!(site.public_url, site.urls[0]);
    assert_eq!((site.timeout, site.connect_timeout), (seconds(60), seconds(3)));
    assert_eq!((site.refresh_after, site.max_age), (seconds(30), seconds(60)));
    assert_eq!(site.forget_after, seconds(24 * 3600));
    assert!((site.max_load - 0.02).abs() < 1e-12);
    assert_eq!((site.max_agents, site.max_body), (100_000, 256_000_000));
    assert!(!site.paused && site.tags.is_empty() && site.proxy.is_none());
    assert_eq!(site.delegation.verifier, Verifier::None);
    let Credentials::Token(token) = &site.credentials else {
        panic!("no token");
    };
    assert_eq!(token.expose(), "hunter2");
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn a_site_wins_over_defaults_and_they_over_the_gateway() {
    let config = accepted(&format!(
        "gateway: {{refresh_after: 10s, max_age: 20s, forget_after: 1h}}\n\
         defaults: {{max_age: 30s, tags: [a, b], proxy: \"${{PROXY}}\", timeout: 10s, paused: true}}\n\
         {MADRID}    max_age: 40s\n    tags: [c]\n    proxy: none\n    timeout: 2s\n    paused: false\n\
         \x20 - id: lyon\n    url: https://lyon.example.org/\n    credentials: {{token: \"${{TOKEN}}\"}}\n"
    ));
    let [madrid, lyon] = config.sites.as_slice() else {
        panic!("not two sites");
    };
    assert_eq!((madrid.max_age, lyon.max_age), (seconds(40), seconds(30)));
    assert_eq!((madrid.refresh_after, lyon.forget_after), (seconds(10), seconds(3600)));
    assert_eq!((madrid.tags.as_slice(), lyon.tags.len()), (["c".to_owned()].as_slice(), 2));
    assert!(madrid.proxy.is_none() && !madrid.paused && lyon.paused);
    let proxy = lyon.proxy.as_ref().unwrap();
    assert_eq!(proxy.expose().password(), Some("hunter2"));
    // Nobody said it, so it follows the shorter life of a read.
    assert_eq!(madrid.connect_timeout, seconds(2));
}

#[test]
fn variables_are_replaced_in_every_plain_value() {
    let config = accepted(&format!(
        "{MADRID}    name: ${{CITY}} $$1\n    tags: [\"${{CITY}}\"]\n    refresh_after: ${{MINUTES}}\n"
    ));
    let site = &config.sites[0];
    assert_eq!((site.name.as_str(), site.tags[0].as_str()), ("Madrid $1", "Madrid"));
    assert_eq!(site.refresh_after, seconds(300));
}

#[test]
fn words_that_look_like_numbers_stay_words() {
    let sites = MADRID.replace("madrid\n", "007\n");
    let config = accepted(&format!("{sites}    name: 2026\n    tags: [no, 1e5]\n    max_load: 2%\n"));
    let site = &config.sites[0];
    assert_eq!((site.id.as_str(), site.name.as_str()), ("007", "2026"));
    assert_eq!(site.tags, ["no", "1e5"]);
}

#[test]
fn more_sites_come_by_the_name_of_their_file() {
    let folder = folder_with(MADRID);
    let more = folder.path().join("sites.d");
    fs::create_dir(&more).unwrap();
    for (name, id) in [("b.yaml", "lyon"), ("a.yaml", "oslo"), (".c.yaml", "-"), ("d.txt", "-")] {
        fs::write(more.join(name), MADRID.replace("madrid\n", &format!("{id}\n"))).unwrap();
    }
    fs::write(more.join("token"), "from-file\n").unwrap();
    let relative = MADRID.replace("\"${TOKEN}\"", "\"file:token\"").replace("madrid\n", "lima\n");
    fs::write(more.join("e.yaml"), relative).unwrap();
    let config = load_folder(&folder);
    let ids: Vec<&str> = config.sites.iter().map(|site| site.id.as_str()).collect();
    assert_eq!(ids, ["madrid", "oslo", "lyon", "lima"]);
    let files: Vec<_> = config.files.iter().map(|file| file.file_name().unwrap()).collect();
    assert_eq!(files, ["sites.yaml", "a.yaml", "b.yaml", "e.yaml"]);
    assert_eq!(config.named, [more.join("token")]);
}

#[test]
fn sites_may_all_stand_in_the_folder() {
    let folder = folder_with("gateway: {id: hq}\n");
    fs::create_dir(folder.path().join("sites.d")).unwrap();
    fs::write(folder.path().join("sites.d/madrid.yaml"), MADRID).unwrap();
    assert_eq!(load_folder(&folder).sites.len(), 1);
}

#[test]
fn everything_around_a_connection() {
    let folder = folder_with(
        "gateway: {listen: \"[::1]:8080\", public_url: https://meta.example.org/pane, trusted_proxies: [10.1.0.0/16, ::1]}\n\
         sites:\n  - id: madrid\n    urls: [https://a.example.org/p/index.php?x, https://b.example.org/p]\n\
         \x20   credentials: {user: ana, password: \"${TOKEN}\", basic: {user: front, password: \"${TOKEN}\"}}\n\
         \x20   tls: {ca_file: ca.pem, client_cert: client.pem, server_name: madrid.internal}\n\
         \x20 - {id: lyon, url: \"https://lyon.example.org/\", credentials: {token: \"${TOKEN}\"}, \
         connect_to: \"[2001:db8::7]:443\"}\n",
    );
    fs::write(folder.path().join("ca.pem"), CA).unwrap();
    fs::write(folder.path().join("client.pem"), format!("{CA}{KEY}")).unwrap();
    let config = load_folder(&folder);
    assert_eq!(config.gateway.public_url.as_str(), "https://meta.example.org/pane/");
    assert_eq!(config.gateway.trusted_proxies[1].to_string(), "::1/128");
    let site = &config.sites[0];
    let urls: Vec<&str> = site.urls.iter().map(url::Url::as_str).collect();
    assert_eq!(urls, ["https://a.example.org/p/", "https://b.example.org/p/"]);
    assert_eq!(site.tls.ca_pem.as_deref(), Some(CA.as_bytes()));
    assert!(site.tls.client_pem.as_ref().unwrap().expose().ends_with(KEY));
    assert_eq!(config.sites[1].connect_to.as_ref().unwrap().host, "2001:db8::7");
    assert_eq!(site.basic.as_ref().unwrap().user, "front");
    assert!(matches!(&site.credentials, Credentials::Password { api_password: None, .. }));
}

#[test]
fn openings() {
    let config = accepted(&format!(
        "gateway: {{keys: [{{kid: 2026a, secret: \"${{MASTER}}\", signing: true}}]}}\n\
         {MADRID}    delegation:\n      verifier: dropin\n      kid: 2026a\n\
         \x20     url: https://madrid.example.org/pandora_console/mc.php\n      accounts:\n\
         \x20       - {{user: \"local:alice\", account: alice}}\n\
         \x20       - {{group: \"oidc:noc\", account: ops.reader}}\n      never: [admin]\n\
         \x20 - id: lyon\n    url: https://lyon.example.org/\n    credentials: {{token: \"${{TOKEN}}\"}}\n\
         \x20   delegation: {{verifier: direct, secret: \"${{HASH}}\"}}\n"
    ));
    assert!(config.gateway.keys[0].signing);
    let delegation = &config.sites[0].delegation;
    assert_eq!(delegation.verifier, Verifier::Dropin);
    assert!(delegation.url.as_ref().unwrap().path().ends_with("/mc.php"));
    assert_eq!(delegation.accounts[1].subject, Subject::Group("oidc:noc".to_owned()));
    assert_eq!(config.sites[1].delegation.verifier, Verifier::Direct);
}

/// The master key's file is checked for who may read it, so one that only its owner may read must pass.
#[cfg(unix)]
#[test]
fn a_key_kept_to_its_owner() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder_with(&format!(
        "gateway: {{state_dir: state, keys: [{{kid: a, secret: file:key, signing: true}}]}}\n{MADRID}"
    ));
    let key = folder.path().join("key");
    fs::write(&key, format!("{}\n", "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG")).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let gateway = load_folder(&folder).gateway;
    assert_eq!(gateway.keys[0].secret.expose().len(), 43);
    assert_eq!(gateway.state_dir.unwrap(), folder.path().join("state"));
}

#[test]
fn the_example_of_the_repository_shows_every_key() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("sites.yaml");
    let example = fs::read_to_string(example).unwrap();
    let sections = [
        &FILE_KEYS,
        &gateway::KEYS,
        &gateway::KEY_KEYS,
        &shared::DEFAULTS_KEYS,
        &site::KEYS,
        &credentials::KEYS,
        &credentials::BASIC_KEYS,
        &tls::KEYS,
        &delegation::KEYS,
        &delegation::ACCOUNT_KEYS,
    ];
    for key in sections.iter().flat_map(|keys| keys.known) {
        assert!(example.contains(&format!("{key}:")), "{key}");
    }
    assert!(example.contains("access:"));
}

#[test]
fn what_a_site_may_say_and_defaults_may_not_is_told() {
    let defaults = &shared::DEFAULTS_KEYS;
    for key in site::KEYS.known {
        let refused = defaults.refused.iter().any(|(name, _, _)| name == key);
        assert_ne!(defaults.known.contains(key), refused, "{key}");
    }
}
