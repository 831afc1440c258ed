//! Opening a connection: resolve, judge, dial what was judged, TLS under the original name.

use super::resolve::Resolve;
use carillon_core::ports::PushFailure;
use carillon_core::push::guard::{AddressGuard, Host, PushUrl, Scheme};
use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// An address that does not answer this soon gives way to the next one; the last one has the whole time.
const NEXT_ADDRESS: Duration = Duration::from_millis(1_500);
/// Longest time for a connection, should nobody wait for it any more: the longest timeout of a push.
const LONGEST: Duration = Duration::from_secs(30);
/// Addresses tried at most; all are judged.
const TRIED: usize = 4;

/// Why there is no connection, in the port's own words, so that the caller can find it in a chain of errors by type.
#[derive(Debug, Clone, thiserror::Error)]
#[error(transparent)]
pub(super) struct Failure(pub(super) PushFailure);

#[derive(Clone)]
pub(super) struct Connector {
    guard: Arc<AddressGuard>,
    resolver: Arc<dyn Resolve>,
    tls: TlsConnector,
}

impl Connector {
    pub(super) fn new(
        guard: Arc<AddressGuard>,
        resolver: Arc<dyn Resolve>,
        tls: Arc<ClientConfig>,
    ) -> Self {
        Connector {
            guard,
            resolver,
            tls: TlsConnector::from(tls),
        }
    }

    async fn connect(self, uri: Uri) -> Result<TokioIo<Stream>, PushFailure> {
        let refused = |reason: String| PushFailure::Refused(reason);
        let url = PushUrl::parse(&uri.to_string()).map_err(|error| refused(error.to_string()))?;
        self.guard
            .check_url(&url)
            .map_err(|error| refused(error.to_string()))?;
        let addresses = self.addresses(url.host()).await?;
        let tcp = dial(&addresses, url.port()).await?;
        // Small bodies must not wait for the peer's acknowledgement.
        tcp.set_nodelay(true)
            .map_err(|error| PushFailure::Connect(error.to_string()))?;
        if url.scheme() == Scheme::Http {
            return Ok(TokioIo::new(Stream {
                io: Box::new(tcp),
                http2: false,
            }));
        }
        let name = match url.host() {
            Host::Name(name) => ServerName::try_from(name.trim_end_matches('.').to_owned())
                .map_err(|_| {
                    PushFailure::Tls(format!("{name:?} cannot be the name in a certificate"))
                })?,
            Host::V4(address) => ServerName::IpAddress((*address).into()),
            Host::V6(address) => ServerName::IpAddress((*address).into()),
        };
        let tls = self
            .tls
            .connect(name, tcp)
            .await
            .map_err(|error| PushFailure::Tls(tls_failure(&error)))?;
        let http2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(TokioIo::new(Stream {
            io: Box::new(tls),
            http2,
        }))
    }

    /// All addresses of the host, every one of them judged.
    async fn addresses(&self, host: &Host) -> Result<Vec<IpAddr>, PushFailure> {
        let name = match host {
            // Literals are judged with the URL.
            Host::V4(address) => return Ok(vec![IpAddr::V4(*address)]),
            Host::V6(address) => return Ok(vec![IpAddr::V6(*address)]),
            Host::Name(name) => name,
        };
        let addresses = self
            .resolver
            .resolve(name)
            .await
            .map_err(|error| PushFailure::Dns(format!("{name}: {error}")))?;
        if addresses.is_empty() {
            return Err(PushFailure::Dns(format!("{name} has no address")));
        }
        for address in &addresses {
            self.guard
                .check_address(*address)
                .map_err(|refusal| PushFailure::Refused(format!("{name} resolves to {refusal}")))?;
        }
        Ok(addresses)
    }
}

/// The handshake's failure in words. That of a self-signed certificate, as `openssl req -x509` makes them, is met most
/// often and says least.
fn tls_failure(error: &io::Error) -> String {
    let text = error.to_string();
    if text.contains("CaUsedAsEndEntity") {
        format!(
            "the endpoint's certificate is that of an authority, as a self-signed one is: give the endpoint one that a \
             trusted authority has signed for its name ({text})"
        )
    } else {
        text
    }
}

/// Dials the addresses one after the other.
async fn dial(addresses: &[IpAddr], port: u16) -> Result<TcpStream, PushFailure> {
    let tried = &addresses[..addresses.len().min(TRIED)];
    let mut last = PushFailure::Connect("there is no address".to_owned());
    for (index, address) in tried.iter().enumerate() {
        let patience = if index + 1 == tried.len() {
            LONGEST
        } else {
            NEXT_ADDRESS
        };
        let address = SocketAddr::new(*address, port);
        match tokio::time::timeout(patience, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = PushFailure::Connect(format!("{address}: {error}")),
            Err(_) => {
                last = PushFailure::Connect(format!("{address}: no answer within {patience:?}"))
            }
        }
    }
    Err(last)
}

impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Failure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            match tokio::time::timeout(LONGEST, connector.connect(uri)).await {
                Ok(result) => result.map_err(Failure),
                Err(_) => Err(Failure(PushFailure::Timeout(LONGEST))),
            }
        })
    }
}

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// An open connection, plain or over TLS.
pub(super) struct Stream {
    io: Box<dyn Duplex>,
    http2: bool,
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        let connected = Connected::new();
        if self.http2 {
            connected.negotiated_h2()
        } else {
            connected
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
