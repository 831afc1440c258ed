//! What was accepted lately, as ReplayEvents and PreviewEventRule read it: a window of time, page by page.

use crate::actions::deliveries::{before, moment, not_here, seal, unseal};
use crate::error::Refused;
use crate::params::Params;
use crate::service::Service;
use carillon_core::envelope::{EventPack, open_pack};
use carillon_core::event::Timestamp;
use carillon_core::ports::EventArchive;
use std::time::Duration;

/// `[since, until)`, by the time of acceptance, and how far it has been read.
pub(crate) struct Window {
    pub(crate) since: Timestamp,
    pub(crate) until: Timestamp,
    from: Option<String>,
}

impl Window {
    /// Reads `Since` and `Until` (default: now): ISO 8601, epoch milliseconds, or how long ago (`90s`, `15m`, `24h`,
    /// `7d`). `NextToken` goes on where a page ended, in the window of that page. Without `default`, one of `Since` and
    /// `NextToken` must be given.
    pub(crate) fn read(
        params: &Params,
        now: Timestamp,
        default: Option<Duration>,
    ) -> Result<Self, Refused> {
        if let Some(token) = params.text("NextToken") {
            return unseal(token).and_then(Self::resumed).ok_or_else(|| {
                Refused::argument(
                    "NextToken",
                    token,
                    "give the NextToken of the page before, unchanged",
                )
            });
        }
        let moment = |text: &str| moment(text, now);
        let since = match (params.parsed("Since", moment)?, default) {
            (Some(since), _) => since,
            (None, Some(ago)) => before(now, ago),
            (None, None) => return Err(Refused::missing("Since")),
        };
        let until = params.parsed("Until", moment)?.unwrap_or(now);
        if since > until {
            return Err(Refused::argument(
                "Since",
                &since.to_iso(),
                format!("it is after Until ({until}): give a time before it"),
            ));
        }
        Ok(Window {
            since,
            until,
            from: None,
        })
    }

    fn resumed(inner: &str) -> Option<Self> {
        let mut parts = inner.splitn(3, '.');
        let mut millis = || parts.next()?.parse().ok().map(Timestamp::from_millis);
        Some(Window {
            since: millis()?,
            until: millis()?,
            from: Some(parts.next()?.to_owned()),
        })
    }

    /// Whether this is the first page.
    pub(crate) fn begins(&self) -> bool {
        self.from.is_none()
    }
}

/// A pack of the history.
pub(crate) struct Past {
    /// The message, as it was sent to match.
    pub(crate) message: String,
    /// What it holds.
    pub(crate) pack: EventPack,
}

/// Reads a window.
pub(crate) struct History<'a> {
    archive: &'a dyn EventArchive,
    window: Window,
    ended: bool,
    reached: Timestamp,
    /// Packs that this release cannot read.
    pub(crate) unreadable: usize,
}

impl<'a> History<'a> {
    pub(crate) fn of(service: &'a Service, window: Window) -> Result<Self, Refused> {
        let archive = service
            .archive
            .as_deref()
            .ok_or_else(|| not_here("history of events"))?;
        Ok(History {
            archive,
            ended: false,
            reached: window.since,
            unreadable: 0,
            window,
        })
    }

    /// The archive it reads.
    pub(crate) fn archive(&self) -> &'a dyn EventArchive {
        self.archive
    }

    /// The next packs, oldest first, about `limit` of them. May be none before the end.
    pub(crate) async fn page(&mut self, limit: usize) -> Result<Vec<Past>, Refused> {
        let Window {
            since, until, from, ..
        } = &self.window;
        let page = self
            .archive
            .packs(*since, *until, from.as_deref(), limit)
            .await?;
        if let Some(last) = page.items.last() {
            self.reached = last.at;
        }
        self.ended = page.next.is_none();
        self.window.from = page.next;
        if self.ended {
            self.reached = self.window.until;
        }
        let mut packs = Vec::with_capacity(page.items.len());
        for kept in page.items {
            match open_pack(&kept.message) {
                Ok(pack) => packs.push(Past {
                    message: kept.message,
                    pack,
                }),
                Err(error) => {
                    tracing::warn!(at = %kept.at, %error, "a kept pack cannot be read, and is passed over");
                    self.unreadable += 1;
                }
            }
        }
        Ok(packs)
    }

    /// Whether all of the window has been read.
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }

    /// Up to when it has been read.
    pub(crate) fn reached(&self) -> Timestamp {
        self.reached
    }

    /// The `NextToken` that goes on from here; none at the end.
    pub(crate) fn token(&self) -> Option<String> {
        let Window { since, until, from } = &self.window;
        let from = from.as_ref()?;
        let (since, until) = (since.as_millis(), until.as_millis());
        Some(seal(&format!("{since}.{until}.{from}")))
    }
}
