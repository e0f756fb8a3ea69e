//! `delivery.ca_file`: a PEM file of CA certificates to trust in addition to the system's.
//!
//! Each certificate is parsed as far as TLS will parse it later, so an accepted file works. An error names the number
//! of the certificate.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustls_pki_types::CertificateDer;

/// The first line of a certificate; OpenSSL also writes the second form.
const BEGINNINGS: [&str; 2] = ["-----BEGIN CERTIFICATE-----", "-----BEGIN TRUSTED CERTIFICATE-----"];

/// Reads the certificates of a file, as DER.
///
/// # Errors
/// The file cannot be read, or contains no usable certificate. The text names the file and the number of the
/// certificate.
pub(super) fn read(file: &Path) -> Result<Vec<Vec<u8>>, String> {
    let bytes = fs::read(file).map_err(|error| paths::cannot(file, "read", &error))?;
    certificates(&bytes).map_err(|why| format!("{}: {why}", paths::absolute(file).display()))
}

fn certificates(bytes: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Err(
            "is not PEM text: convert a binary certificate with `openssl x509 -inform der -in FILE`".into()
        );
    };
    let mut found: Vec<Vec<u8>> = Vec::new();
    let mut lines = text.lines().map(str::trim);
    while let Some(line) = lines.next() {
        let Some(beginning) = BEGINNINGS.iter().find(|beginning| line.ends_with(**beginning)) else {
            continue;
        };
        let number = found.len() + 1;
        let end = beginning.replace("BEGIN", "END");
        let mut body = String::new();
        loop {
            match lines.next() {
                Some(line) if line == end => break,
                Some(line) if !line.starts_with("-----") => body.push_str(line),
                _ => return Err(format!("certificate {number} is cut off: its line `{end}` is missing")),
            }
        }
        let der = BASE64_STANDARD.decode(&body).map_err(|_| {
            format!("certificate {number} is damaged: it is not base64 between its first and last line")
        })?;
        let certificate = CertificateDer::from(der.as_slice());
        if let Err(error) = webpki::anchor_from_trusted_cert(&certificate) {
            return Err(format!("certificate {number} is damaged, or is not an X.509 certificate ({error})"));
        }
        found.push(der);
    }
    if found.is_empty() {
        let what = if text.contains("PRIVATE KEY-----") {
            "a private key, not a certificate"
        } else {
            "no certificate"
        };
        return Err(format!("contains {what}; a certificate begins with the line `{}`", BEGINNINGS[0]));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A CA whose key was discarded, created with
    /// `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=a`.
    const PEM: &str = include_str!("tests/ca.pem");

    fn refused(text: &str) -> String {
        certificates(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn each_certificate_is_read_and_other_text_is_ignored() {
        let one = certificates(PEM.as_bytes()).unwrap();
        assert_eq!(one.len(), 1);
        let two = format!("\u{feff}# a comment\n{PEM}\nsubject=/CN=a\r\n{}", PEM.replace('\n', "\r\n"));
        assert_eq!(certificates(two.as_bytes()).unwrap(), [one[0].clone(), one[0].clone()]);
    }

    #[test]
    fn a_damaged_certificate_is_named_by_its_number() {
        let body: String = PEM.lines().filter(|line| !line.starts_with('-')).collect();
        let begin = BEGINNINGS[0];
        let end = begin.replace("BEGIN", "END");
        for (second, part) in [
            (format!("{begin}\n{body}\n"), "certificate 2 is cut off"),
            (format!("{begin}\n{body}\n{begin}\n"), "certificate 2 is cut off"),
            (format!("{begin}\n{}\n{end}\n", &body[1..]), "certificate 2 is damaged: it is not base64"),
            (
                format!("{begin}\n{}\n{end}\n", &body[..body.len() - 40]),
                "certificate 2 is damaged, or is not",
            ),
            (format!("{begin}\nAAAA\n{end}\n"), "certificate 2 is damaged, or is not"),
        ] {
            let why = refused(&format!("{PEM}{second}"));
            assert!(why.contains(part), "{why}");
        }
        assert!(refused("").contains("contains no certificate"));
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert!(refused(key).contains("contains a private key, not a certificate"));
        assert!(certificates(&[0x30, 0x82, 0xff]).unwrap_err().contains("is not PEM text"));
    }
}
