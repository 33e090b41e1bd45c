//! Whom clients of HTTPS trust.

use std::sync::Arc;
use ureq::tls::{RootCerts, TlsConfig, TlsConfigBuilder};

/// Returns a client's settings that trust whom the system trusts.
pub(crate) fn of_system() -> TlsConfig {
    builder().root_certs(RootCerts::PlatformVerifier).build()
}

/// Returns a client's settings that trust whoever answers.
pub(crate) fn of_anybody() -> TlsConfig {
    builder().disable_verification(true).build()
}

fn builder() -> TlsConfigBuilder {
    TlsConfig::builder().unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
}
