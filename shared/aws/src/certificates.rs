//! The signing certificates, where a function without any right to the keys can read them.

use crate::Clients;
use crate::clients::Lazy;
use crate::store::explain_dynamo;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use carillon_core::ports::StoreError;

/// Partition key of the certificates; the sort key is the file's name.
const PARTITION: &str = "certificates";

/// Certificates in the table: whoever holds the keys puts them here, and the function that the world may call reads
/// them. It needs no permission for anything else.
#[derive(Clone, Debug)]
pub struct CertificateShelf {
    client: Lazy<Client>,
    table: String,
}

impl CertificateShelf {
    /// The shelf in this table.
    #[must_use]
    pub fn new(clients: &Clients, table: &str) -> Self {
        CertificateShelf {
            client: clients.dynamodb().clone(),
            table: table.to_owned(),
        }
    }

    /// Puts a certificate on the shelf, under its file name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put(&self, file: &str, pem: &str) -> Result<(), StoreError> {
        self.client
            .put_item()
            .table_name(&self.table)
            .item("pk", AttributeValue::S(PARTITION.to_owned()))
            .item("sk", AttributeValue::S(file.to_owned()))
            .item("doc", AttributeValue::S(pem.to_owned()))
            .send()
            .await
            .map(drop)
            .map_err(|error| self.failed("keeping a certificate", &explain_dynamo(&error)))
    }

    /// Takes a certificate off the shelf. One that is not there is a success.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn remove(&self, file: &str) -> Result<(), StoreError> {
        self.client
            .delete_item()
            .table_name(&self.table)
            .key("pk", AttributeValue::S(PARTITION.to_owned()))
            .key("sk", AttributeValue::S(file.to_owned()))
            .send()
            .await
            .map(drop)
            .map_err(|error| self.failed("removing a certificate", &explain_dynamo(&error)))
    }

    /// The PEM text of a file; none when there is no such file.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn get(&self, file: &str) -> Result<Option<String>, StoreError> {
        if file.is_empty() {
            return Ok(None);
        }
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("pk", AttributeValue::S(PARTITION.to_owned()))
            .key("sk", AttributeValue::S(file.to_owned()))
            .send()
            .await
            .map_err(|error| self.failed("reading a certificate", &explain_dynamo(&error)))?;
        Ok(answer
            .item
            .and_then(|mut item| item.remove("doc"))
            .and_then(|doc| doc.as_s().ok().cloned()))
    }

    fn failed(&self, doing: &str, why: &str) -> StoreError {
        StoreError(format!("table {:?}, {doing}: {why}", self.table))
    }
}
