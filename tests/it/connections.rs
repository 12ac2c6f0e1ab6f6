//! How a site is reached: addresses in turn, encryption, another host than the URL's, proxies in front.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use metaconsole::demo::{Agent, Console, Fault, Fleet, Settings};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::support::gateway::Served;
use crate::support::program::Config;

fn console() -> Console {
    let fleet = Fleet::empty(1_795_404_700).group(2, "Servers", 0).agent(Agent::new("web-01", 2));
    Console::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), fleet, Settings::default()).unwrap()
}

async fn search(yaml: &str, files: &[(&str, String)]) -> crate::support::program::Output {
    let config = Config::new(yaml);
    for (name, content) in files {
        config.write(name, content.as_bytes());
    }
    config.run(&["search", "--format", "json", "--deadline", "20s"]).await
}

fn error(output: &crate::support::program::Output) -> serde_json::Value {
    output.json()["sites"][0]["error"].clone()
}

/// An authority of our own.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, PEM.
struct Identity {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    fn identity(&self, name: &str) -> Identity {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        Identity { certificate: params.signed_by(&key, &self.0).unwrap(), key }
    }
}

/// Takes encrypted connections and leads them to a console. Stops when dropped.
struct Front {
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Front {
    async fn start(console: &Console, identity: &Identity, clients: Option<&Authority>) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(identity.key.serialize_der()));
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = rustls::RootCertStore::empty();
                roots.add(authority.0.der().clone()).unwrap();
                let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let config = builder.with_single_cert(vec![identity.certificate.der().clone()], key).unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (address, target) = (listener.local_addr().unwrap(), console.address());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                connections.spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let Ok(mut upstream) = TcpStream::connect(target).await else { return };
                    let _ = tokio::io::copy_bidirectional(&mut stream, &mut upstream).await;
                });
            }
        });
        Self { address, _tasks: tasks }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_of_one_site_are_tried_in_turn() {
    let (dead, broken, good) = (console(), console(), console());
    dead.faults().add(Fault::Refuse);
    broken.faults().add(Fault::Crash);
    let yaml = |urls: [String; 3]| {
        format!("sites:\n  - {{id: a, urls: [\"{}\"], credentials: {{token: \"file:token\"}}}}\n", urls.join("\", \""))
    };
    let output = search(&yaml([dead.url(), broken.url(), good.url()]), &[]).await;
    assert_eq!((output.code, &output.json()["total"]), (0, &1.into()), "{}", output.stderr);
    good.faults().add(Fault::Refuse);
    let output = search(&yaml([dead.url(), broken.url(), good.url()]), &[]).await;
    let message = error(&output)["message"].to_string();
    for console in [&dead, &broken, &good] {
        assert!(message.contains(&console.url()), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_login_is_not_tried_at_the_next_address() {
    let accounts = Vec::new();
    let settings = Settings { accounts, auth_delay: Duration::ZERO, ..Settings::default() };
    let refusing = Console::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), Fleet::empty(1), settings).unwrap();
    let other = console();
    let yaml = format!(
        "sites:\n  - {{id: a, urls: [\"{}\", \"{}\"], credentials: {{token: \"file:token\"}}}}\n",
        refusing.url(),
        other.url()
    );
    assert_eq!(error(&search(&yaml, &[]).await)["code"], "auth");
    assert_eq!(other.requests().load().total, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_with_two_addresses_may_be_as_slow_as_one_with_one() {
    let settings = Settings { accounts: Vec::new(), auth_delay: Duration::from_secs(6), ..Settings::default() };
    let slow = Console::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), Fleet::empty(1), settings).unwrap();
    let other = console();
    let yaml = format!(
        "sites:\n  - {{id: a, urls: [\"{}\", \"{}\"], credentials: {{token: \"file:token\"}}, timeout: 11s, connect_timeout: 1s}}\n",
        slow.url(),
        other.url()
    );
    // More than half of the time, and heard all the same.
    assert_eq!(error(&search(&yaml, &[]).await)["code"], "auth");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_believed_only_as_configured() {
    let (console, authority) = (console(), Authority::new());
    let front = Front::start(&console, &authority.identity("madrid.example"), None).await;
    let port = front.address.port();
    let yaml = |more: &str| {
        format!(
            "sites:\n  - {{id: a, url: \"https://127.0.0.1:{port}/pandora_console/\", credentials: {{token: \"file:token\"}}{more}}}\n"
        )
    };
    let ca = [("ca.pem", authority.pem())];
    let unknown = error(&search(&yaml(""), &ca).await);
    assert_eq!(unknown["code"], "tls");
    assert!(unknown["remedy"].as_str().unwrap().contains("tls.ca_file"), "{unknown}");
    let name = error(&search(&yaml(", tls: {ca_file: ca.pem}"), &ca).await);
    assert_eq!(name["code"], "tls");
    assert!(name["remedy"].as_str().unwrap().contains("tls.server_name"), "{name}");
    for good in [", tls: {ca_file: ca.pem, server_name: madrid.example}", ", tls: {insecure: true}"] {
        let output = search(&yaml(good), &ca).await;
        assert_eq!((output.code, &output.json()["total"]), (0, &1.into()), "{good}: {}", output.stderr);
    }
    // The console was told the host that is configured, not the name in the certificate.
    let hosts: Vec<_> = console.requests().all().into_iter().map(|seen| seen.headers["host"].clone()).collect();
    assert!(hosts.iter().all(|host| host == &format!("127.0.0.1:{port}")), "{hosts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_days_that_a_certificate_is_good_for_are_known_after_a_read() {
    let (console, authority) = (console(), Authority::new());
    let front = Front::start(&console, &authority.identity("madrid.example"), None).await;
    let config = Config::new(&format!(
        "sites:\n  - {{id: a, url: \"https://{}/pandora_console/\", credentials: {{token: \"file:token\"}}, \
         tls: {{insecure: true}}}}\n",
        front.address
    ));
    let served = Served::start(&config).await;
    let state = async || served.get("/api/v1/sites/a").await.json();
    assert!(state().await["certificate_days"].is_null());
    served.get("/api/v1/search?deadline=20s").await;
    // Certificates of `rcgen` end in 4096 unless said otherwise.
    let days = state().await["certificate_days"].as_i64().unwrap();
    let ends = served.metric("metaconsole_site_certificate_ends_seconds{site=\"a\"}").await;
    assert!(days > 700_000 && ends == 67_090_118_400.0, "{days} {ends}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_host_can_be_connected_to_than_the_url_says() {
    let (console, authority) = (console(), Authority::new());
    let front = Front::start(&console, &authority.identity("madrid.example"), None).await;
    let encrypted = format!(
        "sites:\n  - {{id: a, url: \"https://madrid.example/pandora_console/\", credentials: {{token: \"file:token\"}}, \
         tls: {{ca_file: ca.pem}}, connect_to: \"localhost:{}\"}}\n",
        front.address.port()
    );
    let output = search(&encrypted, &[("ca.pem", authority.pem())]).await;
    assert_eq!(output.code, 0, "{}", output.stderr);
    let plain = format!(
        "sites:\n  - {{id: a, url: \"http://lyon.example/pandora_console/\", credentials: {{token: \"file:token\"}}, \
         connect_to: \"127.0.0.1:{}\"}}\n",
        console.address().port()
    );
    let output = search(&plain, &[]).await;
    assert_eq!(output.code, 0, "{}", output.stderr);
    let hosts: Vec<_> = console.requests().all().into_iter().map(|seen| seen.headers["host"].clone()).collect();
    assert_eq!(hosts, ["madrid.example", "lyon.example"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_ours_is_shown_where_it_is_wanted() {
    let (console, authority) = (console(), Authority::new());
    let front = Front::start(&console, &authority.identity("localhost"), Some(&authority)).await;
    let ours = authority.identity("gateway");
    let files =
        [("ca.pem", authority.pem()), ("us.pem", format!("{}{}", ours.certificate.pem(), ours.key.serialize_pem()))];
    let yaml = |more: &str| {
        let port = front.address.port();
        format!(
            "sites:\n  - {{id: a, url: \"https://localhost:{port}/pandora_console/\", credentials: {{token: \"file:token\"}}, tls: {{ca_file: ca.pem{more}}}}}\n"
        )
    };
    let without = error(&search(&yaml(""), &files).await);
    assert_eq!(without["code"], "tls", "{without}");
    let output = search(&yaml(", client_cert: us.pem"), &files).await;
    assert_eq!(output.code, 0, "{}", output.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_in_front_may_want_basic_authentication() {
    let console = console();
    console.faults().add(Fault::BasicAuthentication("Basic cHJveHk6ZGVtby1wYXNzd29yZA==".to_owned()));
    let url = console.url();
    let yaml = |basic: &str| {
        format!(
            "sites:\n  - {{id: a, url: \"{url}\", credentials: {{user: reader, password: \"file:password\", \
             api_password: \"file:api-password\"{basic}}}}}\n"
        )
    };
    let refused = error(&search(&yaml(""), &[]).await);
    assert_eq!(refused["code"], "auth");
    assert!(refused["remedy"].as_str().unwrap().contains("credentials.basic"), "{refused}");
    let output = search(&yaml(", basic: {user: proxy, password: \"file:password\"}"), &[]).await;
    assert_eq!(output.code, 0, "{}", output.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirect_is_named_with_the_url_to_configure() {
    let console = console();
    let yaml = format!("sites:\n  - {{id: a, url: \"{}\", credentials: {{token: \"file:token\"}}}}\n", console.url());
    console.faults().add(Fault::Redirect("https://new.example/pandora_console/include/api.php?op=get".to_owned()));
    let moved = error(&search(&yaml, &[]).await);
    assert_eq!(moved["remedy"], "if that host is really this site, write `url: https://new.example/pandora_console/`");
    console.faults().clear().unwrap();
    console.faults().add(Fault::Redirect("https://login.example/?next=secret".to_owned()));
    let login = error(&search(&yaml, &[]).await);
    assert!(login["remedy"].as_str().unwrap().contains("a login of its own"), "{login}");
    assert!(!login.to_string().contains("secret"), "{login}");
    for nowhere in ["javascript:alert(1)", "data:text/html,x"] {
        console.faults().clear().unwrap();
        console.faults().add(Fault::Redirect(nowhere.to_owned()));
        let error = error(&search(&yaml, &[]).await).to_string();
        assert!(error.contains("leads nowhere") && !error.contains("alert"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_in_the_certificate_leads_each_address_to_itself() {
    let (first, second, authority) = (console(), console(), Authority::new());
    first.faults().add(Fault::Refuse);
    let (a, b) = (authority.identity("madrid.example"), authority.identity("madrid.example"));
    let (a, b) = (Front::start(&first, &a, None).await, Front::start(&second, &b, None).await);
    let yaml = format!(
        "sites:\n  - {{id: a, urls: [\"https://127.0.0.1:{}/pandora_console/\", \"https://localhost:{}/pandora_console/\"], \
         credentials: {{token: \"file:token\"}}, tls: {{ca_file: ca.pem, server_name: madrid.example}}}}\n",
        a.address.port(),
        b.address.port()
    );
    let output = search(&yaml, &[("ca.pem", authority.pem())]).await;
    assert_eq!((output.code, second.requests().load().total), (0, 1), "{}", output.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_egress_proxy_is_used_when_configured_and_only_then() {
    // The console stands for the proxy: a proxied request arrives there with the whole URL.
    let proxy = console();
    let yaml = format!(
        "sites:\n  - {{id: a, url: \"http://far.example/pandora_console/\", credentials: {{token: \"file:token\"}}, \
         proxy: \"http://{}\"}}\n",
        proxy.address()
    );
    let output = search(&yaml, &[]).await;
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert_eq!(proxy.requests().all()[0].headers["host"], "far.example");
    let direct = console();
    let config = Config::sites([("a", direct.url())]);
    let mut command = config.command("search");
    for name in ["http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"] {
        command.env(name, format!("http://{}", proxy.address()));
    }
    assert!(command.output().await.unwrap().status.success());
    assert_eq!(direct.requests().load().total, 1);
}
