//! The workload of the match benches: rules and events as a busy store would have them.
//!
//! 2.3 patterns a rule: 40 % prefixes (nested), 20 % suffixes, 20 % prefix and suffix, 20 % full names; few buckets hold
//! most of them. Keys are about 50 bytes long; four of five events are covered. Every number is drawn from a fixed seed.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::should_implement_trait,
    reason = "shared by benches and the command, each of which uses a part"
)]

use carillon_core::event::{Product, Timestamp};
use carillon_core::rule::{
    Clause, Endpoint, EndpointKind, EventTypePattern, EventTypes, ResourcePattern, Resources, Rule,
    RuleName,
};
use std::collections::HashSet;
use std::sync::Arc;

/// A small generator (xorshift64*).
pub struct Draw(u64);

impl Draw {
    /// The same numbers for the same seed.
    pub fn new(seed: u64) -> Self {
        Draw(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number under `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    /// A number under `bound`, small ones far more often.
    fn skewed(&mut self, bound: usize) -> usize {
        let share = self.below(1 << 20) as f64 / f64::from(1 << 20);
        ((bound as f64) * share.powi(3)) as usize
    }
}

const TYPE_SETS: [&[&str]; 8] = [
    &["ObjectCreated:*"],
    &["ObjectRemoved:*"],
    &["ObjectCreated:PutObject"],
    &[
        "ObjectCreated:PutObject",
        "ObjectCreated:CompleteMultipartUpload",
    ],
    &["ObjectCreated:*", "ObjectRemoved:*"],
    &["ObjectDownloaded:GetObject"],
    &["ObjectModified:*", "ObjectReplication:*"],
    &[
        "ObjectCreated:PostObject",
        "ObjectCreated:CopyObject",
        "ObjectRemoved:DeleteObject",
    ],
];
const TOPS: [&str; 8] = [
    "logs",
    "photos",
    "backup/db",
    "raw/events",
    "exports",
    "héros/图片",
    "team files",
    "tmp",
];
const EXTENSIONS: [&str; 8] = [
    ".parquet", ".jpg", ".json.gz", ".png", ".csv", ".log", ".mp4", ".avro",
];

/// A bucket's name; there are so many buckets as rules warrant.
fn bucket(draw: &mut Draw, rules: usize) -> String {
    format!("bucket-{:05}", draw.skewed((rules / 10).max(2)))
}

/// The folders of a key, widest first: each is the beginning of the next.
fn folders(draw: &mut Draw, rules: usize) -> [String; 4] {
    let top = TOPS[draw.below(TOPS.len())];
    let year = format!("{top}/20{}/", 20 + draw.below(7));
    let month = format!("{year}{:02}/", 1 + draw.below(12));
    let day = format!("{month}{:02}/", 1 + draw.below(28));
    let host = format!("{day}host-{:03}/", draw.below((rules / 50).clamp(3, 900)));
    [year, month, day, host]
}

fn file(draw: &mut Draw, rules: usize) -> String {
    let number = draw.below((2 * rules).clamp(100, 10_000_000));
    format!(
        "part-{number:05}{}",
        EXTENSIONS[draw.below(EXTENSIONS.len())]
    )
}

fn pattern(draw: &mut Draw, rules: usize, again: usize) -> ResourcePattern {
    let bucket = bucket(draw, rules);
    let folders = folders(draw, rules);
    let folder = folders[if again > 2 { 3 } else { 3 - draw.skewed(4) }].as_str();
    let ends = |prefix: String, suffix: String| ResourcePattern::Ends { prefix, suffix };
    match draw.below(5) {
        0 | 1 => ends(format!("{bucket}/{folder}"), String::new()),
        2 => ends(String::new(), file(draw, rules)[4..].to_owned()),
        3 => ends(
            format!("{bucket}/{folder}"),
            EXTENSIONS[draw.below(EXTENSIONS.len())].to_owned(),
        ),
        _ => ResourcePattern::Name(format!("{bucket}/{folder}{}", file(draw, rules))),
    }
}

/// Rules that may overlap.
pub fn rules(count: usize) -> Vec<Arc<Rule>> {
    let mut draw = Draw::new(42);
    // Rules that tell many of one event are rare: each pattern is drawn once, if there is another within a few draws.
    let mut seen = HashSet::<
        ResourcePattern,
        std::hash::BuildHasherDefault<std::hash::DefaultHasher>,
    >::default();
    let mut fresh = |draw: &mut Draw| {
        let drawn = (0..6)
            .map(|again| pattern(draw, count, again))
            .find(|pattern| !seen.contains(pattern));
        let pattern = drawn.unwrap_or_else(|| pattern(draw, count, 6));
        seen.insert(pattern.clone());
        pattern
    };
    (0..count)
        .map(|number| {
            let patterns = [1, 2, 2, 2, 3, 3, 3, 2, 2, 3][draw.below(10)];
            let alternatives = (0..patterns)
                .map(|_| {
                    vec![Clause {
                        negated: false,
                        pattern: fresh(&mut draw),
                    }]
                })
                .collect();
            let types = TYPE_SETS[draw.below(TYPE_SETS.len())];
            rule(format!("rule-{number}"), types, alternatives)
        })
        .collect()
}

fn rule(name: String, types: &[&str], alternatives: Vec<Vec<Clause>>) -> Arc<Rule> {
    Arc::new(Rule {
        product: Product::Oss,
        name: RuleName::parse(&name).expect("letters, digits and a hyphen"),
        event_types: EventTypes(
            types
                .iter()
                .map(|text| EventTypePattern::parse(text).expect("a known event type"))
                .collect(),
        ),
        resources: Resources::AnyOf(alternatives),
        endpoints: vec![Endpoint {
            kind: EndpointKind::Queue,
            value: "queue".to_owned(),
        }],
        enabled: true,
        topic: None,
        created: Timestamp::default(),
    })
}

/// Rules of one pattern each, all of one bucket and the same event types, that hold together; and rules that hold
/// together with all of them, though each has very many neighbours: thousands of patterns begin as it does, thousands of
/// others end as it does, and none does both.
pub fn near_misses(count: usize) -> (Vec<Arc<Rule>>, Vec<Rule>) {
    let mut draw = Draw::new(11);
    let ends = |prefix: String, suffix: String| {
        vec![vec![Clause {
            negated: false,
            pattern: ResourcePattern::Ends { prefix, suffix },
        }]]
    };
    // Folders of even numbers hold files that end one way, those of odd numbers files that end the other way.
    let folder = |number: usize, parity: usize| {
        let top = 2 * (number % 4) + parity;
        format!(
            "bucket/{top}/{:02}/{:03}/",
            number / 4 % 32,
            number / 128 % 512
        )
    };
    let rules = (0..count).map(|number| {
        let (parity, number) = (number % 2, number / 2);
        let kind = ["jpg", "png"][parity];
        let prefix = format!("{}{number}/", folder(number, parity));
        let types = &["ObjectCreated:*"];
        rule(
            format!("rule-{parity}-{number}"),
            types,
            ends(prefix, format!("-{number}.{kind}")),
        )
    });
    let askers = (0..2_000).map(|asker| {
        let (parity, number) = (draw.below(2), draw.below(1 << 16));
        let whole = folder(number, parity);
        // From a whole top folder down to one with a handful of patterns.
        let prefix: String = whole.split_inclusive('/').take(2 + asker % 3).collect();
        let kind = ["png", "jpg"][parity];
        let suffix = if draw.below(2) == 0 {
            format!(".{kind}")
        } else {
            format!("{}.{kind}", draw.below(10))
        };
        let asker = rule(
            format!("asker-{asker}"),
            &["ObjectCreated:*"],
            ends(prefix, suffix),
        );
        Rule::clone(&asker)
    });
    (rules.collect(), askers.collect())
}

/// One event: its type and its resource.
pub type Event = (String, String);

/// Events for the rules: four of five made to fit one of them.
pub fn events(rules: &[Arc<Rule>], count: usize) -> Vec<Event> {
    let mut draw = Draw::new(7);
    (0..count)
        .map(|_| {
            let (folders, file) = (
                folders(&mut draw, rules.len()),
                file(&mut draw, rules.len()),
            );
            let free = format!("{}/{}{file}", bucket(&mut draw, rules.len()), folders[3]);
            if rules.is_empty() || draw.below(5) == 0 {
                return ("ObjectCreated:PutObject".to_owned(), free);
            }
            let rule = &rules[draw.below(rules.len())];
            let event_type = match rule.event_types.0.first() {
                Some(EventTypePattern::Name(name)) => name.as_str().to_owned(),
                Some(group) => group
                    .common(group)
                    .map_or_else(String::new, |name| name.as_str().to_owned()),
                None => "ObjectCreated:PutObject".to_owned(),
            };
            let resource = match &rule.resources {
                Resources::AnyOf(alternatives) if !alternatives.is_empty() => {
                    let clauses = &alternatives[draw.below(alternatives.len())];
                    match clauses.first().map(|clause| &clause.pattern) {
                        Some(ResourcePattern::Name(name)) if name.contains('/') => name.clone(),
                        Some(ResourcePattern::Name(bucket)) => format!("{bucket}/{file}"),
                        Some(ResourcePattern::Ends { prefix, suffix }) if prefix.is_empty() => {
                            format!("{}{suffix}", free.trim_end_matches(&file[4..]))
                        }
                        Some(ResourcePattern::Ends { prefix, suffix }) if suffix.is_empty() => {
                            // Down to the length of an ordinary key.
                            let from = prefix.len().min(free.len().saturating_sub(file.len() + 1));
                            let middle = free.get(from..free.len() - file.len()).unwrap_or("");
                            format!("{prefix}{middle}{file}")
                        }
                        Some(ResourcePattern::Ends { prefix, suffix }) => {
                            format!("{prefix}{}{suffix}", &file[..10])
                        }
                        None => free,
                    }
                }
                _ => free,
            };
            (event_type, resource)
        })
        .collect()
}

/// The event as one element of the seeds' `events` array, about 790 bytes.
pub fn json((event_type, resource): &Event) -> String {
    let (bucket, key) = resource.split_once('/').unwrap_or((resource, ""));
    format!(
        r#"{{"eventName":"{event_type}","eventSource":"acs:oss","eventTime":"2026-11-22T14:03:51.000Z","eventVersion":"1.0","oss":{{"bucket":{{"arn":"acs:oss:cn-hangzhou:1234567890123456:{bucket}","name":"{bucket}","ownerIdentity":"1234567890123456"}},"object":{{"deltaSize":1048576,"eTag":"0CC175B9C0F1B6A831C399E269772661","key":{},"size":1048576}},"ossSchemaVersion":"1.0"}},"region":"cn-hangzhou","requestParameters":{{"sourceIPAddress":"203.0.113.24"}},"responseElements":{{"requestId":"5C6FD0D0E3B4C52E4D8F2B1A"}},"userIdentity":{{"principalId":"1234567890123456"}},"xVars":{{"x:callback-var1":"value1","x:vallback-var2":"value2","x:trace":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01","x:client":"uploader/4.1.0 (linux; x86-64)"}}}}"#,
        serde_json::Value::from(key)
    )
}
