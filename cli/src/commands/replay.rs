//! `carillon replay`: accepted events through the rules once more.

use crate::client::{Client, ServiceArgs};
use crate::failure::{Failure, Outcome};
use crate::output::{DIM, GOOD, complain, plain, print_json, say};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Events that one request looks at, about.
const PAGE: u64 = 5_000;
/// Where nobody watches a bar, the place to go on from is printed this often.
const NOTE: Duration = Duration::from_secs(5);

/// Send accepted events again, under the same message ids.
///
/// With --rule, that rule alone is told, of the events that it covers by the rules of now; without it, the events are
/// judged as if they came in now. Receivers know copies by their ids.
#[derive(Debug, Args)]
pub(crate) struct Replay {
    #[command(flatten)]
    service: ServiceArgs,
    /// Events accepted since then: a time (ISO 8601), or how long ago (90s, 15m, 24h, 7d).
    #[arg(long, value_name = "TIME", required_unless_present = "from")]
    since: Option<String>,
    /// Events accepted before then; by default all up to now.
    #[arg(long, value_name = "TIME", conflicts_with = "from")]
    until: Option<String>,
    /// Tell this rule alone.
    #[arg(long, value_name = "RULE")]
    rule: Option<String>,
    /// Only events of this product; with --rule, oss unless given.
    #[arg(long, value_name = "PRODUCT")]
    product: Option<String>,
    /// Only events of this bucket.
    #[arg(long, value_name = "BUCKET")]
    bucket: Option<String>,
    /// Send nothing, only count.
    #[arg(long)]
    dry_run: bool,
    /// Send at most about this many events a second.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    rate: Option<u64>,
    /// Stop after looking at about this many events, and tell where to go on.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Go on where a replay stopped, in the window of that one: what it printed.
    #[arg(long, value_name = "CURSOR", conflicts_with = "since")]
    from: Option<String>,
}

/// How far a replay has come.
#[derive(Default)]
struct Progress {
    window: Option<(String, String)>,
    reached: String,
    oldest: Option<String>,
    events: u64,
    replayed: u64,
    unreadable: u64,
    too_large: u64,
    next: Option<String>,
}

impl Replay {
    pub(crate) fn run(&self) -> Outcome {
        let client = self.service.client()?;
        let stop = stop_on_interrupt();
        let bar = self.bar();
        let began = Instant::now();
        let mut noted = began;
        let mut done = Progress {
            next: self.from.clone(),
            ..Progress::default()
        };
        loop {
            if let Err(failure) = self.page(&client, &mut done) {
                bar.finish_and_clear();
                return Err(match &done.next {
                    Some(next) => failure.with(&format!("go on with --from {next}")),
                    None => failure,
                });
            }
            show(&bar, &done);
            let enough = self.limit.is_some_and(|limit| done.events >= limit);
            let Some(next) = done.next.as_ref().filter(|_| !enough) else {
                break;
            };
            if bar.is_hidden() && noted.elapsed() >= NOTE {
                noted = Instant::now();
                complain!("{DIM}at {}: go on with --from {next}{DIM:#}", done.reached);
            }
            self.rest(began, done.replayed, &stop);
            if stop.load(Ordering::Relaxed) {
                break;
            }
        }
        bar.finish_and_clear();
        self.report(&done);
        if stop.load(Ordering::Relaxed) && done.next.is_some() {
            return Err(Failure::Refused("stopped before the end".to_owned()));
        }
        Ok(())
    }

