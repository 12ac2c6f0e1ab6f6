//! `tls:` of a site.

use std::path::Path;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::Tls;
use crate::config::files;
use crate::config::mistake::Fault;
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
