//! Certificates: an authority of the plane's own, what it signs, and the key of ServiceAccount tokens.
//!
//! Everything is made anew for each plane and lives in its directory. Clients are who their certificate's subject says: the common
//! name is the user, the organisation a group.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// A certificate and its key, PEM files.
pub struct Pair {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// The authority.
pub struct Authority {
    home: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate, a PEM file.
    pub certificate: PathBuf,
}

impl Authority {
    /// A new authority whose files are in `home`.
    pub fn new(home: &Path) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "plane");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let own = params.self_signed(&key).expect("a certificate");
        let certificate = home.join("ca.crt");
        fs::write(&certificate, own.pem()).expect("a file");
        Self {
            home: home.to_owned(),
            issuer: Issuer::new(params, key),
            certificate,
        }
    }

    /// For the server of `names`, host names and addresses.
    pub fn server(&self, file: &str, names: &[&str]) -> Pair {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let params = CertificateParams::new(names).expect("names");
        self.sign(
            file,
            "plane",
            None,
            params,
            ExtendedKeyUsagePurpose::ServerAuth,
        )
    }

    /// For the client `user` in `group`.
    pub fn client(&self, file: &str, user: &str, group: Option<&str>) -> Pair {
        let params = CertificateParams::default();
        self.sign(
            file,
            user,
            group,
            params,
            ExtendedKeyUsagePurpose::ClientAuth,
        )
    }

    fn sign(
        &self,
        file: &str,
        name: &str,
        organisation: Option<&str>,
        mut params: CertificateParams,
        purpose: ExtendedKeyUsagePurpose,
    ) -> Pair {
        params.distinguished_name.push(DnType::CommonName, name);
        if let Some(organisation) = organisation {
            params
                .distinguished_name
                .push(DnType::OrganizationName, organisation);
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().expect("a key");
        let signed = params.signed_by(&key, &self.issuer).expect("a certificate");
        let pair = Pair {
            certificate: self.home.join(format!("{file}.crt")),
            key: self.home.join(format!("{file}.key")),
        };
        fs::write(&pair.certificate, signed.pem()).expect("a file");
        fs::write(&pair.key, key.serialize_pem()).expect("a file");
        pair
    }
}

/// The key that signs ServiceAccount tokens and the one that checks them, PEM files.
pub fn token_keys(home: &Path) -> (PathBuf, PathBuf) {
    let (private, public) = (home.join("tokens.key"), home.join("tokens.pub"));
    let key = KeyPair::generate().expect("a key");
    fs::write(&private, key.serialize_pem()).expect("a file");
    fs::write(&public, key.public_key_pem()).expect("a file");
    (private, public)
}
