//! The console's pages for people: whoever is not logged in gets the login page, whatever they asked for.

use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};

const PAGE: &str = r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Pandora FMS - the Flexible Monitoring System</title>
<style>
body { background: #14524f; color: #fff; font-family: sans-serif; display: grid; place-items: center; height: 100vh; margin: 0 }
form { display: grid; gap: 1rem; width: 18rem }
input { padding: .6rem; border: 0; border-radius: 4px }
</style>
</head>
<body>
<form method="post" action="index.php?login=1">
<h1>Pandora FMS</h1>
<label for="nick">User</label> <input id="nick" name="nick" autocomplete="username">
<label for="pass">Password</label> <input id="pass" name="pass" type="password" autocomplete="current-password">
<input type="submit" name="login_button" value="Let's go">
</form>
</body>
</html>
"#;

/// The login page, with status 200 as on real consoles.
pub(super) fn page() -> Response {
    let mut response = Html(PAGE).into_response();
    let headers = response.headers_mut();
    for (name, value) in super::api::SESSION_HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(super::api::TEXT));
    response
}