    /// Asks for one page.
    fn page(&self, client: &Client, done: &mut Progress) -> Result<(), Failure> {
        let mut most = self.rate.map_or(PAGE, |rate| rate.min(PAGE));
        if let Some(limit) = self.limit {
            most = most.min(limit - done.events);
        }
        let mut parameters = vec![("MaxEvents", most.to_string())];
        let options = [
            ("RuleName", &self.rule),
            ("ProductName", &self.product),
            ("ResourceName", &self.bucket),
        ];
        let place = match &done.next {
            Some(_) => [("NextToken", &done.next), ("", &None)],
            None => [("Since", &self.since), ("Until", &self.until)],
        };
        parameters.extend(
            options
                .into_iter()
                .chain(place)
                .filter_map(|(name, value)| Some((name, value.clone()?))),
        );
        if self.dry_run {
            parameters.push(("DryRun", "true".to_owned()));
        }
        let data = client.action("ReplayEvents", &parameters)?;
        let count = |member: &str| data[member].as_u64().unwrap_or(0);
        let text = |member: &str| data[member].as_str().map(str::to_owned);
        done.events += count("Events");
        done.replayed += count("Replayed");
        done.unreadable += count("Unreadable");
        done.too_large += count("TooLarge");
        done.window = text("Since").zip(text("Until"));
        done.reached = plain(&data["Reached"]);
        done.oldest = done.oldest.take().or_else(|| text("Oldest"));
        done.next = text("NextToken");
        Ok(())
    }

    /// Keeps to the rate.
    fn rest(&self, began: Instant, replayed: u64, stop: &AtomicBool) {
        let Some(rate) = self.rate else { return };
        let due = began + Duration::from_secs_f64(replayed as f64 / rate as f64);
        while !stop.load(Ordering::Relaxed) {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            // In slices, so that an interrupt is heard.
            std::thread::sleep(left.min(Duration::from_millis(100)));
        }
    }

    /// A bar over the window's time, on a terminal alone.
    fn bar(&self) -> ProgressBar {
        let target = if self.service.json || !std::io::stderr().is_terminal() {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let style = ProgressStyle::with_template("{msg} {wide_bar} {percent}%")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        ProgressBar::with_draw_target(Some(1), target).with_style(style)
    }

    fn report(&self, done: &Progress) {
        if self.service.json {
            let (since, until) = done.window.clone().unzip();
            print_json(&json!({
                "events": done.events,
                "replayed": done.replayed,
                "dryRun": self.dry_run,
                "unreadable": done.unreadable,
                "tooLarge": done.too_large,
                "since": since,
                "until": until,
                "reached": done.reached,
                "oldest": done.oldest,
                "next": done.next,
            }));
            return;
        }
        let what = if self.dry_run {
            "would replay"
        } else {
            "replayed"
        };
        let (since, _) = done.window.clone().unwrap_or_default();
        say!(
            "{GOOD}{what}{GOOD:#} {} of the {} events accepted from {since} to {}",
            done.replayed,
            done.events,
            done.reached
        );
        if let Some(oldest) = done.oldest.as_ref().filter(|oldest| **oldest > since) {
            say!("{DIM}events are kept from {oldest} on{DIM:#}");
        }
        if done.unreadable > 0 {
            complain!(
                "{} packs of events could not be read: the service's log names them",
                done.unreadable
            );
        }
        if done.too_large > 0 {
            complain!(
                "{} events are too large to be sent for one rule: replay them without --rule",
                done.too_large
            );
        }
        if let Some(next) = &done.next {
            say!("{DIM}there is more: go on with{DIM:#} --from {next}");
        }
    }
}

/// Moves the bar to the time reached.
fn show(bar: &ProgressBar, done: &Progress) {
    use carillon_core::event::Timestamp;
    let millis = |text: &str| Timestamp::parse(text).map_or(0, Timestamp::as_millis);
    let Some((since, until)) = &done.window else {
        return;
    };
    // What is not kept any more is no part of the way.
    let from = done.oldest.as_deref().map_or(0, millis).max(millis(since));
    let length = u64::try_from(millis(until) - from).unwrap_or(1).max(1);
    let position = u64::try_from(millis(&done.reached) - from).unwrap_or(0);
    bar.set_length(length);
    bar.set_position(position.min(length));
    bar.set_message(format!("{} of {} events", done.replayed, done.events));
}

/// Becomes true when the person interrupts: the replay then ends with the page it is at, and tells where to go on.
fn stop_on_interrupt() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let told = stop.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        // Without it an interrupt ends the command at once, as ever.
        if let Ok(runtime) = runtime
            && runtime.block_on(tokio::signal::ctrl_c()).is_ok()
        {
            told.store(true, Ordering::Relaxed);
        }
    });
    stop
}
