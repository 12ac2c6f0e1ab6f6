//! Under a sub-path, behind an nginx that takes it away and one that leaves it.

use super::driver::Browser;
use crate::nginx::Nginx;
use crate::support::gateway::{Served, console};
use crate::support::program::Config;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_work_under_a_sub_path_whether_the_proxy_strips_it_or_not() {
    let a = console(&["web-01"]);
    let yaml = format!(
        "gateway: {{public_url: \"http://127.0.0.1:1/tools/meta/\"}}\nsites:\n  \
         - {{id: a, url: \"{}\", public_url: \"http://a.localhost/\", credentials: {{token: \"file:token\"}}}}\n",
        a.url()
    );
    let served = Served::start(&Config::new(&yaml)).await;
    let browser = Browser::start(1200, 800).await;
    for strips in [true, false] {
        let to = if strips { "/" } else { "/tools/meta/" };
        let nginx = Nginx::start(|port| {
            format!(
                "server {{ listen 127.0.0.1:{port}; location /tools/meta/ {{ proxy_pass http://{}{to}; \
                 proxy_set_header Host $http_host; }} }}",
                served.address
            )
        })
        .await;
        let root = format!("http://{}/tools/meta/", nginx.address);
        browser.open(&root).await;
        browser.keys("web").await;
        browser.says("#status", "1 agent.").await;
        browser.until("location.href.endsWith('/tools/meta/?q=web')").await;
        browser.says("#pulse", "gateway heard").await;
        browser.eval("document.querySelector('nav a[href$=sites]').click()").await;
        browser.says("h1", "Sites").await;
        browser.eval("document.querySelector('.card h2 a').click()").await;
        browser.until("location.pathname === '/tools/meta/sites/a'").await;
        browser.eval("document.querySelector('form button').click()").await;
        browser.says("[role=status]", "sked: ").await;
        browser.open(&format!("{root}agents/a/1")).await;
        browser.says("h1", "web-01").await;
        browser.until("document.querySelector('.modules svg.line') !== null").await;
        browser.eval("document.getElementById('ask-alerts')?.click()").await;
        browser.says("#alerts", "none fired").await;
        assert_eq!(
            browser.eval("document.querySelector('.views a:last-child').pathname").await,
            "/tools/meta/api/v1/sites/a/agents/1"
        );
        let elsewhere = "performance.getEntriesByType('resource').filter((r) => !new URL(r.name).pathname.startsWith('/tools/meta/')).length";
        assert_eq!(browser.eval(elsewhere).await, 0, "strips: {strips}");
        browser.open(&format!("{root}nothing-here")).await;
        browser.says("h1", "Not Found").await;
        browser.eval("document.querySelector('.paper a').click()").await;
        browser.says("#status", "1 agent.").await;
    }
}
