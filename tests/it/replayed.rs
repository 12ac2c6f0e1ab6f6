//! The replay of recordings answers what was recorded.

use metaconsole::demo::Fault;

use crate::support::replay::{self, Replay};

async fn ask(url: &str, query: &str) -> reqwest::Response {
    reqwest::get(format!("{url}include/api.php?{query}")).await.unwrap()
}

#[tokio::test]
async fn it_answers_the_nearest_recorded_case() {
    let replay = Replay::start("s1", &[]);
    let url = replay.url();
    assert_eq!(ask(&url, "info=version").await.text().await.unwrap(), "Pandora FMS v7.0NG.776 - PC240328 MR64");
    assert_eq!(ask(&url, "op=get&op2=test").await.text().await.unwrap(), "OK,v7.0NG.776,PC240328");
    let fields = "%3B%7C%20%7Ctype_row,agent_id,agent_disabled,module_id_agent,module_state,module_disabled";
    let tree = format!("op=get&op2=tree_agents&return_type=json&other={fields}&other_mode=url_encode_separator_%7C");
    let answer = ask(&url, &tree).await;
    assert_eq!(answer.headers()["content-type"], "application/json");
    assert!(answer.headers().contains_key("set-cookie"));
    assert_eq!(answer.bytes().await.unwrap(), replay::body("s1-tree-agents-snapshot"));
    let search = ask(
        &url,
        "op=get&op2=all_agents&return_type=json&other=%7C%7C%7Cnosuchagent&other_mode=url_encode_separator_%7C",
    );
    let search = search.await;
    assert_eq!((search.status().as_u16(), search.content_length()), (500, Some(0)));
    replay.faults().add(Fault::Truncated.on("tree_agents"));
    let half = ask(&url, &tree).await.bytes().await.unwrap();
    assert_eq!(half.len(), replay::body("s1-tree-agents-snapshot").len() / 2);
    assert_eq!(replay.requests().count("tree_agents"), 2);
}

#[tokio::test]
async fn a_test_may_name_the_case_and_nothing_else_is_made_up() {
    let replay = Replay::start("s1", &[("tree_agents", "s1-disabled-modules-tree")]);
    let tree = ask(&replay.url(), "op=get&op2=tree_agents&return_type=json").await.bytes().await.unwrap();
    assert_eq!(tree, replay::body("s1-disabled-modules-tree"));
    let other = ask(&replay.url(), "op=get&op2=module_last_value&id=5&return_type=json").await.text().await.unwrap();
    assert_eq!(other, r#"{"type":"string","data":"This operation does not exist."}"#);
}
