//! `credentials:` of a site: a token, or a user with a password; and the basic authentication of a proxy in front.

use crate::config::mistake::Fault;
use crate::config::{Basic, Credentials};

use super::fields::{Fields, Keys};
use super::values;

pub(crate) const KEYS: Keys = Keys::of_secrets(&["token", "user", "password", "api_password", "basic"]);

pub(crate) const BASIC_KEYS: Keys = Keys::of_secrets(&["user", "password"]);

const FORMS: &str = "write `token: ${NAME}`, or `user` and `password`";

/// Reads the map; None when there is no usable login in it.
pub(crate) fn read(site: &Fields<'_>) -> (Option<Credentials>, Option<Basic>) {
    if !site.has("credentials") {
        let fault = Fault::new("`credentials` is missing");
        site.tell("credentials", fault.remedy("write `credentials: {token: \"${NAME}\"}`"));
        return (None, None);
    }
    let Some(fields) = site.map("credentials", &KEYS) else {
        return (None, None);
    };
    let basic = fields.map("basic", &BASIC_KEYS).and_then(|basic| read_basic(&basic));
    (read_login(&fields), basic)
}

fn read_login(fields: &Fields<'_>) -> Option<Credentials> {
    let token = fields.secret("token");
    let user = fields.value("user", values::name);
    let password = fields.secret("password");
    let api_password = fields.secret("api_password");
    let with_user = ["user", "password", "api_password"].into_iter().any(|key| fields.has(key));
    if fields.has("token") {
        tell_conflicts_of_token(fields, with_user);
        let token = token.filter(|token| {
            let plain = token.expose().bytes().all(|b| b.is_ascii_graphic());
            if !plain {
                // A console would take 15 seconds to say no more than `auth error`.
                let fault = Fault::new("the token has a blank, or a character other than those of a keyboard");
                fields.tell("token", fault.remedy("look for a blank or a byte order mark in its file"));
            }
            plain
        });
        return token.map(Credentials::Token);
    }
    if !with_user {
        let place = if fields.has("basic") { "basic" } else { "token" };
        fields.tell(place, Fault::new("no login to the API is given").remedy(FORMS));
        return None;
    }
    for key in ["user", "password"] {
        fields.require(key, FORMS);
    }
    Some(Credentials::Password { user: user?, password: password?, api_password })
}

fn tell_conflicts_of_token(fields: &Fields<'_>, with_user: bool) {
    if with_user {
        let fault = Fault::new("both a token and a user are given");
        fields.tell("token", fault.remedy("keep the token and remove the rest"));
    }
    if fields.has("basic") {
        let fault = Fault::new("a token and `basic` both need the header `Authorization`");
        fields.tell("basic", fault.remedy("use user, password and api_password instead of the token"));
    }
}

fn read_basic(fields: &Fields<'_>) -> Option<Basic> {
    for key in ["user", "password"] {
        fields.require(key, "`basic` needs `user` and `password`");
    }
    let user = fields.value("user", |text| {
        if text.contains(':') {
            return Err(Fault::new("a user of basic authentication has no colon"));
        }
        values::name(text)
    });
    let password = fields.secret("password");
    Some(Basic { user: user?, password: password? })
}
