//! `metaconsole password`: what it prints is what the configuration takes.

use std::process::Stdio;

use tokio::io::AsyncWriteExt as _;

use crate::support::program::program;

async fn run(arguments: &[&str], typed: &str) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut program = program(folder.path());
    program.arg("password").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = program.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    // It may have ended before it read.
    let _ = input.write_all(typed.as_bytes()).await;
    drop(input);
    let output = child.wait_with_output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn accepted(people: &str) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sites.yaml");
    let yaml = format!(
        "gateway: {{state_dir: state}}\n\
         sites: [{{id: a, url: \"http://10.0.0.1/\", credentials: {{token: \"${{T}}\"}}}}]\n\
         access:\n  roles: {{all: {{search: ['*']}}}}\n{people}"
    );
    std::fs::write(&file, yaml).unwrap();
    metaconsole::config::load(&file, &|_| Some("x".to_owned())).is_ok()
}

#[tokio::test]
async fn a_piped_password_becomes_a_hash_that_the_configuration_takes() {
    for typed in ["correct horse battery", "correct horse battery\n", "correct horse battery\r\nmore"] {
        let (code, hash, said) = run(&[], typed).await;
        assert_eq!((code, said.as_str()), (0, ""));
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$") && hash.lines().count() == 1, "{hash}");
        assert!(accepted(&format!("  users:\n    - login: ana\n      password: {hash}      roles: [all]\n")));
    }
}

#[tokio::test]
async fn a_weak_one_is_refused_and_never_repeated() {
    for (typed, expected) in [
        ("hunter2\n", "the password is shorter than 12 characters; take several words\n"),
        ("", "the password is shorter than 12 characters; take several words\n"),
        ("password1234\n", "the password is one of those that are tried first; take several words of your own\n"),
    ] {
        assert_eq!(run(&[], typed).await, (2, String::new(), expected.to_owned()));
    }
    let (code, _, said) = run(&["--totp"], "").await;
    assert_eq!((code, said.as_str()), (2, "a second factor is not in this version; leave --totp\n"));
}

#[tokio::test]
async fn an_api_token_comes_with_its_hash() {
    let (code, told, _) = run(&["--api-token"], "").await;
    let (token, hash) = told.strip_prefix("token: ").unwrap().split_once("\nhash: ").unwrap();
    assert_eq!((code, token.len()), (0, 68));
    assert_eq!(hash.trim_end(), format!("sha256:{}", metaconsole::access::secrets::digest(token)));
    assert!(accepted(&format!("  api_tokens: [{{name: a, hash: '{}', roles: [all]}}]\n", hash.trim_end())));
    assert_ne!(run(&["--api-token"], "").await.1, told);
}
