//! What the functions are told by their environment: the one place that reads it.

use carillon_core::ports::Stage;
use carillon_core::push::guard::Cidr;

/// Settings of the functions. The template sets each variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `CARILLON_TABLE`: name of the table.
    pub table: String,
    /// URLs of the stage queues; a function is given those it sends to.
    pub stages: StageUrls,
    /// `CARILLON_QUEUE_PREFIX`: users' queues are those whose name begins so. Default `carillon-q-`.
    pub queue_prefix: String,
    /// `CARILLON_TOPIC_PREFIX`: topics of SNS that rules may name are those whose name begins so. Default `carillon-t-`.
    pub topic_prefix: String,
    /// `CARILLON_SIGNING_SECRET`: name or ARN of the secret that holds the keys which sign pushes; empty: pushes go
    /// unsigned.
    pub signing_secret: String,
    /// `CARILLON_ACCESS_KEYS_SECRET`: name or ARN of the secret that holds the keys which requests to the control plane
    /// are signed with, a JSON array of `{"id", "secret", "role"}`; empty: none.
    pub access_keys_secret: String,
    /// `CARILLON_ACCOUNT_ID`: twelve digits. Default `000000000000`.
    pub account: String,
    /// `AWS_REGION`. Default `us-east-1`.
    pub region: String,
    /// `CARILLON_INGEST_SETTINGS`: how bodies are decoded, and what is remembered of them, as JSON (see
    /// functions/ingest/src/settings.rs). Default `{}`.
    pub ingest: String,
    /// `CARILLON_DEAD_LETTER_DAYS`: days that dead letters are kept. Default 14.
    pub dead_letter_days: u32,
    /// `CARILLON_ALLOW_ENDPOINTS`: comma-separated CIDR ranges that pushes may go to although they are private.
    pub allow_endpoints: Vec<Cidr>,
    /// `CARILLON_MANAGEMENT_AUTH` is `SMQ`: requests must be signed with a key of Carillon's. Else AWS has checked them.
    pub smq_auth: bool,
    /// `CARILLON_ARCHIVE_BUCKET`: accepted events are kept in this bucket, for replay and preview; empty: nowhere.
    pub archive_bucket: String,
    /// `AWS_LAMBDA_FUNCTION_NAME` is set, as Lambda does: what is written to standard output is a log, and metrics are
    /// read out of it.
    pub in_lambda: bool,
    /// `CARILLON_CERTIFICATES_URL`: the function URL that serves the signing certificates.
    pub certificates_url: String,
}

/// URLs of the queues between the stages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StageUrls {
    /// `CARILLON_INGEST_QUEUE_URL`.
    pub ingest: Option<String>,
    /// `CARILLON_MATCH_QUEUE_URL`.
    pub r#match: Option<String>,
    /// `CARILLON_DELIVER_QUEUE_URL`.
    pub deliver: Option<String>,
}

impl StageUrls {
    /// The URL of a stage's queue.
    #[must_use]
    pub fn of(&self, stage: Stage) -> Option<&str> {
        match stage {
            Stage::Ingest => self.ingest.as_deref(),
            Stage::Match => self.r#match.as_deref(),
            Stage::Deliver => self.deliver.as_deref(),
        }
    }

    /// The variable that gives it.
    #[must_use]
    pub fn variable(stage: Stage) -> &'static str {
        match stage {
            Stage::Ingest => "CARILLON_INGEST_QUEUE_URL",
            Stage::Match => "CARILLON_MATCH_QUEUE_URL",
            Stage::Deliver => "CARILLON_DELIVER_QUEUE_URL",
        }
    }
}

/// A variable that is missing or cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("environment variable {name} is {value:?}: {want}")]
pub struct InvalidSetting {
    /// The variable.
    pub name: &'static str,
    /// What it holds; empty when it is not set.
    pub value: String,
    /// What it should hold.
    pub want: &'static str,
}

impl Settings {
    /// Reads the process's environment.
    ///
    /// # Errors
    /// [`InvalidSetting`].
    pub fn from_environment() -> Result<Self, InvalidSetting> {
        Self::read(|name| std::env::var(name).ok())
    }

