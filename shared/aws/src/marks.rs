//! Marks that stand for a while, in the table: a nonce used in one environment is refused in every other.
//!
//! | pk | sk | further attributes |
//! |---|---|---|
//! | `mark#<name>` | `mark` | `value`; `until`: epoch milliseconds; `expires`: the table's time to live; `by`: who set it |
//!
//! A partition for each mark: there are many, and each is written once. `by` is drawn for each setting: a request whose
//! answer was lost is sent again by the SDK, meets its own mark, and must not take it for somebody else's.

use crate::Clients;
use crate::clients::Lazy;
use crate::store::{Item, explain_dynamo};
use crate::world::SystemRandom;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use carillon_core::event::Timestamp;
use carillon_core::ports::{Marks, Random as _, StoreError};

/// The marks.
#[derive(Clone, Debug)]
pub struct DynamoMarks {
    client: Lazy<Client>,
    table: String,
}

impl DynamoMarks {
    /// Marks in this table.
    #[must_use]
    pub fn new(clients: &Clients, table: &str) -> Self {
        DynamoMarks {
            client: clients.dynamodb().clone(),
            table: table.to_owned(),
        }
    }

    /// The mark's item; empty when there is none.
    async fn read(&self, name: &str) -> Result<Item, StoreError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("pk", partition(name))
            .key("sk", AttributeValue::S("mark".to_owned()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| self.failed("reading a mark", &explain_dynamo(&error)))?;
        Ok(answer.item.unwrap_or_default())
    }

    fn failed(&self, doing: &str, why: &str) -> StoreError {
        StoreError(format!("table {:?}, {doing}: {why}", self.table))
    }
}

fn partition(name: &str) -> AttributeValue {
    AttributeValue::S(format!("mark#{name}"))
}

fn number(millis: i64) -> AttributeValue {
    AttributeValue::N(millis.to_string())
}

/// The value of a mark that stands at `now`. The table removes what has expired within days, not at once.
fn standing(item: &Item, now: Timestamp) -> Option<String> {
    let until: i64 = item.get("until")?.as_n().ok()?.parse().ok()?;
    let value = item.get("value")?.as_s().ok()?;
    (until > now.as_millis()).then(|| value.clone())
}

#[async_trait::async_trait]
impl Marks for DynamoMarks {
    async fn set(
        &self,
        name: &str,
        value: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        let random = SystemRandom::default();
        let by = format!("{:016x}{:016x}", random.draw(), random.draw());
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("pk", partition(name))
            .item("sk", AttributeValue::S("mark".to_owned()))
            .item("value", AttributeValue::S(value.to_owned()))
            .item("by", AttributeValue::S(by.clone()))
            .item("until", number(until.as_millis()))
            // A second later, so that nothing goes while it stands.
            .item("expires", number(until.as_millis() / 1000 + 1))
            .condition_expression("attribute_not_exists(pk) OR #until <= :now")
            .expression_attribute_names("#until", "until")
            .expression_attribute_values(":now", number(now.as_millis()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let error = match put {
            Ok(_) => return Ok(None),
            Err(error) => error,
        };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(held)) => {
                let met = match held.item() {
                    Some(item) => item.clone(),
                    // An emulator, or an older endpoint, that does not tell what it met.
                    None => self.read(name).await?,
                };
                if met.get("by") == Some(&AttributeValue::S(by)) {
                    return Ok(None);
                }
                Ok(Some(standing(&met, now).unwrap_or_default()))
            }
            _ => Err(self.failed("setting a mark", &explain_dynamo(&error))),
        }
    }

    async fn get(&self, name: &str, now: Timestamp) -> Result<Option<String>, StoreError> {
        Ok(standing(&self.read(name).await?, now))
    }
}
