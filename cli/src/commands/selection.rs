//! Which deliveries are meant: the options of every command that selects some.

use clap::{Args, ValueEnum};

/// A selection of deliveries; every option given narrows it.
#[derive(Debug, Args)]
pub(crate) struct Selection {
    /// Of this message.
    #[arg(long, value_name = "ID")]
    message_id: Option<String>,
    /// Of this product.
    #[arg(long, value_name = "PRODUCT")]
    product: Option<String>,
    /// By this rule.
    #[arg(long, value_name = "RULE")]
    rule: Option<String>,
    /// Published to this topic.
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    /// For this subscription.
    #[arg(long, value_name = "SUBSCRIPTION")]
    subscription: Option<String>,
    /// That ended so.
    #[arg(long, value_enum)]
    outcome: Option<OutcomeArg>,
    /// Answered with this HTTP status. For attempts; dead letters do not ask.
    #[arg(long, value_name = "STATUS")]
    status: Option<u16>,
    /// Not before this time (ISO 8601), or not longer ago than this (90s, 15m, 24h, 7d).
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before this time (ISO 8601), or longer ago than this (90s, 15m, 24h, 7d).
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OutcomeArg {
    /// Accepted by the endpoint.
    Success,
    /// Failed in a way that may pass.
    Retry,
    /// Failed in a way that no retry mends.
    Hopeless,
}

impl Selection {
    /// As parameters of an action.
    pub(crate) fn parameters(&self) -> Vec<(&'static str, String)> {
        let outcome = self.outcome.map(|outcome| match outcome {
            OutcomeArg::Success => "success".to_owned(),
            OutcomeArg::Retry => "retry".to_owned(),
            OutcomeArg::Hopeless => "hopeless".to_owned(),
        });
        let status = self.status.map(|status| status.to_string());
        let named = [
            ("MessageId", &self.message_id),
            ("ProductName", &self.product),
            ("RuleName", &self.rule),
            ("TopicName", &self.topic),
            ("SubscriptionName", &self.subscription),
            ("Outcome", &outcome),
            ("StatusCode", &status),
            ("Since", &self.since),
            ("Until", &self.until),
        ];
        named
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.clone()?)))
            .collect()
    }
}
