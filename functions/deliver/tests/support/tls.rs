//! A receiver that speaks TLS.

use carillon_deliver::dial::TlsRoots;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedKey, IsCa, KeyPair, generate_simple_self_signed,
};
use rustls::pki_types::PrivateKeyDer;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A TLS receiver for one name that speaks these protocols, and a root that trusts it.
pub async fn receiver(name: &str, alpn: &[&str]) -> (SocketAddr, TlsRoots) {
    let certified = generate_simple_self_signed([name.to_owned()]).unwrap();
    serve(certified, alpn).await
}

/// A TLS receiver whose certificate is its own authority's, as `openssl req -x509` makes them.
pub async fn authority(name: &str) -> (SocketAddr, TlsRoots) {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let signing_key = KeyPair::generate().unwrap();
    let cert = params.self_signed(&signing_key).unwrap();
    serve(CertifiedKey { cert, signing_key }, &["http/1.1"]).await
}

async fn serve(certified: CertifiedKey<KeyPair>, alpn: &[&str]) -> (SocketAddr, TlsRoots) {
    let CertifiedKey { cert, signing_key } = certified;
    let roots = TlsRoots::none().with_pem(&cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                let answer = |request: http::Request<hyper::body::Incoming>| async move {
                    let text = format!("{:?} {}", request.version(), request.uri().path());
                    Ok::<_, Infallible>(http::Response::new(text))
                };
                let service = hyper::service::service_fn(answer);
                let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                let _ = builder
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    (address, roots)
}
