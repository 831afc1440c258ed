//! `carillon bucket`: a bucket's notifications, read, changed in our own entries alone, and read again.

use super::access::Access;
use super::deployed::Deployed;
use super::notification::{ALL_EVENTS, Configuration, Entry};
use super::s3::S3;
use super::{AttachArgs, ChangeArgs, DetachArgs, ListArgs, Road};
use crate::failure::{Failure, Outcome};
use crate::output::{DIM, GOOD, complain, print_json, print_table, say};
use serde_json::{Value, json};
use sha2::Digest as _;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::time::Duration;

/// How often a change is made anew when somebody else's write took it away.
const ROUNDS: u32 = 4;
/// Reads after a write until it must be seen: S3 may answer with what was for a moment.
const READS: u32 = 4;
/// Pause between them.
const PAUSE: Duration = Duration::from_millis(500);

/// What is to become of a bucket's notifications.
struct Plan {
    xml: String,
    /// Lines for a person; none: nothing changes.
    lines: Vec<String>,
}

/// What the command wants, whatever the configuration is.
enum Wish {
    /// This entry of ours, and no other of its name.
    Told(Entry),
    /// No entry of this stack's.
    NotTold { queue: String, id: String },
    /// EventBridge is told, or not.
    EventBridge(bool),
}

impl Wish {
    fn holds_in(&self, configuration: &Configuration) -> bool {
        match self {
            Wish::Told(entry) => configuration
                .entries
                .iter()
                .any(|held| held.says_the_same_as(entry)),
            Wish::NotTold { .. } => self.ours(configuration).is_empty(),
            Wish::EventBridge(on) => configuration.tells_eventbridge() == *on,
        }
    }

    /// The entries that this wish replaces or takes away. One with our name but another destination is somebody else's.
    fn ours<'a>(&self, configuration: &'a Configuration) -> Vec<&'a Entry> {
        let entries = configuration.entries.iter();
        match self {
            Wish::Told(wish) => entries
                .filter(|held| held.id == wish.id && held.destination == wish.destination)
                .collect(),
            Wish::NotTold { queue, id } => entries
                .filter(|held| held.destination == *queue && belongs(&held.id, id))
                .collect(),
            Wish::EventBridge(_) => Vec::new(),
        }
    }

    fn plan(&self, bucket: &str, configuration: &Configuration) -> Result<Plan, Failure> {
        if self.holds_in(configuration) {
            let (xml, lines) = (String::new(), Vec::new());
            return Ok(Plan { xml, lines });
        }
        let ours = self.ours(configuration);
        let mut lines: Vec<String> = ours
            .iter()
            .map(|entry| format!("- {}", entry.describe()))
            .collect();
        let xml = match self {
            Wish::Told(entry) => {
                if let Some(held) = configuration.in_the_way_of(entry, &ours) {
                    return Err(Failure::Refused(format!(
                        "bucket {bucket:?} tells somebody already of some of the same events of the same objects, and S3 has \
                         no two for one:\n  there:  {}\n  wanted: {}\nNarrow --event, --prefix or --suffix; or use --by \
                         eventbridge, which conflicts with nothing; or, where that destination is a topic of SNS, subscribe \
                         the events queue to it",
                        held.describe(),
                        entry.describe()
                    )));
                }
                lines.push(format!("+ {}", entry.describe()));
                configuration.changed(&ours, std::slice::from_ref(entry))
            }
            Wish::NotTold { .. } => configuration.changed(&ours, &[]),
            Wish::EventBridge(on) => {
                let sign = if *on { '+' } else { '-' };
                lines.push(format!("{sign} EventBridge is told of every event"));
                configuration.with_eventbridge(*on)
            }
        };
        Ok(Plan { xml, lines })
    }
}

