//! A bucket's notification configuration as the bytes that S3 gave: entries are cut out and set in, and everything else
//! goes back exactly as it came, whatever a newer S3 may have put there. Pure.

use quick_xml::Reader;
use quick_xml::events::Event;
use serde::Deserialize;
use std::fmt::Write as _;
use std::ops::Range;

/// What S3 has of events (S3, "Supported event types for SQS, SNS, and Lambda").
pub(super) const ALL_EVENTS: &[&str] = &[
    "s3:ObjectCreated:*",
    "s3:ObjectRemoved:*",
    "s3:ObjectRestore:*",
    "s3:ReducedRedundancyLostObject",
    "s3:Replication:*",
    "s3:LifecycleExpiration:*",
    "s3:LifecycleTransition",
    "s3:IntelligentTiering",
    "s3:ObjectTagging:*",
    "s3:ObjectAcl:Put",
];

/// A configuration of nothing.
const EMPTY: &str =
    r#"<NotificationConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"/>"#;
const QUEUE: &str = "QueueConfiguration";
const EVENTBRIDGE: &str = "EventBridgeConfiguration";

/// One entry: who is told of what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// Name of its element.
    kind: String,
    pub(super) id: String,
    /// ARN of a queue, a topic or a function.
    pub(super) destination: String,
    pub(super) events: Vec<String>,
    pub(super) prefix: String,
    pub(super) suffix: String,
    /// Where it stands in the document.
    span: Range<usize>,
}

