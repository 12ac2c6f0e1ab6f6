//! Scripts and the style, built in. Their address carries a hash of all of them, so browsers keep them for good.

use std::hash::{DefaultHasher, Hasher as _};
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::super::problem::Problem;

macro_rules! built_in {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_bytes!(concat!("../../../assets/", $name)))),*]
    };
}

/// Every file of `assets/`.
const FILES: &[(&str, &[u8])] = built_in![
    "agent.js",
    "chart.js",
    "deep.js",
    "doors.js",
    "files.js",
    "frame.js",
    "icon.svg",
    "keys.js",
    "merge.js",
    "pane.css",
    "query.js",
    "rows.js",
    "search.js",
    "sites.js",
    "stream.js",
    "strip.js",
    "swap.js",
    "table.js",
    "text.js",
    "told.js",
    "wall.js",
];

static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = DefaultHasher::new();
    for (name, bytes) in FILES {
        hasher.write(name.as_bytes());
        hasher.write(bytes);
    }
    format!("{:016x}", hasher.finish())
});

/// The part of the address that changes with the files. One for all of them: modules import each other by plain names.
pub(super) fn version() -> &'static str {
    &VERSION
}

/// `GET /assets/{version}/{name}`
pub(super) async fn asset(Path((asked, name)): Path<(String, String)>) -> Response {
    let Some((name, bytes)) = FILES.iter().find(|(known, _)| *known == name) else {
        return Problem::new(StatusCode::NOT_FOUND, "not_found", "there is no such file")
            .remedy("begin at /")
            .into_response();
    };
    let kind = match name.rsplit_once('.') {
        Some((_, "js")) => "text/javascript; charset=utf-8",
        Some((_, "css")) => "text/css; charset=utf-8",
        _ => "image/svg+xml",
    };
    // A page of another version, open during an update, gets what there is now and does not keep it.
    let keep = if asked == version() { "public, max-age=31536000, immutable" } else { "no-store" };
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, keep)];
    (headers.map(|(name, value)| (name, HeaderValue::from_static(value))), *bytes).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_folder_is_built_in() {
        let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/assets")).unwrap();
        let mut names: Vec<_> = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, FILES.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    }

    #[test]
    fn all_pages_together_are_small() {
        let all: usize = FILES.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(all < 120_000, "{all} bytes of scripts and style");
    }
}
