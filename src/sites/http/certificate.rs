//! When the certificate ends that an answer came with.

use std::sync::atomic::{AtomicI64, Ordering};

use reqwest::tls::TlsInfo;
use x509_parser::parse_x509_certificate;

use crate::clock::Timestamp;

/// No certificate: before the first answer, and on plain http.
const NONE: i64 = i64::MIN;

/// The end of the last certificate seen, in seconds since 1970.
#[derive(Debug)]
pub(super) struct Ends(AtomicI64);

impl Ends {
    pub(super) fn unknown() -> Self {
        Self(AtomicI64::new(NONE))
    }

    pub(super) fn get(&self) -> Option<Timestamp> {
        let ends = self.0.load(Ordering::Relaxed);
        (ends != NONE).then(|| Timestamp::from_secs(ends))
    }

    /// Looks at an answer's connection.
    pub(super) fn see(&self, response: &reqwest::Response) {
        let certificate = response.extensions().get::<TlsInfo>().and_then(TlsInfo::peer_certificate);
        self.0.store(certificate.and_then(end).unwrap_or(NONE), Ordering::Relaxed);
    }
}

fn end(der: &[u8]) -> Option<i64> {
    let (_, certificate) = parse_x509_certificate(der).ok()?;
    Some(certificate.validity().not_after.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_read_and_nonsense_has_none() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut wanted = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        wanted.not_after = rcgen::date_time_ymd(2031, 2, 3);
        let certificate = wanted.self_signed(&key).unwrap();
        assert_eq!(end(certificate.der()), Some(1_927_843_200));
        for cut in [0, 1, 20, certificate.der().len() - 1] {
            assert_eq!(end(&certificate.der()[..cut]), None, "{cut}");
        }
    }
}
