//! Sites and their state, the pulse, health and metrics: none of them reads a site; a probe does.

use metaconsole::demo::Fault;

use crate::support::gateway::{Served, console, until};
use crate::support::program::Config;

fn sample_names(page: &str) -> Vec<&str> {
    page.lines().filter(|line| !line.starts_with('#')).map(|line| line.split(['{', ' ']).next().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looking_at_states_reads_no_site() {
    let a = console(&["web-01"]);
    let served = Served::start(&Config::sites([("a", a.url())])).await;
    for _ in 0..3 {
        for target in [
            "/",
            "/healthz",
            "/readyz",
            "/metrics",
            "/api/v1/sites",
            "/api/v1/sites/a",
            "/api/v1/pulse",
            "/api/v1/suggest?q=w",
        ] {
            assert_eq!(served.get(target).await.status, 200, "{target}");
        }
    }
    assert_eq!((a.requests().load().total, a.requests().load().connections), (0, 0));
    let site = served.get("/api/v1/sites/a").await.json();
    assert_eq!((&site["state"], &site["rows"], &site["reading"]), (&"unread".into(), &().into(), &false.into()));
    assert_eq!(served.get("/api/v1/pulse").await.json()["sites"]["unread"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn states_say_what_is_known_of_each_site() {
    let (a, b) = (console(&["web-01", "db-01"]), console(&["web-02"]));
    b.faults().add(Fault::ProxyPage(axum::http::StatusCode::BAD_GATEWAY));
    let config = Config::sites([("a", a.url()), ("b", b.url()), ("c", a.url())]);
    let yaml = std::fs::read_to_string(config.path()).unwrap().replace("{id: c,", "{id: c, paused: true, name: Third,");
    config.write("sites.yaml", yaml.as_bytes());
    let served = Served::start(&config).await;
    served.get("/api/v1/search?deadline=20s").await;
    let sites = served.get("/api/v1/sites").await.json();
    let [a_state, b_state, c_state] = [&sites["sites"][0], &sites["sites"][1], &sites["sites"][2]];
    assert_eq!(
        (&a_state["state"], &a_state["rows"], &a_state["next_read_ms"].is_u64()),
        (&"ok".into(), &2.into(), &true)
    );
    assert!(a_state["latency"]["p50_ms"].is_u64() && a_state["latency"]["p95_ms"].is_u64(), "{a_state}");
    assert!(a_state["since"].is_string() && a_state["clock_skew_ms"].is_i64(), "{a_state}");
    assert_eq!((&a_state["interval_ms"], &a_state["max_age_ms"]), (&30_000.into(), &60_000.into()));
    assert!(a_state["links"]["console"].as_str().unwrap().starts_with(&a.url()), "{a_state}");
    assert!(a_state["links"]["self"].as_str().unwrap().ends_with("/api/v1/sites/a"), "{a_state}");
    assert_eq!((&b_state["state"], &b_state["error"]["code"]), (&"failed".into(), &"bad_answer".into()));
    assert!(b_state["error"]["remedy"].is_string() && b_state["next_read_ms"].as_u64() > Some(0), "{b_state}");
    let rests = b_state["rests"].as_str().unwrap();
    assert!(rests.starts_with("it rests until 20") && rests.contains(", because its last read "), "{rests}");
    assert_eq!(a_state.get("rests"), None);
    assert_eq!((&c_state["state"], &c_state["name"]), (&"paused".into(), &"Third".into()));
    assert_eq!(&served.get("/api/v1/sites/b").await.json()["error"], &b_state["error"]);
    let pulse = served.get("/api/v1/pulse").await.json();
    let counts = serde_json::json!({"ok": 1, "idle": 0, "unread": 0, "stale": 0, "failed": 1, "paused": 1});
    assert_eq!(pulse["sites"], counts);
    let trouble: Vec<_> =
        pulse["trouble"].as_array().unwrap().iter().map(|site| site["id"].as_str().unwrap()).collect();
    assert_eq!(trouble, ["b", "c"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_reads_and_never_writes() {
    let a = console(&["web-01"]);
    let served = Served::start(&Config::sites([("a", a.url())])).await;
    let probed = served.post("/api/v1/sites/a/probe?deadline=20s").await.json();
    assert_eq!((&probed["probe"], &probed["state"], &probed["rows"]), (&"read".into(), &"ok".into(), &1.into()));
    let versions = (probed["version"].as_str().unwrap(), a.requests().count("version"));
    assert!(versions.0.starts_with("v7.0NG") && versions.1 == 1, "{probed}");
    assert!(probed["certificate_days"].is_null());
    let again = served.post("/api/v1/sites/a/probe").await.json();
    assert_eq!((&again["probe"], a.requests().count("tree_agents")), (&"not_started".into(), 1));
    a.faults().add(Fault::Hang);
    until("the next probe is allowed", async || {
        served.post("/api/v1/sites/a/probe?deadline=1ms").await.json()["probe"] == "running"
    })
    .await;
    let running = served.get("/api/v1/sites/a").await.json();
    assert_eq!((&running["reading"], &running["state"]), (&true.into(), &"ok".into()));
    assert_eq!(a.requests().load().sets, 0);
    assert_eq!(served.post("/api/v1/sites/b/probe").await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ready_with_all_sites_dead_but_not_while_draining() {
    let a = console(&["web-01"]);
    a.faults().add(Fault::Refuse);
    let served = Served::start(&Config::sites([("a", a.url())])).await;
    assert_eq!(served.get("/api/v1/search").await.header("metaconsole-sites"), "ok=0 stale=0 failed=1");
    assert_eq!((served.get("/readyz").await.status, served.get("/healthz").await.status), (200, 200));
    served.drain.send_replace(true);
    let draining = served.get("/readyz").await;
    assert_eq!((draining.status, &draining.json()["code"]), (503, &"draining".into()));
    assert_eq!(served.get("/healthz").await.status, 200);
    assert_eq!(served.metric("metaconsole_draining").await, 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_have_exactly_the_documented_names() {
    let (a, b) = (console(&["web-01", "web-02"]), console(&["web-02"]));
    b.faults().add(Fault::Crash);
    let served = Served::start(&Config::sites([("a", a.url()), ("b", b.url())])).await;
    served.get("/api/v1/search?deadline=20s").await;
    served.get("/api/v1/search?q=alert:fired+site:a&deadline=20s").await;
    served.get("/nowhere").await;
    served.gateway.reload_error.store(Some(std::sync::Arc::new("line 3: a mistake".to_owned())));
    let page = served.get("/metrics").await.text;
    let doc = include_str!("../../docs/metrics.md");
    let mut documented = Vec::new();
    for row in doc.lines().filter_map(|line| line.strip_prefix("| `")) {
        let (name, rest) = row.split_once('`').unwrap();
        let labels: Vec<&str> = rest.split('|').nth(2).unwrap().split('`').skip(1).step_by(2).collect();
        let sample = |line: &&str| line.starts_with(&format!("{name}{{")) || line.starts_with(&format!("{name}_sum{{"));
        if let Some(line) = page.lines().find(sample) {
            let of_line = line.split_once('{').unwrap().1.split(',').map(|label| label.split('=').next().unwrap());
            assert_eq!(of_line.collect::<Vec<_>>(), labels, "{line}");
        } else {
            // These consoles speak plain http, and nobody logs in here.
            let none = ["metaconsole_site_certificate_ends_seconds", "metaconsole_audit_head_info"];
            let absent = labels.is_empty() || none.contains(&name);
            assert!(absent, "{name} has no sample");
        }
        documented.push(name);
    }
    let base = |name: &'_ str| name.trim_end_matches("_sum").trim_end_matches("_count").to_owned();
    for name in sample_names(&page) {
        assert!(documented.contains(&base(name).as_str()), "{name} is not documented");
    }
    let elsewhere = |name: &str| name.starts_with("metaconsole_audit_") || name.contains("_certificate_");
    for name in documented.iter().filter(|name| !elsewhere(name)) {
        assert!(sample_names(&page).iter().any(|sample| base(sample) == *name), "{name} is not there");
    }
    for line in [
        "metaconsole_site_reads_total{site=\"a\",result=\"ok\"} 1",
        "metaconsole_site_reads_total{site=\"b\",result=\"bad_answer\"} 1",
        "metaconsole_site_alert_reads_total{site=\"a\",result=\"ok\"} 1",
        "metaconsole_site_agents{site=\"a\"} 2",
        "metaconsole_site_state{site=\"b\",state=\"failed\"} 1",
        "metaconsole_site_state{site=\"b\",state=\"ok\"} 0",
        "metaconsole_degraded_answers_total{reason=\"bad_answer\"} 1",
        "metaconsole_request_seconds_count{route=\"none\",status=\"404\"} 1",
        "metaconsole_request_seconds_count{route=\"/api/v1/search\",status=\"200\"} 2",
        "metaconsole_config_reload_failed 1",
    ] {
        assert!(page.lines().any(|other| other == line), "{line} is not in {page}");
    }
}
