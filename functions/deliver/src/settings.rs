//! What an operator settles about deliveries.

use carillon_core::push::outcome::OutcomeSettings;
use std::time::Duration;

/// Settings of the stage.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Account id that pushes name as owner and subscriber: decimal digits.
    pub account: String,
    /// Most HTTP pushes under way at once within one batch.
    pub concurrency: usize,
    /// Most HTTP pushes under way at once within one batch to one subscription (MNS pushes in rounds of 32).
    pub concurrency_per_subscription: usize,
    /// After this long no further attempt of a batch is begun; what is left goes back to the queue without delay. The
    /// queue's visibility timeout must exceed it by the longest timeout of a subscription (30 s) and some seconds more.
    pub budget: Duration,
    /// Whether delays are rounded up to whole seconds, as SQS wants them. The embedded queue takes milliseconds.
    pub whole_second_delays: bool,
    /// Of successful attempts, one in this many is written to the attempt log; 1 writes all, 0 none. Failures are
    /// always written.
    pub log_one_success_in: u32,
    /// What answers mean.
    pub outcomes: OutcomeSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            account: "000000000000".to_owned(),
            concurrency: 64,
            concurrency_per_subscription: 32,
            budget: Duration::from_secs(20),
            whole_second_delays: false,
            log_one_success_in: 1,
            outcomes: OutcomeSettings::default(),
        }
    }
}
