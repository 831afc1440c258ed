//! Buckets, as S3's REST interface has them.

use super::access::{Access, Answer};
use super::notification::Configuration;
use crate::failure::Failure;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

/// Buckets of the operator's account.
pub(super) struct S3<'a> {
    pub(super) access: &'a Access,
    pub(super) account: &'a str,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ListBuckets {
    buckets: Buckets,
    continuation_token: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Buckets {
    #[serde(rename = "Bucket")]
    list: Vec<Bucket>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Bucket {
    name: String,
}

impl S3<'_> {
    /// The URL of a bucket's notifications. A name with dots fits no certificate as a host, and an emulator knows no
    /// hosts: those are written as a path.
    fn url(&self, bucket: &str) -> String {
        let base = self.access.base("s3");
        match base.strip_prefix("https://") {
            Some(host) if !self.access.is_emulated("s3") && !bucket.contains('.') => {
                format!("https://{bucket}.{host}/?notification")
            }
            _ => format!("{base}/{bucket}?notification"),
        }
    }

    fn owner(&self) -> Vec<(&'static str, String)> {
        // A bucket of somebody else's that has taken the name must not be told of this account's queues.
        vec![("x-amz-expected-bucket-owner", self.account.to_owned())]
    }

    /// What is configured.
    pub(super) fn notifications(&self, bucket: &str) -> Result<Configuration, Failure> {
        let url = self.url(bucket);
        let answer = self
            .access
            .exchange("s3", "GET", &url, &self.owner(), b"")?;
        if answer.status != 200 {
            return Err(self.refused(bucket, &answer));
        }
        Configuration::read(&answer.text).map_err(|error| {
            Failure::Unusable(format!(
                "the notifications of bucket {bucket:?} cannot be read: {error}"
            ))
        })
    }

    /// Replaces what is configured.
    pub(super) fn set_notifications(&self, bucket: &str, xml: &str) -> Result<(), Failure> {
        let url = self.url(bucket);
        let mut headers = self.owner();
        headers.push(("content-type", "application/xml".to_owned()));
        let answer = self
            .access
            .exchange("s3", "PUT", &url, &headers, xml.as_bytes())?;
        if answer.status == 200 {
            return Ok(());
        }
        Err(self.refused(bucket, &answer))
    }

    fn refused(&self, bucket: &str, answer: &Answer) -> Failure {
        let refusal = answer.refusal();
        let elsewhere = answer
            .headers
            .get("x-amz-bucket-region")
            .and_then(|region| region.to_str().ok())
            .filter(|region| *region != self.access.region());
        let cure = match (refusal.code.as_str(), elsewhere) {
            (_, Some(region)) => format!(
                "the bucket is in {region}, the stack in {}: S3 tells queues and buses of a bucket's own region alone, so \
                 deploy a stack there",
                self.access.region()
            ),
            ("NoSuchBucket", _) => "correct the name".to_owned(),
            ("AccessDenied" | "status 403", _) => format!(
                "you need s3:GetBucketNotification and s3:PutBucketNotification on it, and it must belong to account {}",
                self.account
            ),
            ("InvalidArgument", _) if refusal.message.contains("validate") => {
                "S3 tried to send to the events queue and could not: the stack's parameter SourceBucketArns must cover this \
                 bucket"
                    .to_owned()
            }
            ("InvalidArgument", _) => {
                "S3 has no two notifications for one event of one object: narrow --event, --prefix or --suffix, or use --by \
                 eventbridge, which conflicts with nothing"
                    .to_owned()
            }
            _ => "nothing was changed".to_owned(),
        };
        Failure::Refused(format!(
            "bucket {bucket:?}: {}: {}; {cure}",
            refusal.code, refusal.message
        ))
    }

    /// Names of the account's buckets in this region.
    pub(super) fn buckets(&self) -> Result<Vec<String>, Failure> {
        let mut names = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let mut url = format!(
                "{}/?bucket-region={}&max-buckets=1000",
                self.access.base("s3"),
                self.access.region()
            );
            if let Some(token) = &token {
                url = format!(
                    "{}/?bucket-region={}&continuation-token={}&max-buckets=1000",
                    self.access.base("s3"),
                    self.access.region(),
                    utf8_percent_encode(token, NON_ALPHANUMERIC)
                );
            }
            let answer = self.access.exchange("s3", "GET", &url, &[], b"")?;
            if answer.status != 200 {
                let refusal = answer.refusal();
                return Err(Failure::Refused(format!(
                    "the buckets cannot be listed: {}: {}; you need s3:ListAllMyBuckets, or name the buckets",
                    refusal.code, refusal.message
                )));
            }
            let list: ListBuckets = quick_xml::de::from_str(&answer.text)
                .map_err(|error| Failure::Unusable(format!("S3's list of buckets: {error}")))?;
            names.extend(list.buckets.list.into_iter().map(|bucket| bucket.name));
            match list.continuation_token.filter(|token| !token.is_empty()) {
                Some(next) => token = Some(next),
                None => return Ok(names),
            }
        }
    }
}
