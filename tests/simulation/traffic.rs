//! What arrives: events of S3 and of OSS, told once or twice, alone or several to a body, with poison among them.

use crate::clockwork::Tick;
use crate::fault::Fault;
use crate::model::{Form, SourceEvent};
use crate::sqs::Holds;
use crate::world::{EPOCH, State};
use carillon_core::event::Timestamp;
use carillon_core::ports::Stage;
use std::fmt::Write as _;
use std::sync::Arc;

const BUCKETS: [&str; 3] = ["movie", "music", "movies"];
const FOLDERS: [&str; 4] = ["", "new/", "hello/", "a b+c/"];
const ENDINGS: [&str; 4] = [".avi", ".jpg", ".avi.part", ""];

/// Types as OSS names them, and as S3 does where it has the event.
const TYPES: [(&str, Form); 10] = [
    ("ObjectCreated:PutObject", Form::S3("ObjectCreated:Put")),
    ("ObjectCreated:CopyObject", Form::S3("ObjectCreated:Copy")),
    (
        "ObjectRemoved:DeleteObject",
        Form::S3("ObjectRemoved:Delete"),
    ),
    (
        "ObjectModified:UpdateObjectMeta",
        Form::S3("ObjectTagging:Put"),
    ),
    ("ObjectCreated:PutObject", Form::Oss),
    ("ObjectCreated:AppendObject", Form::Oss),
    ("ObjectCreated:InventedLater", Form::Oss),
    ("ObjectRemoved:DeleteObjects", Form::Oss),
    ("ObjectModified:ChangeStorageClass", Form::Oss),
    ("BucketQueried:GetBucketReferer", Form::Oss),
];

impl State {
    /// Makes the events of the run; they arrive over the time before the calm.
    pub(crate) fn make_events(&mut self) {
        for number in 0..self.settings.events {
            let &(event_type, form) = self.rng.pick(&TYPES);
            let (bucket, folder, ending) = (
                *self.rng.pick(&BUCKETS),
                *self.rng.pick(&FOLDERS),
                *self.rng.pick(&ENDINGS),
            );
            let ballast = if self.rng.chance(150) {
                self.rng.below(30_000)
            } else {
                0
            };
            self.events.push(SourceEvent {
                event_type: event_type.to_owned(),
                resource: format!("{bucket}/{folder}e{number:06}{ending}"),
                form,
                accepted: 0,
                told: 0,
                ballast,
            });
        }
    }

    /// One body arrives, and the next is put on the calendar.
    pub(crate) fn traffic(&mut self) {
        let first = self.events.iter().position(|event| event.told == 0);
        if self.strikes(Fault::Poison) {
            self.send_poison();
        }
        let Some(first) = first else { return };
        let count = self.rng.between(1, 4) as usize;
        let form = self.events[first].form;
        let alike = |event: &SourceEvent| {
            matches!(
                (event.form, form),
                (Form::S3(_), Form::S3(_)) | (Form::Oss, Form::Oss)
            )
        };
        let told: Vec<usize> = (first..self.events.len())
            .filter(|&number| self.events[number].told == 0 && alike(&self.events[number]))
            .take(count)
            .collect();
        self.tell(&told);
        if self.strikes(Fault::SourceDuplicate) {
            for &event in &told {
                *self.event_excuses.entry(event).or_default() += 1;
            }
            self.tell(&told);
        }
        if self.events.iter().any(|event| event.told == 0) {
            // Bursts and pauses.
            let gap = if self.rng.chance(7_000) {
                self.rng.between(0, 50)
            } else {
                self.rng.between(100, 8_000)
            };
            self.clock.at(self.clock.now + gap, Tick::Traffic);
        }
    }

    fn tell(&mut self, numbers: &[usize]) {
        let mut body = String::new();
        for &number in numbers {
            let event = &mut self.events[number];
            if event.told == 0 {
                event.accepted = self.clock.now;
            }
            event.told += 1;
            let comma = if body.is_empty() { "" } else { "," };
            let (bucket, key) = event
                .resource
                .split_once('/')
                .expect("every resource has a key");
            let ballast = "x".repeat(event.ballast);
            let time = Timestamp::from_millis(EPOCH + number as i64).to_iso();
            match event.form {
                Form::S3(name) => {
                    let key = key.replace('+', "%2B").replace(' ', "+");
                    write!(
                        body,
                        r#"{comma}{{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"us-east-1","eventTime":"{time}","eventName":"{name}","userIdentity":{{"principalId":"AWS:{ballast}"}},"requestParameters":{{"sourceIPAddress":"192.0.2.7"}},"responseElements":{{"x-amz-request-id":"R{number}"}},"s3":{{"s3SchemaVersion":"1.0","bucket":{{"name":"{bucket}","arn":"arn:aws:s3:::{bucket}"}},"object":{{"key":"{key}","size":1024,"eTag":"0f","sequencer":"{number:016X}"}}}}}}"#
                    )
                }
                Form::Oss => write!(
                    body,
                    r#"{comma}{{"eventName":"{}","eventSource":"acs:oss","eventTime":"{time}","eventVersion":"1.0","oss":{{"bucket":{{"name":"{bucket}"}},"object":{{"key":"{key}","size":7}},"ossSchemaVersion":"1.0"}},"region":"r","responseElements":{{"requestId":"R{number}"}},"unknown":"{ballast}"}}"#,
                    event.event_type
                ),
            }
            .expect("writing to a String cannot fail");
        }
        let body = match self.events[numbers[0]].form {
            Form::S3(_) => format!(r#"{{"Records":[{body}]}}"#),
            Form::Oss => format!(r#"{{"events":[{body}]}}"#),
        };
        self.note(numbers, || format!("arrives: events {numbers:?}"));
        self.enqueue(
            Stage::Ingest,
            body.into(),
            Arc::new(Holds::Events(numbers.to_vec())),
            0,
        );
    }

    fn send_poison(&mut self) {
        let number = self.poison.len();
        let (stage, body) = match self.rng.below(6) {
            0 => (
                Stage::Ingest,
                format!("poison {number}, of no shape at all {}", "?".repeat(80)),
            ),
            1 => (
                Stage::Ingest,
                format!(r#"{{"poison":{number},"Records":[{{"eventSource":"aws:s3","#),
            ),
            2 => (
                Stage::Match,
                format!(r#"{{"v":2,"poison":{number},"items":[]}}"#),
            ),
            3 => (
                Stage::Match,
                format!(r#"{{"v":1,"poison":{number},"items":[{{"product":"oss"}}]}}"#),
            ),
            4 => (
                Stage::Deliver,
                format!(r#"{{"v":7,"poison":{number},"items":[]}}"#),
            ),
            _ => (
                Stage::Deliver,
                format!(r#"{{"v":1,"poison":{number},"items":[17]}}"#),
            ),
        };
        self.poison.push(body.clone());
        self.note(&[], || format!("poison {number} arrives at {stage}"));
        self.enqueue(stage, body.into(), Arc::new(Holds::Poison), 0);
    }
}
