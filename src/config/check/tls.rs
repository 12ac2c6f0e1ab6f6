//! `tls:` of a site, and of the gateway's own port.

use std::path::Path;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::config::files;
use crate::config::mistake::Fault;
use crate::config::{OwnTls, Tls};
use crate::secret::Secret;

use super::address;
use super::fields::{Fields, Keys};
use super::gateway::path;
use super::values;

pub(crate) const KEYS: Keys = Keys::of(&["ca_file", "server_name", "client_cert", "insecure"]);

/// A bundle of every public authority has a quarter of this.
const MAX_BYTES: u64 = 1024 * 1024;

/// Reads the map; None when there is none.
pub(crate) fn read(fields: &Fields<'_>) -> Option<Tls> {
    let tls = fields.map("tls", &KEYS)?;
    let named = |text: &str| {
        let file = tls.scope.folder().join(path(text)?);
        tls.scope.name(file.clone());
        Ok(file)
    };
    let ca_file = |text: &str| authorities(&named(text)?);
    let client_cert = |text: &str| certificate_and_key(&named(text)?);
    Some(Tls {
        ca_pem: tls.value("ca_file", ca_file),
        server_name: tls.value("server_name", address::server_name),
        client_pem: tls.value("client_cert", client_cert),
        insecure: tls.value("insecure", values::flag).unwrap_or(false),
    })
}

pub(crate) const OWN_KEYS: Keys = Keys::of(&["cert_file", "key_file"]);

/// Reads `gateway.tls`; None when there is none, or it has a mistake.
pub(crate) fn read_own(gateway: &Fields<'_>) -> Option<OwnTls> {
    let tls = gateway.map("tls", &OWN_KEYS)?;
    for key in ["cert_file", "key_file"] {
        tls.require(key, "write `tls: {cert_file: meta.pem, key_file: meta.key}`");
    }
    let named = |text: &str| {
        let file = tls.scope.folder().join(path(text)?);
        tls.scope.name(file.clone());
        Ok(file)
    };
    let cert_pem = tls.value("cert_file", |text| authorities(&named(text)?));
    let key = tls.value("key_file", |text| key(&named(text)?));
    if key.as_ref().is_some_and(|(_, open_to_others)| *open_to_others) {
        let fault = Fault::new("`key_file`: the file is open to group or others");
        tls.tell("key_file", fault.remedy("run `chmod 600` on it"));
    }
    let own = OwnTls { cert_pem: cert_pem?, key_pem: key?.0 };
    if !fit_together(&own) {
        let fault = Fault::new("certificate and key do not belong together");
        tls.tell("cert_file", fault.remedy("give the key that the certificate was made for"));
    }
    Some(own)
}

fn key(file: &Path) -> Result<(Secret, bool), Fault> {
    let content = files::read(file, MAX_BYTES)?;
    let is_key = PrivateKeyDer::from_pem_slice(&content.bytes).is_ok();
    match String::from_utf8(content.bytes) {
        Ok(pem) if is_key => Ok((Secret::new(pem), content.open_to_others)),
        _ => Err(Fault::new(format!("{} holds no key", file.display())).remedy("give a file in PEM form")),
    }
}

fn fit_together(own: &OwnTls) -> bool {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&own.cert_pem).collect();
    let key = PrivateKeyDer::from_pem_slice(own.key_pem.expose().as_bytes());
    let (Ok(chain), Ok(key)) = (chain, key) else { return false };
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).is_ok()
}

fn authorities(file: &Path) -> Result<Vec<u8>, Fault> {
    let pem = files::read(file, MAX_BYTES)?.bytes;
    match certificates(&pem) {
        Some(1..) => Ok(pem),
        _ => Err(Fault::new(format!("{} holds no certificate", file.display())).remedy("give a file in PEM form")),
    }
}

fn certificate_and_key(file: &Path) -> Result<Secret, Fault> {
    let pem = files::read(file, MAX_BYTES)?.bytes;
    let holds_both = certificates(&pem) > Some(0) && PrivateKeyDer::from_pem_slice(&pem).is_ok();
    match String::from_utf8(pem) {
        Ok(pem) if holds_both => Ok(Secret::new(pem)),
        _ => Err(Fault::new(format!("{} does not hold both a certificate and its key", file.display()))
            .remedy("put both in PEM form into one file")),
    }
}

/// How many certificates a file holds; `None` when it is no PEM.
fn certificates(pem: &[u8]) -> Option<usize> {
    let each = CertificateDer::pem_slice_iter(pem);
    each.collect::<Result<Vec<_>, _>>().ok().map(|certificates| certificates.len())
}
