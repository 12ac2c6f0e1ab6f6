//! `demo`: consoles on loopback, a configuration for them until they end, and the gateway in front.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::out::{self, Data};
use super::{DemoArgs, Exit, serve};
use crate::access::password::hash;
use crate::access::secrets::{digest, random_id, random_token};
use crate::config::Environment;
use crate::demo::{Demo, PEOPLE};
use crate::secret::Secret;
use crate::serve::Hangup;

/// Who may come in, new at each start.
struct Login {
    password: Secret,
    token: Secret,
    yaml: String,
}

impl Login {
    const USER: &str = "demo";

    fn new() -> io::Result<Self> {
        let random = |_| io::Error::other("the system gives no random numbers");
        let (password, token) = (Secret::new(random_id().map_err(random)?), random_token().map_err(random)?);
        let hash = hash(&password).map_err(io::Error::other)?;
        let yaml = format!(
            "access:\n  roles: {{all: {{search: ['*'], view: ['*'], open: ['*'], audit: ['*'], admin: ['*']}}}}\n  \
             users: [{}]\n  \
             api_tokens: [{{name: demo, hash: 'sha256:{}', roles: [all]}}]\n",
            PEOPLE.map(|user| format!("{{login: {user}, password: '{}', roles: [all]}}", hash.expose())).join(", "),
            digest(token.expose())
        );
        Ok(Self { password, token, yaml })
    }
}

/// A folder that goes with the demo.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left behind in the system's temporary folder harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(super) async fn demo(args: DemoArgs, program: &Path, environment: Environment<'_>) -> Exit {
    let logs = args.log.start();
    if !args.anonymous && !args.listen.is_loopback() && !args.listen.is_unspecified() {
        // Browsers keep a login's cookies on https and on loopback only.
        out::say(format_args!(
            "the demo speaks plain http, so nobody can log in at {}; listen on 127.0.0.1, or add --anonymous to let \
             everybody in without a login",
            args.listen
        ));
        return Exit::Usage;
    }
    let demo = match Demo::start_on(args.listen, args.port) {
        Ok(demo) => demo,
        Err(error) => {
            out::say(error);
            return Exit::Failed;
        }
    };
    let made = (!args.anonymous).then(Login::new).transpose();
    let made = made.and_then(|login| Ok((configuration(&demo, &args, login.as_ref())?, login)));
    let (folder, login) = match made {
        Ok(made) => made,
        Err(error) => {
            out::say(format_args!("the demo's configuration cannot be written: {error}"));
            return Exit::Failed;
        }
    };
    let file = folder.0.join("sites.yaml");
    let service = match serve::open(&file, environment, Hangup::End, args.log, &logs).await {
        Ok(service) => service,
        Err(exit) => return exit,
    };
    let url = service.config().gateway.public_url.to_string();
    let mut data = Data::exact();
    data.write(format_args!("{}", greeting(&demo, &url, &file, program, login.as_ref())));
    if let Err(error) = data.finish() {
        out::say(format_args!("the greeting could not be written: {error}"));
    }
    serve::run(service).await
}

fn configuration(demo: &Demo, args: &DemoArgs, login: Option<&Login>) -> io::Result<Folder> {
    let folder = Folder(new_folder()?);
    let token = demo.sites().first().map(|site| site.token.as_str()).unwrap_or_default();
    std::fs::write(folder.0.join("token"), token)?;
    private(&folder.0.join("master"), demo.master())?;
    let access = login.map_or("", |login| login.yaml.as_str());
    let keys = login.map(|_| demo.keys_yaml(Path::new("master"))).unwrap_or_default();
    let yaml = [gateway_yaml(args).as_str(), &keys, &demo.sites_yaml(Path::new("token")), access].concat();
    std::fs::write(folder.0.join("sites.yaml"), yaml)?;
    Ok(folder)
}

/// A file for its owner only.
fn private(path: &Path, secret: &Secret) -> io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(secret.expose().as_bytes())
}

/// The demo holds nothing but invented hosts, so whoever listens elsewhere on purpose may.
fn gateway_yaml(args: &DemoArgs) -> String {
    let listen = SocketAddr::from((args.listen, args.port));
    // Of all addresses, loopback is the one that browsers here have; a container's ports are published on it.
    let near = if args.listen.is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { args.listen };
    let host = SocketAddr::from((near, args.port));
    let anonymous = !args.listen.is_loopback() && args.anonymous;
    let state = if args.anonymous { "" } else { "  state_dir: state\n" };
    format!(
        "gateway:\n  id: demo\n  listen: \"{listen}\"\n  public_url: http://{host}/\n  allow_anonymous: {anonymous}\n{state}"
    )
}

/// A folder that was not there before: not one that somebody else has put in its place.
fn new_folder() -> io::Result<PathBuf> {
    for number in 0..100 {
        let folder = std::env::temp_dir().join(format!("metaconsole-demo-{}-{number}", std::process::id()));
        match std::fs::create_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|()| folder),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

fn greeting(demo: &Demo, url: &str, config: &Path, program: &Path, login: Option<&Login>) -> String {
    let mut text = format!("The gateway is {url} with six demo sites behind it. Ctrl-C ends them.\n\n");
    for site in demo.sites() {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "  {:<8} {:<18} {}", site.id, site.name, site.url);
    }
    let mut bearer = String::new();
    if let Some(Login { password, token, .. }) = login {
        // Printed on purpose: they are new, and end with the demo.
        let (password, token) = (password.expose(), token.expose());
        let _ = write!(text, "\nLog in at {url}login as {} with the password {password}\n", Login::USER);
        let _ = writeln!(text, "(Both go with the demo. With --anonymous nobody has to log in.)");
        bearer = format!("-H 'Authorization: Bearer {token}' ");
    }
    let ask = format!("{} search --config {}", program.display(), config.display());
    if login.is_some() {
        text.push_str(
            "\n\"open\" beside an agent leads into its console, logged in: in Lyon as lyon.operator, elsewhere as \
             ops.reader.\nAs chief (the same password) nobody is let into Lyon: the account there is an \
             administrator.\nThe consoles themselves take night.shift with the password demo.\n",
        );
    }
    let _ = write!(
        text,
        "\nIn another terminal, ask the gateway:\n\n  \
         curl {bearer}'{url}api/v1/search?q=web+status:critical&limit=5'\n  \
         curl -N {bearer}-H 'Accept: application/x-ndjson' '{url}api/v1/search?q=web&limit=5'\n  \
         curl {bearer}'{url}api/v1/sites'\n\n\
         or the sites without it:\n\n  {ask} web\n  {ask} status:critical site:madrid\n"
    );
    text
}
