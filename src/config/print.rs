//! A digest of everything that a site's configuration says, secrets too: to tell later whether it is still the same.

use std::fmt::Write as _;

use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::Zeroizing;

use super::{Basic, Credentials, Site, Tls};

impl Site {
    /// Under a salt. It is slow on purpose (8 MiB, some milliseconds), so that whoever gets hold of it cannot guess a
    /// password by it. `None`: the digest cannot be made, so nothing is the same.
    pub fn print(&self, salt: &[u8; 16]) -> Option<[u8; 32]> {
        // `Debug` has every key, new ones too, and no secret.
        let mut text = Zeroizing::new(format!("{self:?}"));
        for secret in self.secrets() {
            write!(text, "\n{}:", secret.len()).ok()?;
            text.push_str(secret);
        }
        let params = Params::new(8 * 1024, 1, 1, Some(32)).ok()?;
        let mut print = [0; 32];
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        argon2.hash_password_into(text.as_bytes(), salt, &mut print).ok()?;
        Some(print)
    }

    fn secrets(&self) -> Vec<&str> {
        let mut secrets = match &self.credentials {
            Credentials::Token(token) => vec![token.expose()],
            Credentials::Password { user: _, password, api_password } => {
                vec![password.expose(), api_password.as_ref().map_or("", |secret| secret.expose())]
            }
        };
        // Each by its parts, so that a new part is not forgotten here.
        let Tls { ca_pem: _, server_name: _, client_pem, insecure: _ } = &self.tls;
        secrets.push(client_pem.as_ref().map_or("", |secret| secret.expose()));
        secrets.push(self.basic.as_ref().map_or("", |Basic { user: _, password }| password.expose()));
        secrets.push(self.proxy.as_ref().map_or("", |proxy| proxy.expose().as_str()));
        secrets.extend(self.delegation.secret.as_ref().map(|secret| secret.expose()));
        secrets
    }
}

#[cfg(test)]
mod tests {
    use super::super::load;

    #[test]
    fn another_secret_or_setting_is_another_site() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sites.yaml");
        let print = |site: &str, secret: &str, salt: u8| {
            std::fs::write(&file, format!("sites: [{{id: a, {site}}}]")).unwrap();
            let value = |name: &str| match name {
                "S" => Some(secret.to_owned()),
                "P" => Some(format!("socks5://u:{secret}@10.0.0.9:1/")),
                _ => Some("t".to_owned()),
            };
            let config = load(&file, &value).unwrap();
            config.sites[0].print(&[salt; 16]).unwrap()
        };
        let plain = "url: \"http://10.0.0.1/\", credentials: {token: \"${S}\"}";
        let first = print(plain, "x", 1);
        assert_eq!(print(plain, "x", 1), first);
        assert_ne!(print(plain, "y", 1), first, "another token");
        assert_ne!(print(plain, "x", 2), first, "another salt");
        assert_ne!(print("url: \"http://10.0.0.2/\", credentials: {token: \"${S}\"}", "x", 1), first, "another url");
        let login = "url: \"http://10.0.0.1/\", credentials: {user: u, password: \"${S}\"}";
        assert_ne!(print(login, "x", 1), print(login, "y", 1), "another password");
        let both = "url: \"http://10.0.0.1/\", credentials: {user: u, password: \"${T}\", api_password: \"${S}\"}";
        assert_ne!(print(both, "x", 1), print(both, "y", 1), "another second password");
        let basic = "url: \"http://10.0.0.1/\", credentials: {user: u, password: \"${T}\", basic: {user: u, password: \"${S}\"}}";
        assert_ne!(print(basic, "x", 1), print(basic, "y", 1), "another password of a proxy in front");
        let proxy = "url: \"http://10.0.0.1/\", credentials: {token: \"${T}\"}, proxy: \"${P}\"";
        assert_ne!(print(proxy, "x", 1), print(proxy, "y", 1), "another proxy password");
    }
}
