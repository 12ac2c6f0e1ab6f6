//! One query in one state, in every form: JSON, pages of it, stream, CSV, NDJSON, and the command line's.

use metaconsole::demo::{Console, Fault};
use serde_json::Value;

use crate::support::gateway::{Served, console, until};
use crate::support::program::Config;

/// What every form says of a row: site, id, alias, status, stale.
type Row = [String; 5];

/// What every form says of a site that is missing or stale: id, outcome, code.
type Trouble = [String; 3];

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn of_json(agents: &Value) -> Vec<Row> {
    let row = |agent: &Value| ["site", "id", "alias", "status", "stale"].map(|key| text(&agent[key]));
    agents.as_array().unwrap().iter().map(row).collect()
}

fn troubles(sites: &Value) -> Vec<Trouble> {
    let sites = sites.as_array().unwrap().iter().filter(|site| site.get("error").is_some());
    sites.map(|site| [text(&site["id"]), text(&site["outcome"]), text(&site["error"]["code"])]).collect()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of_csv(csv: &str) -> (Vec<Row>, Vec<Trouble>, String) {
    let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).from_reader(csv.as_bytes());
    let head: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let column = |name: &str| head.iter().position(|column| column == name).unwrap();
    let columns = ["site", "id", "alias", "status", "stale"].map(column);
    let rows = reader.records().map(|row| row.unwrap()).map(|row| columns.map(|at| row[at].to_owned())).collect();
    let mut comments = csv.lines().filter_map(|line| line.strip_prefix("# "));
    let record = comments.next().unwrap().strip_prefix("Metaconsole-Sites: ").unwrap().to_owned();
    let trouble = |line: &str| {
        let (site, rest) = line.split_once(' ').unwrap();
        let mut parts = rest.split(": ");
        [site.to_owned(), parts.next().unwrap().to_owned(), parts.next().unwrap().to_owned()]
    };
    (rows, comments.map(trouble).collect(), record)
}

/// Rows of a stream: the last record of each site, in the order of the summary.
fn of_stream(records: &[Value]) -> Vec<Row> {
    let mut rows = Vec::new();
    for place in records.last().unwrap()["summary"]["order"].as_array().unwrap() {
        let record = records.iter().rev().find(|record| record["site"] == place[0]).unwrap();
        let agents = record["agents"].as_array().unwrap();
        rows.push(agents.iter().find(|agent| agent["id"] == place[1]).unwrap().clone());
    }
    of_json(&Value::from(rows))
}

/// Asks in every form and compares with JSON, which it gives back.
async fn agree(served: &Served, query: &str) -> Value {
    let path = |more: &str| format!("/api/v1/search?{query}&deadline=20s{more}");
    let answer = served.get(&path("&limit=1000")).await;
    let (json, header) = (answer.json(), answer.header("metaconsole-sites").to_owned());
    let (rows, trouble) = (of_json(&json["agents"]), troubles(&json["sites"]));
    assert_eq!(json["total"], rows.len(), "the example has more rows than JSON can show at once");

    let csv = served.get(&path("&format=csv")).await;
    assert_eq!(csv.header("metaconsole-sites"), header);
    assert_eq!(of_csv(&csv.text), (rows.clone(), trouble.clone(), header.clone()));

    let exported = served.get(&path("&format=ndjson")).await;
    assert_eq!(exported.header("metaconsole-sites"), header);
    let mut records = lines(&exported.text);
    let summary = records.pop().unwrap()["summary"].clone();
    assert_eq!(Value::from(records), json["agents"]);
    assert_eq!(troubles(&summary["sites"]), trouble);

    let streamed = served.get(&path("&format=stream&limit=1000")).await;
    let records = lines(&streamed.text);
    assert_eq!(of_stream(&records), rows);
    let last = &records.last().unwrap()["summary"];
    assert_eq!(troubles(&last["sites"]), trouble);
    for key in ["query", "total", "stale_rows", "complete"] {
        assert_eq!((&summary[key], &last[key]), (&json[key], &json[key]), "{key}");
    }

    let (mut walked, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let more = cursor.as_str().map_or_else(String::new, |cursor| format!("&cursor={cursor}"));
        let page = served.get(&path(&format!("&limit=2{more}"))).await.json();
        assert_eq!((&page["total"], troubles(&page["sites"])), (&json["total"], trouble.clone()));
        walked.extend(of_json(&page["agents"]));
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(walked, rows);
    json
}

/// Every form of the command line, however it asks: `question` is its words, `json` what the gateway has answered to the
/// same question. The order of `where` is the rank.
async fn agree_on_the_command_line(config: &Config, question: &[&str], json: &Value) {
    let ask = async |format: &str| config.run(&[question, &["--format", format]].concat()).await;
    let (rows, trouble) = (of_json(&json["agents"]), troubles(&json["sites"]));
    let code = if trouble.is_empty() { 0 } else { 3 };
    let stream = ask("stream").await;
    let (whole, lines_of, csv, table) = (ask("json").await, ask("ndjson").await, ask("csv").await, ask("table").await);
    for output in [&whole, &lines_of, &csv, &table, &stream] {
        assert_eq!(output.code, code, "{question:?}: {output:?}");
        // Every site that is missing or stale is named with its reason, and no other.
        let told = |line: &&str| line.contains(": missing since ") || line.contains(": stale since ");
        assert_eq!(output.stderr.lines().filter(told).count(), trouble.len(), "{output:?}");
        for [site, outcome, code] in &trouble {
            let word = if outcome == "stale" { "stale" } else { "missing" };
            let head = format!("{site}: {word} since ");
            assert!(output.stderr.lines().any(|line| line.starts_with(&head) && line.contains(code)), "{output:?}");
        }
    }
    assert_eq!((of_json(&whole.json()["agents"]), troubles(&whole.json()["sites"])), (rows.clone(), trouble.clone()));
    assert_eq!(of_json(&Value::from(lines(&lines_of.stdout))), rows);
    let (of_lines, of_comments, record) = of_csv(&csv.stdout);
    assert_eq!((of_lines, of_comments), (rows.clone(), trouble.clone()));
    let failed = trouble.iter().filter(|[_, outcome, _]| outcome == "failed").count();
    assert!(record.ends_with(&format!("stale={} failed={failed}", trouble.len() - failed)), "{record}");
    let records = lines(&stream.stdout);
    assert_eq!(of_stream(&records), rows);
    assert_eq!(troubles(&records.last().unwrap()["summary"]["sites"]), trouble);
    // Columns: status, site, agent, separated by two blanks or more; what is stale is marked.
    let cells =
        |line: &str| line.split("  ").filter(|cell| !cell.is_empty()).take(3).map(|c| c.trim().to_owned()).collect();
    let shown: Vec<Vec<String>> = table.stdout.lines().skip(1).map(cells).collect();
    let mark =
        |status: &str, stale: &str| if stale == "true" { format!("{status} (stale)") } else { status.to_owned() };
    let expected: Vec<Vec<String>> = rows
        .iter()
        .map(|[site, _, alias, status, stale]| vec![mark(status, stale), site.clone(), alias.clone()])
        .collect();
    assert_eq!(shown, expected, "{question:?}");
}

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}-{}, \"{number}\" Ñ", number * 7 % count)).collect()
}

