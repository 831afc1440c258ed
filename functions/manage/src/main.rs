//! The control plane as a Lambda function behind a function URL. With `CARILLON_SERVE=certificates` it is the function
//! that the world may call: it serves signing certificates out of the table, and nothing else.

use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use carillon_aws::lambda::{Error, serve_url, start_log};
use carillon_aws::{CertificateShelf, Clients, Secret, Settings, StageQueues, SystemClock};
use carillon_core::ports::StoreError;
use carillon_manage::cloud::service;
use carillon_manage::{AccessKeyDocument, Door};
use http_body_util::BodyExt as _;
use std::sync::Arc;
use tower::ServiceExt as _;

/// The access keys in Secrets Manager.
struct Document(Secret);

#[async_trait::async_trait]
impl AccessKeyDocument for Document {
    async fn read(&self) -> Result<Option<String>, StoreError> {
        self.0.read().await
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start_log();
    let settings = Settings::from_environment()?;
    let clients = Clients::of_function().await;
    if std::env::var("CARILLON_SERVE").is_ok_and(|what| what == "certificates") {
        let shelf = &CertificateShelf::new(&clients, &settings.table);
        return serve_url(None, |_, request| certificate(shelf, request)).await;
    }
    let stages = StageQueues::new(&clients, settings.stages.clone());
    let document = settings.smq_auth.then(|| {
        let secret = Secret::new(&clients, &settings.access_keys_secret);
        Arc::new(Document(secret)) as Arc<dyn AccessKeyDocument>
    });
    // Opened with the first request: the runtime is polled at once, and a failure is tried again with the next request.
    let door = Door::new(document, Arc::new(SystemClock));
    let (door, clients, settings, stages) = (&door, &clients, &settings, &stages);
    serve_url(Some(stages.clone()), |host, request| async move {
        // Without keys AWS has checked who asks, and the host is the one AWS gave this function.
        let open = |keys| async {
            let service = service(clients, settings, keys, host, stages.clone()).await?;
            Ok(carillon_manage::router(Arc::new(service)))
        };
        match door.router(open).await {
            Ok(Some(router)) => answer(router, request).await,
            Ok(None) => text(
                StatusCode::FORBIDDEN,
                "closed: no access key is configured. Put a JSON array of {\"id\", \"secret\", \"role\"} into the secret that \
                 the stack's output AccessKeysSecret names; it is read again within half a minute\n",
            ),
            Err(error) => {
                tracing::error!(%error, "the control plane could not be started");
                text(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the keys cannot be read now: ask again\n",
                )
            }
        }
    })
    .await
}

async fn answer(router: axum::Router, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
    let Ok(response) = router.oneshot(request.map(Body::from)).await;
    let (parts, body) = response.into_parts();
    match body.collect().await {
        Ok(body) => Response::from_parts(parts, body.to_bytes().into()),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

async fn certificate(shelf: &CertificateShelf, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
    let file = request
        .uri()
        .path()
        .strip_prefix("/certs/")
        .unwrap_or_default();
    match shelf.get(file).await {
        Ok(Some(pem)) => of_type("application/x-pem-file", text(StatusCode::OK, &pem)),
        Ok(None) => text(
            StatusCode::NOT_FOUND,
            "there is no such certificate: take the URL that pushes carry\n",
        ),
        Err(error) => {
            tracing::error!(%error, "the certificate could not be read");
            text(
                StatusCode::SERVICE_UNAVAILABLE,
                "not available now: ask again\n",
            )
        }
    }
}

/// Without a type of its own, Lambda would call every answer JSON (function URLs: "Response payload format").
fn text(status: StatusCode, text: &str) -> Response<Vec<u8>> {
    let mut response = Response::new(text.as_bytes().to_vec());
    *response.status_mut() = status;
    of_type("text/plain; charset=utf-8", response)
}

fn of_type(kind: &'static str, mut response: Response<Vec<u8>>) -> Response<Vec<u8>> {
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
