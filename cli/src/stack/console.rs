//! `carillon console`: the control plane on loopback, over a stack's table and queues, as the operator.

use super::ConsoleArgs;
use super::access::Access;
use super::deployed::Deployed;
use crate::failure::{Failure, Outcome};
use crate::output::say;
use crate::up;
use carillon_aws::{Settings, StageQueues};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;

pub(super) fn run(args: &ConsoleArgs) -> Outcome {
    up::logging();
    let access = Access::find()?;
    let stack = Deployed::find(&access, &args.stack)?;
    let settings = settings(&stack, access.region())?;
    let clients = access.operator.clients();
    up::runtime()?.block_on(async {
        let stop = up::stop_signal()?;
        let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port));
        let taken = |error: std::io::Error| {
            Failure::Unusable(format!(
                "cannot listen on {wanted}: {error}; choose another --port"
            ))
        };
        let listener = TcpListener::bind(wanted).await.map_err(taken)?;
        let address = listener.local_addr().map_err(taken)?;
        // No keys: it answers this machine alone, and each of its users is the operator.
        let host = address.to_string();
        let stages = StageQueues::new(&clients, settings.stages.clone());
        let service =
            carillon_manage::cloud::service(&clients, &settings, Vec::new(), host, stages)
                .await
                .map_err(|error| Failure::Unusable(format!("stack {:?}: {error}", args.stack)))?;
        let (stopper, stopped) = watch::channel(false);
        let serving = tokio::spawn(up::server::serve(
            listener,
            Arc::new(service),
            up::server::Bounds::default(),
            Arc::default(),
            stopped,
        ));
        say!("listening on http://{address}");
        say!(
            "stack {} in {}, as you; Ctrl-C ends it",
            stack.name,
            access.region()
        );
        stop.await;
        let _ = stopper.send(true);
        let _ = serving.await;
        Ok(())
    })
}

/// The settings of the stack's own functions, by its outputs.
fn settings(stack: &Deployed, region: &str) -> Result<Settings, Failure> {
    let outputs = [
        ("CARILLON_TABLE", "TableName"),
        ("CARILLON_INGEST_QUEUE_URL", "EventsQueueUrl"),
        ("CARILLON_MATCH_QUEUE_URL", "MatchQueueUrl"),
        ("CARILLON_DELIVER_QUEUE_URL", "DeliverQueueUrl"),
        ("CARILLON_QUEUE_PREFIX", "QueuePrefix"),
        ("CARILLON_TOPIC_PREFIX", "TopicPrefix"),
        ("CARILLON_SIGNING_SECRET", "SigningKeysSecret"),
        ("CARILLON_CERTIFICATES_URL", "CertificatesUrl"),
    ];
    let mut held = Vec::new();
    for (variable, output) in outputs {
        held.push((variable, stack.output(output)?.to_owned()));
    }
    held.push(("CARILLON_ACCOUNT_ID", stack.account().to_owned()));
    held.push(("AWS_REGION", region.to_owned()));
    let parameters = [
        ("CARILLON_DEAD_LETTER_DAYS", "DeadLetterDays"),
        ("CARILLON_ALLOW_ENDPOINTS", "AllowEndpoints"),
    ];
    for (variable, parameter) in parameters {
        held.push((variable, stack.parameter(parameter).to_owned()));
    }
    if let Ok(bucket) = stack.output("EventBucketName") {
        held.push(("CARILLON_ARCHIVE_BUCKET", bucket.to_owned()));
    }
    // The template writes the same; a stack of an older release has no such parameters.
    if !stack.parameter("DeltaSize").is_empty() {
        let ingest = format!(
            r#"{{"delta_size": "{}", "mark_stale": {}, "x_vars_from_head_object": {}, "duplicate_window": {}}}"#,
            stack.parameter("DeltaSize"),
            stack.parameter("MarkStale"),
            stack.parameter("XVarsFromHeadObject"),
            stack.parameter("DuplicateWindow")
        );
        held.push(("CARILLON_INGEST_SETTINGS", ingest));
    }
    Settings::read(|name| {
        let found = held.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| value.clone())
    })
    .map_err(|error| Failure::Unusable(format!("stack {:?}: {error}", stack.name)))
}