    /// Reads variables through `look`.
    ///
    /// # Errors
    /// [`InvalidSetting`].
    pub fn read(look: impl Fn(&str) -> Option<String>) -> Result<Self, InvalidSetting> {
        let given = |name: &str| look(name).filter(|value| !value.is_empty());
        let or = |name: &str, default: &str| given(name).unwrap_or_else(|| default.to_owned());
        let invalid = |name, want| InvalidSetting {
            name,
            value: look(name).unwrap_or_default(),
            want,
        };
        let account = or("CARILLON_ACCOUNT_ID", "000000000000");
        if !account.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(invalid(
                "CARILLON_ACCOUNT_ID",
                "an account id is decimal digits",
            ));
        }
        Ok(Settings {
            table: given("CARILLON_TABLE")
                .ok_or_else(|| invalid("CARILLON_TABLE", "name the table that holds the rules"))?,
            stages: StageUrls {
                ingest: given(StageUrls::variable(Stage::Ingest)),
                r#match: given(StageUrls::variable(Stage::Match)),
                deliver: given(StageUrls::variable(Stage::Deliver)),
            },
            queue_prefix: or("CARILLON_QUEUE_PREFIX", "carillon-q-"),
            topic_prefix: or("CARILLON_TOPIC_PREFIX", "carillon-t-"),
            signing_secret: or("CARILLON_SIGNING_SECRET", ""),
            access_keys_secret: or("CARILLON_ACCESS_KEYS_SECRET", ""),
            account,
            region: or("AWS_REGION", "us-east-1"),
            ingest: or("CARILLON_INGEST_SETTINGS", "{}"),
            dead_letter_days: or("CARILLON_DEAD_LETTER_DAYS", "14")
                .parse()
                .ok()
                .filter(|days| (1..=3650).contains(days))
                .ok_or_else(|| {
                    invalid(
                        "CARILLON_DEAD_LETTER_DAYS",
                        "give a number of days from 1 to 3650",
                    )
                })?,
            allow_endpoints: or("CARILLON_ALLOW_ENDPOINTS", "")
                .split(',')
                .map(str::trim)
                .filter(|range| !range.is_empty())
                .map(str::parse)
                .collect::<Result<_, _>>()
                .map_err(|_| {
                    invalid(
                        "CARILLON_ALLOW_ENDPOINTS",
                        "give ranges as 10.0.0.0/8, with commas between them",
                    )
                })?,
            smq_auth: match or("CARILLON_MANAGEMENT_AUTH", "AWS_IAM").as_str() {
                "SMQ" => true,
                "AWS_IAM" => false,
                _ => return Err(invalid("CARILLON_MANAGEMENT_AUTH", "give AWS_IAM or SMQ")),
            },
            archive_bucket: or("CARILLON_ARCHIVE_BUCKET", ""),
            in_lambda: given("AWS_LAMBDA_FUNCTION_NAME").is_some(),
            certificates_url: or("CARILLON_CERTIFICATES_URL", "")
                .trim_end_matches('/')
                .to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, InvalidSetting> {
        Settings::read(|name| {
            let found = pairs.iter().find(|(held, _)| *held == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn one_variable_is_enough_and_the_rest_has_defaults() {
        let settings = read(&[("CARILLON_TABLE", "t")]).unwrap();
        assert_eq!(settings.queue_prefix, "carillon-q-");
        assert_eq!(settings.dead_letter_days, 14);
        assert!(!settings.smq_auth && !settings.in_lambda);
        assert_eq!(settings.stages.of(Stage::Match), None);
    }

    #[test]
    fn a_variable_that_cannot_be_read_is_named_with_its_value() {
        for (pairs, name) in [
            (&[][..], "CARILLON_TABLE"),
            (&[("CARILLON_TABLE", "")], "CARILLON_TABLE"),
            (
                &[("CARILLON_TABLE", "t"), ("CARILLON_ACCOUNT_ID", "me")],
                "CARILLON_ACCOUNT_ID",
            ),
            (
                &[("CARILLON_TABLE", "t"), ("CARILLON_DEAD_LETTER_DAYS", "0")],
                "CARILLON_DEAD_LETTER_DAYS",
            ),
            (
                &[
                    ("CARILLON_TABLE", "t"),
                    ("CARILLON_MANAGEMENT_AUTH", "NONE"),
                ],
                "CARILLON_MANAGEMENT_AUTH",
            ),
        ] {
            assert_eq!(read(pairs).unwrap_err().name, name);
        }
    }
}