/// A configuration, as S3 gave it.
#[derive(Clone, Debug)]
pub(super) struct Configuration {
    xml: String,
    pub(super) entries: Vec<Entry>,
    eventbridge: Option<Range<usize>>,
    /// Where the content begins and ends; equal where the root is empty and closed.
    content: Range<usize>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct EntryXml {
    id: String,
    #[serde(alias = "Topic", alias = "CloudFunction", alias = "LambdaFunction")]
    queue: String,
    event: Vec<String>,
    filter: FilterXml,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct FilterXml {
    #[serde(rename = "S3Key")]
    key: KeyXml,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct KeyXml {
    #[serde(rename = "FilterRule")]
    rules: Vec<RuleXml>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RuleXml {
    name: String,
    value: String,
}

impl Configuration {
    /// Reads what S3 gave.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let text = if text.trim().is_empty() { EMPTY } else { text };
        let mut reader = Reader::from_str(text);
        let (mut depth, mut began) = (0usize, 0usize);
        let mut name = String::new();
        let mut configuration = Configuration {
            xml: text.to_owned(),
            entries: Vec::new(),
            eventbridge: None,
            content: 0..0,
        };
        loop {
            let before = place(reader.buffer_position());
            let event = reader.read_event().map_err(|error| error.to_string())?;
            let after = place(reader.buffer_position());
            match event {
                Event::Start(start) => {
                    match depth {
                        0 => configuration.content = after..after,
                        1 => {
                            began = before;
                            name = start.local_name().as_ref().to_owned();
                        }
                        _ => {}
                    }
                    depth += 1;
                }
                Event::Empty(start) => match depth {
                    0 => configuration.content = before..before,
                    1 => {
                        let name = start.local_name().as_ref().to_owned();
                        configuration.take(&name, before..after)?;
                    }
                    _ => {}
                },
                Event::End(_) => {
                    depth = depth.saturating_sub(1);
                    match depth {
                        0 => configuration.content.end = before,
                        1 => configuration.take(&name, began..after)?,
                        _ => {}
                    }
                }
                Event::Eof if depth == 0 => return Ok(configuration),
                Event::Eof => return Err("it breaks off".to_owned()),
                _ => {}
            }
        }
    }

    fn take(&mut self, kind: &str, span: Range<usize>) -> Result<(), String> {
        if kind == EVENTBRIDGE {
            self.eventbridge = Some(span);
        } else if kind.ends_with("Configuration") {
            let entry: EntryXml = quick_xml::de::from_str(&self.xml[span.clone()])
                .map_err(|error| format!("{kind}: {error}"))?;
            let ends = |wanted: &str| {
                let rules = entry.filter.key.rules.iter();
                let mut found = rules.filter(|rule| rule.name.eq_ignore_ascii_case(wanted));
                found
                    .next()
                    .map(|rule| rule.value.clone())
                    .unwrap_or_default()
            };
            self.entries.push(Entry {
                kind: kind.to_owned(),
                prefix: ends("prefix"),
                suffix: ends("suffix"),
                id: entry.id,
                destination: entry.queue,
                events: entry.event,
                span,
            });
        }
        Ok(())
    }

    /// Whether EventBridge is told.
    pub(super) fn tells_eventbridge(&self) -> bool {
        self.eventbridge.is_some()
    }

    /// Whether it is the same, but for the order of what it holds and the space between.
    pub(super) fn holds_the_same_as(&self, other: &Configuration) -> bool {
        self.pieces() == other.pieces()
    }

    /// The texts of its entries.
    fn pieces(&self) -> Vec<&str> {
        let spans = self.entries.iter().map(|entry| &entry.span);
        let spans = spans.chain(&self.eventbridge);
        // Whether an empty element is written in one tag or in two is no difference.
        let mut pieces: Vec<&str> = spans
            .map(|span| match &self.eventbridge {
                Some(own) if own == span => EVENTBRIDGE,
                _ => &self.xml[span.clone()],
            })
            .collect();
        pieces.sort_unstable();
        pieces
    }

    /// The document with these entries gone and those added. S3 lists topics, queues, functions, EventBridge, in this
    /// order; an added queue keeps to it.
    pub(super) fn changed(&self, gone: &[&Entry], added: &[Entry]) -> String {
        let after = |kind: &str| {
            let of_kind = self.entries.iter().filter(|entry| entry.kind == kind);
            of_kind.map(|entry| entry.span.end).max()
        };
        let at = after(QUEUE)
            .or_else(|| after("TopicConfiguration"))
            .unwrap_or(self.content.start);
        let text: String = added.iter().map(Entry::to_xml).collect();
        let cuts = gone.iter().map(|entry| entry.span.clone()).collect();
        self.rewritten(cuts, at, &text)
    }

    /// The document with EventBridge told, or not.
    pub(super) fn with_eventbridge(&self, on: bool) -> String {
        match (&self.eventbridge, on) {
            (Some(span), false) => self.rewritten(vec![span.clone()], self.content.end, ""),
            (None, true) => {
                let text = format!("<{EVENTBRIDGE}></{EVENTBRIDGE}>");
                self.rewritten(Vec::new(), self.content.end, &text)
            }
            _ => self.xml.clone(),
        }
    }

    /// Cuts, and sets `text` in at `at`, which lies in no cut.
    fn rewritten(&self, mut cuts: Vec<Range<usize>>, at: usize, text: &str) -> String {
        if text.is_empty() && cuts.is_empty() {
            return self.xml.clone();
        }
        let Some(root) = self.empty_root() else {
            cuts.sort_by_key(|cut| cut.start);
            let mut out = String::with_capacity(self.xml.len() + text.len());
            let mut from = 0;
            let mut set = false;
            for cut in cuts {
                if !set && at <= cut.start {
                    out.push_str(&self.xml[from..at]);
                    out.push_str(text);
                    (from, set) = (at, true);
                }
                out.push_str(&self.xml[from..cut.start]);
                from = cut.end;
            }
            if !set {
                out.push_str(&self.xml[from..at]);
                out.push_str(text);
                from = at;
            }
            out.push_str(&self.xml[from..]);
            return out;
        };
        // `<Name .../>` has no inside: open it.
        let (head, name) = root;
        format!(
            "{}{head}>{text}</{name}>{}",
            &self.xml[..self.content.start],
            &self.xml[self.content.start + head.len() + "/>".len()..]
        )
    }

    /// A root in one tag: what stands before its `/>`, and its name.
    fn empty_root(&self) -> Option<(&str, &str)> {
        let rest = &self.xml[self.content.start..];
        if self.content.start != self.content.end || !rest.starts_with('<') {
            return None;
        }
        let head = &rest[..rest.find("/>")?];
        if head.contains('>') {
            return None;
        }
        let name = head[1..].split_whitespace().next()?;
        Some((head, name))
    }

    /// The first entry that S3 would not have beside this one (S3, "Configuring event notifications using object key name
    /// filtering": no two may share an event type and an object). Those in `but` are about to go.
    pub(super) fn in_the_way_of(&self, wish: &Entry, but: &[&Entry]) -> Option<&Entry> {
        self.entries
            .iter()
            .filter(|held| !but.contains(held))
            .find(|held| held.shares_with(wish))
    }
}

impl Entry {
    /// An entry that tells a queue.
    pub(super) fn queue(
        id: String,
        queue: &str,
        events: Vec<String>,
        prefix: &str,
        suffix: &str,
    ) -> Self {
        Entry {
            kind: QUEUE.to_owned(),
            id,
            destination: queue.to_owned(),
            events,
            prefix: prefix.to_owned(),
            suffix: suffix.to_owned(),
            span: 0..0,
        }
    }

    fn to_xml(&self) -> String {
        let escape = |text: &str| quick_xml::escape::escape(text).into_owned();
        let mut out = format!(
            "<{QUEUE}><Id>{}</Id><Queue>{}</Queue>",
            escape(&self.id),
            escape(&self.destination)
        );
        for event in &self.events {
            write!(out, "<Event>{}</Event>", escape(event))
                .expect("writing to a String cannot fail");
        }
        let ends = [("prefix", &self.prefix), ("suffix", &self.suffix)];
        let mut rules = ends
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| {
                format!(
                    "<FilterRule><Name>{name}</Name><Value>{}</Value></FilterRule>",
                    escape(value)
                )
            })
            .peekable();
        if rules.peek().is_some() {
            let rules: String = rules.collect();
            write!(out, "<Filter><S3Key>{rules}</S3Key></Filter>")
                .expect("writing to a String cannot fail");
        }
        out.push_str(&format!("</{QUEUE}>"));
        out
    }

    /// Whether both say the same, wherever they stand.
    pub(super) fn says_the_same_as(&self, other: &Entry) -> bool {
        let sorted = |events: &[String]| {
            let mut events = events.to_vec();
            events.sort_unstable();
            events
        };
        (&self.id, &self.destination, &self.prefix, &self.suffix)
            == (&other.id, &other.destination, &other.prefix, &other.suffix)
            && sorted(&self.events) == sorted(&other.events)
    }

    fn shares_with(&self, other: &Entry) -> bool {
        let within =
            |a: &str, b: &str| a == b || a.strip_suffix('*').is_some_and(|a| b.starts_with(a));
        let event = self
            .events
            .iter()
            .any(|a| other.events.iter().any(|b| within(a, b) || within(b, a)));
        let prefix =
            self.prefix.starts_with(&other.prefix) || other.prefix.starts_with(&self.prefix);
        let suffix = self.suffix.ends_with(&other.suffix) || other.suffix.ends_with(&self.suffix);
        event && prefix && suffix
    }

    /// The entry in a line, for a person.
    pub(super) fn describe(&self) -> String {
        let mut out = format!("{} -> {}", self.events.join(", "), self.destination);
        if !self.prefix.is_empty() {
            out.push_str(&format!(", keys that begin {:?}", self.prefix));
        }
        if !self.suffix.is_empty() {
            out.push_str(&format!(", keys that end {:?}", self.suffix));
        }
        if !self.id.is_empty() {
            out.push_str(&format!(" (Id {})", self.id));
        }
        out
    }
}

fn place(position: u64) -> usize {
    usize::try_from(position).expect("a document in memory is no longer than memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As S3 writes it, with an element of a later day in it.
    const THEIRS: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<NotificationConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><TopicConfiguration><Id>t &amp; t</Id><Topic>arn:aws:sns:us-east-1:1:t</Topic><Event>s3:ObjectRemoved:*</Event><Novelty x='1'/></TopicConfiguration><CloudFunctionConfiguration><Id>f</Id><CloudFunction>arn:aws:lambda:us-east-1:1:function:f</CloudFunction><Event>s3:ObjectCreated:Put</Event><Filter><S3Key><FilterRule><Name>Prefix</Name><Value>in/</Value></FilterRule><FilterRule><Name>Suffix</Name><Value>.jpg</Value></FilterRule></S3Key></Filter></CloudFunctionConfiguration><!-- kept --><EventBridgeConfiguration/><FutureThing>1</FutureThing></NotificationConfiguration>
"#;

    fn ours(prefix: &str) -> Entry {
        let events = vec!["s3:ObjectCreated:*".to_owned()];
        Entry::queue(
            "carillon-s".into(),
            "arn:aws:sqs:us-east-1:1:q",
            events,
            prefix,
            "",
        )
    }

    #[test]
    fn what_is_added_and_taken_away_again_leaves_every_byte_as_it_was() {
        for theirs in [
            THEIRS,
            r#"<NotificationConfiguration xmlns="x"></NotificationConfiguration>"#,
            r#"<n:NotificationConfiguration xmlns:n="x"><n:EventBridgeConfiguration></n:EventBridgeConfiguration></n:NotificationConfiguration>"#,
        ] {
            let before = Configuration::read(theirs).unwrap();
            let with = before.changed(&[], &[ours("out/<&>/")]);
            let with = Configuration::read(&with).unwrap();
            assert_eq!(with.entries.len(), before.entries.len() + 1);
            let own = with
                .entries
                .iter()
                .find(|entry| entry.id == "carillon-s")
                .unwrap();
            assert!(own.says_the_same_as(&ours("out/<&>/")));
            assert_eq!(with.changed(&[own], &[]), theirs);
            assert_eq!(with.tells_eventbridge(), before.tells_eventbridge());
            assert!(!with.holds_the_same_as(&before));
        }
    }

    #[test]
    fn a_root_in_one_tag_is_opened() {
        for empty in ["", EMPTY, "<NotificationConfiguration  a='1' />\n"] {
            let before = Configuration::read(empty).unwrap();
            assert!(before.entries.is_empty());
            let with = before.changed(&[], &[ours("")]);
            let read = Configuration::read(&with).unwrap();
            assert_eq!(read.entries.len(), 1, "{with}");
            let with = Configuration::read(&before.with_eventbridge(true)).unwrap();
            assert!(with.tells_eventbridge());
            let without = with.with_eventbridge(false);
            assert!(!Configuration::read(&without).unwrap().tells_eventbridge());
        }
    }

    #[test]
    fn the_order_of_kinds_is_kept() {
        let before = Configuration::read(THEIRS).unwrap();
        let with = Configuration::read(&before.changed(&[], &[ours("")])).unwrap();
        let kinds: Vec<&str> = with.entries.iter().map(|entry| &*entry.kind).collect();
        assert_eq!(
            kinds,
            ["TopicConfiguration", QUEUE, "CloudFunctionConfiguration"]
        );
    }

    #[test]
    fn entries_are_read_whatever_tells_their_destination() {
        let read = Configuration::read(THEIRS).unwrap();
        assert_eq!(read.entries[0].id, "t & t");
        assert_eq!(read.entries[0].destination, "arn:aws:sns:us-east-1:1:t");
        let function = &read.entries[1];
        assert_eq!(
            (function.prefix.as_str(), function.suffix.as_str()),
            ("in/", ".jpg")
        );
        assert_eq!(
            function.destination,
            "arn:aws:lambda:us-east-1:1:function:f"
        );
        assert!(read.tells_eventbridge());
        for broken in [
            "<a",
            "<a><b></a>",
            "<NotificationConfiguration><QueueConfiguration>",
        ] {
            assert!(Configuration::read(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn what_s3_would_refuse_is_known_before() {
        let read = Configuration::read(THEIRS).unwrap();
        // Created objects below in/ that end .jpg are the function's.
        for (prefix, refused) in [
            ("", true),
            ("in/", true),
            ("in/a", true),
            ("i", true),
            ("out/", false),
        ] {
            let held = read.in_the_way_of(&ours(prefix), &[]);
            assert_eq!(
                held.map(|held| held.id.as_str()),
                refused.then_some("f"),
                "{prefix}"
            );
        }
        let mut png = ours("");
        png.suffix = ".png".into();
        assert_eq!(read.in_the_way_of(&png, &[]), None);
        png.suffix = "x.jpg".into();
        assert!(read.in_the_way_of(&png, &[]).is_some());
        let mut removed = ours("");
        removed.events = vec!["s3:ObjectRemoved:DeleteMarkerCreated".into()];
        assert_eq!(read.in_the_way_of(&removed, &[]).unwrap().id, "t & t");
        assert_eq!(read.in_the_way_of(&removed, &[&read.entries[0]]), None);
    }
}
