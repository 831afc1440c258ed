//! Topics of SNS, which a rule may name in the place of a topic of Carillon's.

use crate::event::InvalidName;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What an ARN of such a topic looks like, for errors.
const WANT: &str = "an ARN of a standard topic, such as arn:aws:sns:us-east-1:123456789012:name";

/// ARN of a standard topic of SNS: `arn:{partition}:sns:{region}:{account}:{name}`; the name has letters, digits, hyphens
/// and underscores, at most 256 of them (SNS CreateTopic).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct SnsTopic(String);

impl SnsTopic {
    /// Whether a topic endpoint means a topic of SNS: it begins as every ARN does.
    #[must_use]
    pub fn is_meant_by(text: &str) -> bool {
        text.starts_with("arn:")
    }

    /// Reads an ARN.
    ///
    /// # Errors
    /// [`InvalidName`] when it is not one, or names a FIFO topic: those promise an order that nothing here has.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let refuse = |want| InvalidName {
            what: "topic ARN",
            value: text.chars().take(300).collect(),
            want,
        };
        let parts: Vec<&str> = text.split(':').collect();
        let ["arn", partition, "sns", region, account, name] = parts.as_slice() else {
            return Err(refuse(WANT));
        };
        let small = |text: &str| {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        };
        if name.ends_with(".fifo") {
            return Err(refuse(
                "a standard topic: a FIFO topic promises an order that event notification does not have",
            ));
        }
        let sound_name = (1..=256).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        let sound = partition.starts_with("aws")
            && small(partition)
            && small(region)
            && account.len() == 12
            && account.bytes().all(|byte| byte.is_ascii_digit())
            && sound_name;
        if sound {
            Ok(SnsTopic(text.to_owned()))
        } else {
            Err(refuse(WANT))
        }
    }

    /// The ARN.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn part(&self, index: usize) -> &str {
        self.0.split(':').nth(index).unwrap_or_default()
    }

    /// Its region.
    #[must_use]
    pub fn region(&self) -> &str {
        self.part(3)
    }

    /// Its owner.
    #[must_use]
    pub fn account(&self) -> &str {
        self.part(4)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.part(5)
    }
}

impl fmt::Display for SnsTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SnsTopic {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        SnsTopic::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns() {
        let topic = SnsTopic::parse("arn:aws-cn:sns:cn-north-1:123456789012:a_B-9").unwrap();
        assert_eq!(
            (topic.region(), topic.account(), topic.name()),
            ("cn-north-1", "123456789012", "a_B-9")
        );
        for (text, why) in [
            ("arn:aws:sns:us-east-1:123456789012:a.fifo", "FIFO"),
            ("arn:aws:sqs:us-east-1:123456789012:a", "ARN"),
            ("arn:aws:sns:us-east-1:12345678901:a", "ARN"),
            ("arn:aws:sns::123456789012:a", "ARN"),
            ("arn:aws:sns:us-east-1:123456789012:", "ARN"),
            ("arn:aws:sns:us-east-1:123456789012:a b", "ARN"),
            // A subscription's ARN has one part more.
            ("arn:aws:sns:us-east-1:123456789012:a:b", "ARN"),
            ("arn:", "ARN"),
        ] {
            let error = SnsTopic::parse(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