fn start(names: &[String]) -> Console {
    console(&names.iter().map(String::as_str).collect::<Vec<_>>())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_form_of_one_query_in_one_state_agrees() {
    let (a, b) = (start(&names("web", 9)), start(&names("cobweb", 5)));
    // A site that is missing in the same way whenever it is asked.
    let paused =
        "  - {id: c, url: \"http://127.0.0.1:1/pandora_console/\", credentials: {token: \"file:token\"}, paused: true}";
    let config = Config::sites([("b", a.url()), ("a", b.url())]);
    let yaml = std::fs::read_to_string(config.path()).unwrap();
    config.write("sites.yaml", format!("{yaml}{paused}\n").as_bytes());
    let served = Served::start(&config).await;
    let url = served.url("/");
    // All that follows finds the same state: what was read here.
    served.get("/api/v1/search?deadline=20s").await;
    for sort in ["rank", "status", "-alias", "name", "ip", "os", "age", "modules", "-site", "id", "last_contact"] {
        let json = agree(&served, &format!("q=web&sort={sort}")).await;
        assert_eq!((&json["total"], &json["complete"]), (&14.into(), &false.into()));
    }
    for query in ["q=", "q=nothing-like-it", "q=alias:/WEB-[0-3]/+-site:b", "q=age:%3C1d", "q=alert:fired"] {
        agree(&served, query).await;
    }
    for sort in ["rank", "-alias"] {
        let json = agree(&served, &format!("q=web&sort={sort}")).await;
        let question = ["search", "--limit", "1000", "--sort", sort, "web"];
        agree_on_the_command_line(&config, &question, &json).await;
        agree_on_the_command_line(&config, &[&question[..], &["--gateway", &url]].concat(), &json).await;
    }
    agree_on_where(&served, &config, &url, true).await;
    // Now with rows that are kept although their site fails.
    a.faults().add(Fault::Crash);
    until("b is stale", async || served.get("/api/v1/search?fresh=1&deadline=1s").await.json()["stale_rows"] == 9)
        .await;
    let json = agree(&served, "q=web&sort=alias").await;
    assert_eq!((&json["total"], &json["stale_rows"]), (&14.into(), &9.into()));
    let question = ["search", "--limit", "1000", "--sort", "alias", "web", "--gateway", &url];
    agree_on_the_command_line(&config, &question, &json).await;
    agree_on_where(&served, &config, &url, false).await;
}

/// An exact name in every form.
async fn agree_on_where(served: &Served, config: &Config, url: &str, directly: bool) {
    let (name, coded) = ("WEB-3, \"3\" n", "WEB-3,%20%223%22%20n");
    let path = |more: &str| format!("/api/v1/where?name={coded}&deadline=20s{more}");
    let json = served.get(&path("")).await.json();
    let (rows, trouble) = (of_json(&json["agents"]), troubles(&json["sites"]));
    assert!(!rows.is_empty() && json["total"] == rows.len(), "{json}");
    let csv = served.get_with(&path(""), &[("accept", "text/csv")]).await;
    let record = csv.header("metaconsole-sites").to_owned();
    assert_eq!(of_csv(&csv.text), (rows.clone(), trouble.clone(), record));
    let mut records = lines(&served.get(&path("&format=ndjson")).await.text);
    assert_eq!(troubles(&records.pop().unwrap()["summary"]["sites"]), trouble);
    assert_eq!(of_json(&Value::from(records)), rows);
    if directly {
        agree_on_the_command_line(config, &["where", name], &json).await;
    }
    agree_on_the_command_line(config, &["where", name, "--gateway", url], &json).await;
}
