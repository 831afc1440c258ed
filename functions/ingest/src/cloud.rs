//! What the functions on AWS are told of ingest: its settings, and the stores that these may ask for.

use crate::{Extras, Settings};
use carillon_aws::{Clients, DynamoSizes, DynamoWindow, S3ObjectMetadata};
use carillon_core::ports::ObjectMetadata;
use std::sync::Arc;

/// Settings and stores by the environment, for whoever decodes: the ingest function, and direct publish.
///
/// # Errors
/// A sentence that names what cannot be read in `CARILLON_INGEST_SETTINGS`.
pub fn choices(
    clients: &Clients,
    environment: &carillon_aws::Settings,
) -> Result<(Arc<Settings>, Extras), String> {
    let settings = Settings::read(
        &environment.ingest,
        &environment.account,
        &environment.region,
    )?;
    let extras = Extras {
        sizes: Some(Arc::new(DynamoSizes::new(clients, &environment.table))),
        // The client of S3 is made only where it is needed.
        metadata: settings
            .x_vars_from_head_object
            .then(|| Arc::new(S3ObjectMetadata::new(clients)) as Arc<dyn ObjectMetadata>),
        window: Some(Arc::new(DynamoWindow::new(clients, &environment.table))),
    };
    Ok((Arc::new(settings), extras))
}
