//! Secure connections: who is trusted, and what is said of the others.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use waystation::egress::Scope;
use waystation::egress::fetch::{Client, Limits};

use crate::proxied::TestProxy;
use crate::world::{Server, answer, door, get};

/// Names the file of trusted certificates, and that the test runs in a process of its own, which reads it.
const TRUSTED: &str = "SSL_CERT_FILE";
const INSIDE: &str = "WAYSTATION_TEST_INSIDE";

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn issuer() -> Issuer {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "an issuer");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A server that answers `hello` with a certificate for names, good until a year.
async fn server(issuer: Option<&Issuer>, names: &[&str], until: i32) -> SocketAddr {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = match issuer {
        Some(issuer) => params.signed_by(&key, issuer).unwrap(),
        None => params.self_signed(&key).unwrap(),
    };
    let chain = vec![CertificateDer::from(certificate.der().to_vec())];
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap();
    let config = config
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream
                    .write_all(&answer("200 OK", &["connection: close"], "hello"))
                    .await;
                let _ = stream.shutdown().await;
            });
        }
    });
    address
}

/// The certificates to trust are read from the environment of the process; hence the process of its own.
#[test]
fn the_certificates_of_the_system_are_trusted_and_no_others() {
    if std::env::var_os(INSIDE).is_some() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        return runtime.block_on(trusted_and_not());
    }
    let folder = tempfile::TempDir::new().unwrap();
    let test = "tls::the_certificates_of_the_system_are_trusted_and_no_others";
    let output = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env_remove("SSL_CERT_DIR")
        .env(TRUSTED, folder.path().join("trusted.pem"))
        .env(INSIDE, "1")
        // None of these is asked.
        .env("HTTP_PROXY", "http://127.0.0.1:1")
        .env("HTTPS_PROXY", "http://127.0.0.1:1")
        .env("ALL_PROXY", "http://127.0.0.1:1")
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(
        stdout.contains("1 passed"),
        "{stdout}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

async fn trusted_and_not() {
    let issuer = issuer();
    let file = std::env::var_os(TRUSTED).unwrap();
    std::fs::write(&file, issuer.pem()).unwrap();
    let good = server(Some(&issuer), &["localhost", "127.0.0.1"], 2090).await;
    by_fetch(&issuer, good).await;
    by_curl_and_python(good, &file).await;
}

async fn by_fetch(issuer: &Issuer, good: SocketAddr) {
    let open = Client::new(door("127.0.0.0/8, localhost"), Scope::Public);
    let fetch = async |url: &str| match open.fetch(get(url), Limits::default()).await {
        Ok(response) => String::from_utf8(response.body).unwrap(),
        Err(error) => error.to_string(),
    };
    assert_eq!(fetch(&format!("https://{good}/")).await, "hello");
    let named = format!("https://localhost:{}/", good.port());
    assert_eq!(fetch(&named).await, "hello");
    let plain = Server::fixed(answer("200 OK", &[], "plain")).await;
    assert_eq!(fetch(&plain.url("/")).await, "plain");
    let here = &["127.0.0.1"];
    // The times and the names behind these beginnings are rustls's to choose.
    for (server, why) in [
        (
            server(None, here, 2090).await,
            "invalid peer certificate: UnknownIssuer",
        ),
        (
            server(Some(issuer), here, 2021).await,
            "invalid peer certificate: certificate expired: ",
        ),
        (
            server(Some(issuer), &["example.com"], 2090).await,
            "invalid peer certificate: certificate not valid for name \"127.0.0.1\"",
        ),
        (plain.address, "tls handshake eof"),
        (
            Server::address_of_old_tls().await,
            "peer is incompatible: ServerDoesNotSupportTls12Or13",
        ),
    ] {
        let text = fetch(&format!("https://{server}/")).await;
        let beginning = format!("cannot connect to `{server}` securely: {why}");
        assert!(text.starts_with(&beginning), "{text}");
    }
}

/// `CONNECT` and TLS within, as code reaches most of the world.
async fn by_curl_and_python(good: SocketAddr, trusted: &std::ffi::OsStr) {
    let proxy = TestProxy::new(&[good]).await;
    let url = format!("https://{good}/");
    for (program, args) in [
        (
            "curl",
            &[
                "--silent",
                "--show-error",
                "--cacert",
                trusted.to_str().unwrap(),
                &url,
            ][..],
        ),
        (
            "python3",
            &[
                "-c",
                "import sys, urllib.request; print(end=urllib.request.urlopen(sys.argv[1]).read().decode())",
                &url,
            ],
        ),
    ] {
        let mut command = tokio::process::Command::new(program);
        command
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env(TRUSTED, trusted);
        let output = command
            .env("https_proxy", proxy.grant.url(proxy.address))
            .output()
            .await
            .unwrap();
        let (stdout, stderr) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert_eq!((&*stdout, &*stderr), ("hello", ""), "{program}");
    }
    assert_eq!(proxy.grant.reached()[0].connections, 2);
}
