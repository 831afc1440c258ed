//! The control plane as a Lambda function behind a function URL. With `CARILLON_SERVE=certificates` it is the function
//! that the world may call: it serves signing certificates out of the table, and nothing else.

use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use carillon_aws::lambda::{Error, serve_url, start_log};
use carillon_aws::{CertificateShelf, Clients, Secret, Settings, StageQueues};
use carillon_manage::cloud::service;
use carillon_manage::{AccessKey, Role};
use http_body_util::BodyExt as _;
use std::sync::Arc;
use tokio::sync::OnceCell;
use tower::ServiceExt as _;

#[derive(serde::Deserialize)]
struct Key {
    id: String,
    secret: String,
    role: String,
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
    // Made with the first request: the runtime is polled at once, and a failure is tried again with the next request.
    let door = OnceCell::new();
    let (door, clients, settings, stages) = (&door, &clients, &settings, &stages);
    serve_url(Some(stages.clone()), |host, request| async move {
        match door.get_or_try_init(|| open(clients, settings, host, stages)).await {
            Ok(Some(router)) => answer(router.clone(), request).await,
            Ok(None) => text(
                StatusCode::FORBIDDEN,
                "closed: no access key is configured. Put a JSON array of {\"id\", \"secret\", \"role\"} into the secret that \
                 the stack's output AccessKeysSecret names, then wait for a new environment or deploy again\n",
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

/// The control plane as the function serves it; none when it is closed for want of a key.
async fn open(
    clients: &Clients,
    settings: &Settings,
    host: String,
    stages: &StageQueues,
) -> Result<Option<axum::Router>, Error> {
    let keys = access_keys(clients, settings).await?;
    if settings.smq_auth && keys.is_empty() {
        return Ok(None);
    }
    // Without keys AWS has checked who asks, and the host is the one AWS gave this function.
    let service = service(clients, settings, keys, host, stages.clone()).await?;
    Ok(Some(carillon_manage::router(Arc::new(service))))
}

async fn access_keys(clients: &Clients, settings: &Settings) -> Result<Vec<AccessKey>, Error> {
    if !settings.smq_auth {
        return Ok(Vec::new());
    }
    let Some(document) = Secret::new(clients, &settings.access_keys_secret)
        .read()
        .await?
    else {
        return Ok(Vec::new());
    };
    let keys: Vec<Key> = serde_json::from_str(&document).map_err(|error| {
        format!("the access keys are no JSON array of id, secret and role: {error}")
    })?;
    keys.into_iter()
        .map(|key| {
            let role = Role::parse(&key.role).ok_or_else(|| {
                format!(
                    "access key {:?} has the unknown role {:?}",
                    key.id, key.role
                )
            })?;
            Ok(AccessKey {
                id: key.id,
                secret: key.secret,
                role,
            })
        })
        .collect()
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
        Ok(Some(pem)) => text(StatusCode::OK, &pem),
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

fn text(status: StatusCode, text: &str) -> Response<Vec<u8>> {
    let mut response = Response::new(text.as_bytes().to_vec());
    *response.status_mut() = status;
    response
}
