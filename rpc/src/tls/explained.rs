//! What went wrong with TLS, for people.

use std::{error::Error, io, sync::Arc};

use rustls::{CertificateError, OtherError};

/// What TLS has failed by, if it is TLS that has failed: the error may be anywhere among the causes of `error`.
pub fn explain(error: &(dyn Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref() {
            return Some(words(error));
        }
        // What is within an I/O error is not among its sources.
        let within = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = within.map(|within| within as &(dyn Error + 'static)).or_else(|| error.source());
    }
    None
}

fn words(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidMessage(_) => {
            "what answers there speaks no TLS, and security.ssl.rest.enabled is true here".to_owned()
        }
        rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(cause))) => {
            format!("its certificate is not trusted: {cause}")
        }
        rustls::Error::InvalidCertificate(cause) => format!("its certificate is not trusted: {cause}"),
        other => format!("TLS: {other}"),
    }
}

/// An error about a certificate that is told as it is.
pub(super) fn in_words(text: String) -> rustls::Error {
    rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(io::Error::other(text)))))
}