/// Whether an entry's id is of this stack's making: its own, or its own with a mark for a filter.
fn belongs(held: &str, id: &str) -> bool {
    held == id
        || held
            .strip_prefix(id)
            .and_then(|rest| rest.strip_prefix('-'))
            .is_some_and(|mark| mark.len() == 8 && mark.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// The id of the entry with these ends: one entry for each pair of them.
fn id(stack: &str, prefix: &str, suffix: &str) -> String {
    if prefix.is_empty() && suffix.is_empty() {
        return format!("carillon-{stack}");
    }
    let hash = sha2::Sha256::digest(format!("{prefix}\0{suffix}"));
    let mark: String = hash[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("carillon-{stack}-{mark}")
}

pub(super) fn attach(args: &AttachArgs) -> Outcome {
    let access = Access::find()?;
    let stack = Deployed::find(&access, &args.stack.stack)?;
    let s3 = S3 {
        access: &access,
        account: stack.account(),
    };
    if stack
        .output("EventBucketName")
        .is_ok_and(|own| own == args.bucket)
    {
        return Err(Failure::Refused(format!(
            "bucket {:?} is where stack {:?} keeps accepted events: each would be kept there, told of, and kept again, without \
             end. Attach the buckets whose events you want",
            args.bucket, stack.name
        )));
    }
    let over_bus = stack.parameter("EventBridgeSource") == "true";
    let before = s3.notifications(&args.bucket)?;
    let wish = match args.by {
        Road::Queue if over_bus && before.tells_eventbridge() => {
            return Err(Failure::Refused(format!(
                "bucket {:?} tells EventBridge, and stack {:?} listens there: a second road would tell each event twice. \
                 Close that one first: carillon bucket detach {} --by eventbridge",
                args.bucket, stack.name, args.bucket
            )));
        }
        Road::Queue => {
            let events = if args.events.is_empty() {
                ALL_EVENTS.iter().map(|event| (*event).to_owned()).collect()
            } else {
                args.events.iter().map(|event| full_name(event)).collect()
            };
            Wish::Told(Entry::queue(
                id(&stack.name, &args.prefix, &args.suffix),
                stack.output("EventsQueueArn")?,
                events,
                &args.prefix,
                &args.suffix,
            ))
        }
        Road::Eventbridge => {
            if !over_bus {
                return Err(Failure::Refused(format!(
                    "stack {:?} does not listen to EventBridge: deploy it with EventBridgeSource=true first",
                    stack.name
                )));
            }
            if !args.events.is_empty() || !args.prefix.is_empty() || !args.suffix.is_empty() {
                return Err(Failure::Unusable(
                    "EventBridge is told of everything or nothing: leave out --event, --prefix and --suffix, and let rules \
                     choose"
                        .into(),
                ));
            }
            let queue = stack.output("EventsQueueArn")?.to_owned();
            let direct = Wish::NotTold {
                queue,
                id: id(&stack.name, "", ""),
            };
            if !direct.holds_in(&before) {
                return Err(Failure::Refused(format!(
                    "bucket {:?} tells the stack's queue already: a second road would tell each event twice. Close that one \
                     first: carillon bucket detach {} --stack {}",
                    args.bucket, args.bucket, stack.name
                )));
            }
            Wish::EventBridge(true)
        }
    };
    change(
        &s3,
        &args.bucket,
        before,
        &wish,
        args.change,
        args.stack.json,
    )
}

pub(super) fn detach(args: &DetachArgs) -> Outcome {
    let access = Access::find()?;
    let stack = Deployed::find(&access, &args.stack.stack)?;
    let s3 = S3 {
        access: &access,
        account: stack.account(),
    };
    let wish = match args.by {
        Road::Queue => Wish::NotTold {
            queue: stack.output("EventsQueueArn")?.to_owned(),
            id: id(&stack.name, "", ""),
        },
        Road::Eventbridge => Wish::EventBridge(false),
    };
    let before = s3.notifications(&args.bucket)?;
    change(
        &s3,
        &args.bucket,
        before,
        &wish,
        args.change,
        args.stack.json,
    )
}

/// `ObjectCreated:*` and `s3:ObjectCreated:*` are one.
fn full_name(event: &str) -> String {
    if event.starts_with("s3:") {
        event.to_owned()
    } else {
        format!("s3:{event}")
    }
}

/// Shows the plan, makes the change and sees that it stands.
fn change(
    s3: &S3<'_>,
    bucket: &str,
    mut seen: Configuration,
    wish: &Wish,
    how: ChangeArgs,
    as_json: bool,
) -> Outcome {
    let plan = wish.plan(bucket, &seen)?;
    let print = |done: bool, lines: &[String]| {
        if as_json {
            print_json(&json!({"Bucket": bucket, "Changed": done, "Plan": lines}));
        }
    };
    if plan.lines.is_empty() {
        print(false, &[]);
        if !as_json {
            say!("bucket {bucket}: nothing to change");
        }
        return Ok(());
    }
    if !as_json {
        say!("bucket {bucket}:");
        for line in &plan.lines {
            say!("  {line}");
        }
        let others = seen.entries.len() - wish.ours(&seen).len();
        say!("{DIM}  {others} entries of others stay as they are, to the byte{DIM:#}");
    }
    if how.dry_run {
        print(false, &plan.lines);
        return Ok(());
    }
    if !how.yes && !agreed()? {
        return Err(Failure::Refused("nothing was changed".into()));
    }
    for _ in 0..ROUNDS {
        // Read as shortly before the write as can be: the write has no condition.
        let fresh = s3.notifications(bucket)?;
        if !fresh.holds_the_same_as(&seen) {
            complain!(
                "bucket {bucket}: somebody changed its notifications meanwhile; theirs are kept"
            );
        }
        seen = fresh;
        let now = wish.plan(bucket, &seen)?;
        if now.lines.is_empty() {
            break;
        }
        s3.set_notifications(bucket, &now.xml)?;
        let wanted = Configuration::read(&now.xml)
            .map_err(|error| Failure::Unusable(format!("our own text cannot be read: {error}")))?;
        match settle(s3, bucket, wish, &wanted)? {
            Settled::Stands => {
                print(true, &plan.lines);
                if !as_json {
                    say!("{GOOD}done{GOOD:#}, and read back");
                }
                return Ok(());
            }
            Settled::Others(now) => {
                // Ours stands; somebody else wrote after it, from what they had read with ours in it.
                print(true, &plan.lines);
                complain!(
                    "bucket {bucket}: done; somebody else changed other entries at the same moment, so look at them: \
                     {} entries now",
                    now.entries.len()
                );
                return Ok(());
            }
            Settled::Lost => {
                complain!("bucket {bucket}: somebody else's write took the change away; once more");
            }
        }
    }
    if wish.holds_in(&s3.notifications(bucket)?) {
        print(true, &plan.lines);
        return Ok(());
    }
    Err(Failure::Refused(format!(
        "bucket {bucket:?}: somebody else keeps writing its notifications, so that this change was lost {ROUNDS} times: \
         find out who (CloudTrail: PutBucketNotification), then try again"
    )))
}

enum Settled {
    Stands,
    Others(Configuration),
    Lost,
}

/// Reads until the change is seen.
fn settle(
    s3: &S3<'_>,
    bucket: &str,
    wish: &Wish,
    wanted: &Configuration,
) -> Result<Settled, Failure> {
    for read in 0..READS {
        if read > 0 {
            std::thread::sleep(PAUSE);
        }
        let now = s3.notifications(bucket)?;
        if now.holds_the_same_as(wanted) {
            return Ok(Settled::Stands);
        }
        if wish.holds_in(&now) {
            return Ok(Settled::Others(now));
        }
    }
    Ok(Settled::Lost)
}

/// Asks whoever sits there.
fn agreed() -> Result<bool, Failure> {
    let input = std::io::stdin();
    if !input.is_terminal() {
        return Err(Failure::Unusable(
            "nobody is here to ask: give --yes, or --dry-run to look".into(),
        ));
    }
    let mut error = anstream::stderr();
    let _ = write!(error, "Change it? [y/N] ");
    let mut line = String::new();
    input
        .lock()
        .read_line(&mut line)
        .map_err(|error| Failure::Unusable(format!("no answer could be read: {error}")))?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}

pub(super) fn list(args: &ListArgs) -> Outcome {
    let access = Access::find()?;
    let stack = Deployed::find(&access, &args.stack.stack)?;
    let s3 = S3 {
        access: &access,
        account: stack.account(),
    };
    let queue = stack.output("EventsQueueArn")?;
    let over_bus = stack.parameter("EventBridgeSource") == "true";
    let buckets = if args.buckets.is_empty() {
        s3.buckets()?
    } else {
        args.buckets.clone()
    };
    let mut rows: Vec<(String, &str, String)> = Vec::new();
    let mut unseen = 0;
    for bucket in buckets {
        let configuration = match s3.notifications(&bucket) {
            Ok(configuration) => configuration,
            Err(error) => {
                complain!("{error}");
                unseen += 1;
                continue;
            }
        };
        let direct = configuration
            .entries
            .iter()
            .filter(|entry| entry.destination == queue);
        rows.extend(direct.map(|entry| (bucket.clone(), "queue", entry.describe())));
        if over_bus && configuration.tells_eventbridge() {
            rows.push((bucket, "eventbridge", "everything".to_owned()));
        }
    }
    if args.stack.json {
        let rows: Vec<Value> = rows
            .into_iter()
            .map(|(bucket, by, what)| json!({"Bucket": bucket, "By": by, "What": what}))
            .collect();
        print_json(&rows.into());
    } else {
        let rows = rows
            .into_iter()
            .map(|(bucket, by, what)| vec![bucket, by.to_owned(), what])
            .collect();
        print_table(&["bucket", "by", "what"], rows);
    }
    if unseen > 0 {
        return Err(Failure::Refused(format!(
            "{unseen} buckets could not be looked at"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_tell_ours_from_those_of_a_stack_with_a_longer_name() {
        assert_eq!(id("s", "", ""), "carillon-s");
        let marked = id("s", "in/", ".jpg");
        assert!(belongs(&marked, "carillon-s"), "{marked}");
        assert_ne!(marked, id("s", "in/", ".png"));
        assert!(belongs("carillon-s", "carillon-s"));
        assert!(!belongs("carillon-s-events", "carillon-s"));
        assert!(!belongs("carillon-sx", "carillon-s"));
    }
}
