//! What an operator settles about deliveries.

use carillon_core::push::outcome::OutcomeSettings;

/// Settings of the stage.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Account id that pushes name as owner and subscriber: decimal digits.
    pub account: String,
    /// Most HTTP pushes under way at once within one batch.
    pub concurrency: usize,
    /// Most HTTP pushes under way at once within one batch to one subscription (MNS pushes in rounds of 32).
    pub concurrency_per_subscription: usize,
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
            whole_second_delays: false,
            log_one_success_in: 1,
            outcomes: OutcomeSettings::default(),
        }
    }
}
