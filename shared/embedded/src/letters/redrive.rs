//! Sending dead letters again.

use super::query::{conditions, letter, read_id};
use crate::stage::stage_named;
use crate::store::{Ledger, Outcome, Store};
use carillon_core::delivery::{DeadLetterContent, Delivery};
use carillon_core::envelope::Packer;
use carillon_core::ports::{Selection, Stage, StoreError};

/// Letters that one transaction moves when all of a selection are sent again.
const ONCE: usize = 500;

impl Store {
    /// Sends dead letters again: a delivery goes to the deliver stage with its attempts begun anew, a record to the stage
    /// that refused it, byte for byte. Letter and record change places in one transaction, so a letter is sent once
    /// however often this is called. Gives how many were sent; ids that are no longer there are passed over.
    ///
    /// # Errors
    /// When the store cannot do it now (nothing was moved), or a letter cannot be read.
    pub async fn redrive(&self, ids: &[String]) -> Result<usize, StoreError> {
        let ids: Vec<i64> = ids.iter().filter_map(|id| read_id(id)).collect();
        self.write(0, move |ledger| ledger.redrive(&ids)).await
    }

    /// Sends all dead letters of a selection again whose reason contains `text`, oldest first. Gives how many.
    ///
    /// # Errors
    /// As [`redrive`](Self::redrive); what was moved before the error stays moved.
    pub async fn redrive_all(
        &self,
        selection: &Selection,
        text: &str,
    ) -> Result<usize, StoreError> {
        let mut sent = 0;
        // Letters that come while this runs are not meant.
        let mut last = 0;
        let newest: i64 = self
            .read(|conn| {
                conn.query_row("SELECT coalesce(max(id), 0) FROM dead_letters", [], |row| {
                    row.get(0)
                })
            })
            .await
            .map_err(|outage| StoreError(outage.0))?;
        loop {
            let (selection, text) = (selection.clone(), text.to_owned());
            let read = self.read(move |conn| {
                let (conditions, values) = conditions(&selection, &text, Some(newest.saturating_add(1)));
                let mut query = conn.prepare_cached(&format!(
                    "SELECT id FROM dead_letters WHERE {conditions} AND id > {last} ORDER BY id LIMIT {ONCE}"
                ))?;
                query
                    .query_map(rusqlite::params_from_iter(values), |row| row.get(0))?
                    .collect::<rusqlite::Result<Vec<i64>>>()
            });
            let ids = read.await.map_err(|outage| StoreError(outage.0))?;
            let Some(&end) = ids.last() else {
                return Ok(sent);
            };
            last = end;
            sent += self.write(0, move |ledger| ledger.redrive(&ids)).await?;
        }
    }
}

impl Ledger {
    fn redrive(&mut self, ids: &[i64]) -> Outcome<usize, StoreError> {
        let mut sent = 0;
        for &id in ids {
            let kept = {
                let mut query = self.conn.prepare_cached(
                    "SELECT id, at, reason, content FROM dead_letters WHERE id = ?1",
                )?;
                let mut rows = query.query([id])?;
                match rows.next()? {
                    Some(row) => letter(row)?,
                    None => continue,
                }
            };
            let content = match kept {
                Ok(kept) => kept.letter.content,
                Err(reason) => return Ok(Err(StoreError(reason))),
            };
            match content {
                DeadLetterContent::Delivery(delivery) => {
                    if let Err(refusal) = self.redrive_delivery(*delivery)? {
                        return Ok(Err(refusal));
                    }
                }
                DeadLetterContent::Record { stage, body } => {
                    let Some(stage) = stage_named(&stage) else {
                        return Ok(Err(StoreError(format!(
                            "dead letter {id} is of a stage {stage:?} that is not known here"
                        ))));
                    };
                    let now = self.now;
                    self.insert_record(stage, None, now, &body)?;
                }
            }
            self.run("DELETE FROM dead_letters WHERE id = ?1", [id])?;
            sent += 1;
        }
        Ok(Ok(sent))
    }

    fn redrive_delivery(&mut self, delivery: Delivery) -> Outcome<(), StoreError> {
        let delivery = delivery.renewed(self.now);
        // As the match stage groups them, so that a large redrive holds up no other subscription.
        let group = format!("{}/{}", delivery.topic, delivery.subscription);
        let mut packer = Packer::new();
        if let Err(error) = packer.push(&delivery) {
            return Ok(Err(StoreError(error.to_string())));
        }
        let now = self.now;
        for body in packer.finish() {
            self.insert_record(Stage::Deliver, Some(&group), now, &body)?;
        }
        Ok(Ok(()))
    }
}
