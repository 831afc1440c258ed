//! Names of topics, subscriptions and queues.

use crate::event::InvalidName;
use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:literal, $want:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Longest name, in characters.
            pub const MAX_LEN: usize = $max;

            /// Reads a name.
            ///
            /// # Errors
            /// [`InvalidName`] when it does not fit.
            pub fn parse(name: &str) -> Result<Self, InvalidName> {
                let sound = name.starts_with(|c: char| c.is_ascii_alphabetic())
                    && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
                    && name.len() <= Self::MAX_LEN;
                if sound {
                    Ok($name(name.to_owned()))
                } else {
                    Err(InvalidName { what: $what, value: name.chars().take(300).collect(), want: $want })
                }
            }

            /// The name.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                $name::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

name! {
    /// Name of a topic: letters, digits and hyphens, first a letter, at most 255 characters. (MNS now says 120, older
    /// documents 255; the names of auto-made topics are up to 125 long, so the older bound is kept.)
    TopicName, "topic name", 255, "letters, digits and hyphens, first a letter, at most 255 characters"
}
name! {
    /// Name of a subscription: letters, digits and hyphens, first a letter, at most 255 characters (MNS limits).
    SubscriptionName, "subscription name", 255, "letters, digits and hyphens, first a letter, at most 255 characters"
}
name! {
    /// Name of a queue: letters, digits and hyphens, first a letter, at most 120 characters (MNS limits).
    QueueName, "queue name", 120, "letters, digits and hyphens, first a letter, at most 120 characters"
}

impl QueueName {
    /// Reads a queue endpoint as MNS writes it: a bare name, or `acs:mns:{region}:{account}:queues/{queue}` (also with
    /// the slash before `queues` that the vendor's Terraform example has).
    ///
    /// # Errors
    /// [`InvalidName`] when the name in it does not fit.
    pub fn from_endpoint(text: &str) -> Result<Self, InvalidName> {
        match text
            .strip_prefix("acs:mns:")
            .and_then(|rest| rest.rsplit_once("queues/"))
        {
            Some((_, name)) => Self::parse(name),
            None => Self::parse(text),
        }
    }
}
