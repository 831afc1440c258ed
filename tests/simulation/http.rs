//! HTTP endpoints, the resolver, the dialler and the signer of the simulated world.

use crate::fault::Fault;
use crate::plant::Plant;
use crate::ports::Hand;
use crate::property::Property;
use crate::world::{EPOCH, FUNCTION_TIMEOUT, State};
use carillon_core::ports::{HttpDialler, PushFailure, PushRequest, PushResponse};
use carillon_core::push::date::parse_http_date;
use carillon_core::push::guard::{AddressGuard, Host, PushUrl};
use carillon_core::push::headers::Headers;
use carillon_deliver::{Signer, SigningError, ToSign};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// Values of `Retry-After` that endpoints have been seen to send, and worse.
const WISHES: &[&str] = &[
    "0",
    "1",
    "120",
    "3600",
    "31536000",
    "99999999999999999999999999",
    "-1",
    "1.5",
    "soon",
    "",
    "Wed, 21 Oct 2015 07:28:00 GMT",
    "Fri, 31 Dec 9999 23:59:59 GMT",
];

/// Keyed, and changed by any bit of what it covers: enough to tell whether what arrives is what was signed. The real
/// signatures are held against their vectors where they are made.
fn seal(key: usize, target: &str, headers: &[(&'static str, String)], body: &str) -> String {
    let mut lines: Vec<String> = headers
        .iter()
        .filter(|(name, _)| *name != "authorization")
        .map(|(name, value)| format!("{name}:{value}"))
        .collect();
    lines.sort();
    let mut hash = 0xCBF2_9CE4_8422_2325_u64 ^ key as u64;
    for byte in target
        .bytes()
        .chain(lines.join("\n").bytes())
        .chain(body.bytes())
    {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
    }
    format!("{key}:{hash:016x}")
}

#[async_trait::async_trait]
impl Signer for Hand {
    async fn sign(&self, what: ToSign<'_>, headers: &mut Headers) -> Result<(), SigningError> {
        self.pause().await;
        let mut state = self.world.lock();
        if state.strikes_in(self.environment, Fault::SigningDown) {
            return Err(SigningError("the key store does not answer".into()));
        }
        if state.planted(Plant::StaleDate) {
            for (name, value) in headers.iter_mut().filter(|(name, _)| *name == "date") {
                *value = carillon_core::push::date::http_date(what.notification.published);
                let _ = name;
            }
        }
        let newest = state.keys.len() - 1;
        let key = if state.planted(Plant::RetiredKey) {
            0
        } else {
            newest
        };
        headers.push(("authorization", seal(key, what.target, headers, what.body)));
        Ok(())
    }
}

/// What the endpoint does with one push.
enum Answer {
    Status(u16, Option<&'static str>),
    Failure(PushFailure),
    /// Processed or not, nothing is heard in time.
    Silence {
        processed: bool,
    },
    /// Processed, then the connection breaks.
    Torn,
    /// The dialler itself never comes back.
    Never,
}

#[async_trait::async_trait]
impl HttpDialler for Hand {
    async fn push(&self, mut request: PushRequest) -> Result<PushResponse, PushFailure> {
        self.pause().await;
        let (answer, latency, who) = {
            let mut state = self.world.lock();
            crate::planted::spoil_push(&mut request, &state);
            let url = match self.resolve(&mut state, &request) {
                Ok(url) => url,
                Err(refusal) => return Err(PushFailure::Refused(refusal)),
            };
            let Some(subscription) = subscription_of(&url, &state) else {
                return Err(PushFailure::Dns("no such name".into()));
            };
            let Some(event) = state.check_body(subscription, &request.body) else {
                return Err(PushFailure::Broken("no event".into()));
            };
            state.check_push(self.environment, event, subscription);
            state.check_signature(event, &url, &request);
            let answer = self.answer(&mut state, subscription);
            let slow = state.strikes_in(self.environment, Fault::HttpSlow);
            let limit = u64::try_from(request.timeout.as_millis()).unwrap_or(u64::MAX);
            let latency = if slow {
                limit - 1
            } else {
                state.rng.between(1, 200)
            };
            (answer, latency, (event, subscription))
        };
        let timeout = u64::try_from(request.timeout.as_millis()).unwrap_or(u64::MAX);
        match answer {
            Answer::Status(status, wish) => {
                self.sleep(latency).await;
                self.heard(status, wish, who);
                // Processed, and the answer is on its way: here the function may die.
                self.pause().await;
                self.told(status, who);
                let excerpt = if status < 400 { "ok" } else { "no" }.to_owned();
                let status = if self.world.lock().planted(Plant::ErrorIsSuccess) {
                    200
                } else {
                    status
                };
                Ok(PushResponse {
                    status,
                    retry_after: wish.map(str::to_owned),
                    date: None,
                    excerpt,
                })
            }
            Answer::Failure(failure) => {
                self.sleep(latency).await;
                Err(failure)
            }
            Answer::Torn => {
                self.sleep(latency).await;
                self.take_unheard(who);
                Err(PushFailure::Broken("connection reset".into()))
            }
            Answer::Silence { processed } => {
                self.sleep(latency).await;
                if processed {
                    self.take_unheard(who);
                }
                self.sleep(timeout.saturating_sub(latency)).await;
                if self.world.lock().planted(Plant::TimeoutIsSuccess) {
                    return Ok(PushResponse {
                        status: 200,
                        ..PushResponse::default()
                    });
                }
                Err(PushFailure::Timeout(request.timeout))
            }
            Answer::Never => {
                self.sleep(10 * FUNCTION_TIMEOUT).await;
                Err(PushFailure::Timeout(Duration::from_secs(0)))
            }
        }
    }
}

impl Hand {
    fn heard(&self, status: u16, wish: Option<&str>, (event, subscription): (usize, usize)) {
        let mut state = self.world.lock();
        let state = &mut *state;
        state.note(&[event], || {
            format!("endpoint {subscription} answers {status}, Retry-After {wish:?}")
        });
        if (200..300).contains(&status)
            || ((300..400).contains(&status) && state.redirect_is_success)
        {
            // Excused until the answer has been heard.
            state.fate(event, subscription).excuses += 1;
            state.accept(event, subscription);
        } else if let (Some(_), Some(running)) =
            (wish, &mut state.environments[self.environment].running)
        {
            running.wishes.insert((event, subscription));
        }
        if (300..400).contains(&status) && state.planted(Plant::FollowsRedirects) {
            state.check_dial(event, IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)));
        }
    }

    /// The answer reaches the handler.
    fn told(&self, status: u16, (event, subscription): (usize, usize)) {
        let mut state = self.world.lock();
        if (200..300).contains(&status)
            || ((300..400).contains(&status) && state.redirect_is_success)
        {
            state.fate(event, subscription).excuses -= 1;
            state.heard_success(self.environment, event, subscription);
        }
    }

    fn take_unheard(&self, (event, subscription): (usize, usize)) {
        let mut state = self.world.lock();
        state.accept(event, subscription);
        state.fate(event, subscription).excuses += 1;
    }

    /// As a dialler must: the URL is judged, then every address of its name, then the first is dialled.
    fn resolve(&self, state: &mut State, request: &PushRequest) -> Result<PushUrl, String> {
        let guard = AddressGuard::default();
        let url = PushUrl::parse(&request.url).map_err(|error| error.to_string())?;
        guard.check_url(&url).map_err(|error| error.to_string())?;
        let Host::Name(name) = url.host() else {
            return Ok(url);
        };
        // Names under somebody's control answer differently each time.
        let rebinding = name.contains("rebind") && state.clock.now < state.calm_at;
        let addresses: Vec<IpAddr> = if rebinding {
            rebound(state)
        } else {
            vec![PUBLIC]
        };
        let dialled = if rebinding {
            addresses[state.rng.below(addresses.len())]
        } else {
            PUBLIC
        };
        let judged = if state.planted(Plant::ChecksFirstAddressOnly) {
            &addresses[..1]
        } else {
            &addresses[..]
        };
        for &address in judged {
            guard
                .check_address(address)
                .map_err(|error| error.to_string())?;
        }
        state.check_dial(usize::MAX, dialled);
        Ok(url)
    }

    fn answer(&self, state: &mut State, subscription: usize) -> Answer {
        let here = self.environment;
        let out_until = state.known[subscription].out_until;
        // What never comes back stays away when the weather is calm, too.
        if state.clock.now < out_until && (out_until == u64::MAX || state.clock.now < state.calm_at)
        {
            state.fault_in(here);
            return Answer::Status(503, None);
        }
        if state.strikes_in(here, Fault::DiallerHangs) {
            return Answer::Never;
        }
        if state.strikes_in(here, Fault::HttpHangs) {
            return Answer::Silence {
                processed: state.rng.chance(5_000),
            };
        }
        if state.strikes_in(here, Fault::HttpResetBefore) {
            return Answer::Failure(PushFailure::Broken("connection reset".into()));
        }
        if state.strikes_in(here, Fault::HttpResetAfter) {
            return Answer::Torn;
        }
        if state.strikes_in(here, Fault::NoConnection) {
            let why = || "refused".to_owned();
            return Answer::Failure(match state.rng.below(3) {
                0 => PushFailure::Dns(why()),
                1 => PushFailure::Connect(why()),
                _ => PushFailure::Tls(why()),
            });
        }
        if state.strikes_in(here, Fault::HttpThrottled) {
            let wish = *state.rng.pick(WISHES);
            return Answer::Status(if state.rng.chance(5_000) { 429 } else { 503 }, Some(wish));
        }
        if state.strikes_in(here, Fault::HttpRedirect) {
            return Answer::Status(*state.rng.pick(&[301, 302, 307, 308, 304]), None);
        }
        if state.strikes_in(here, Fault::HttpGone) {
            return Answer::Status(410, None);
        }
        if state.strikes_in(here, Fault::HttpError) {
            if state.rng.chance(2_000) {
                state.known[subscription].out_until =
                    state.clock.now + state.rng.between(1_000, 600_000);
            }
            return Answer::Status(
                *state.rng.pick(&[
                    400, 401, 403, 404, 408, 409, 413, 418, 500, 502, 503, 504, 599,
                ]),
                None,
            );
        }
        Answer::Status(*state.rng.pick(&[200, 201, 202, 204]), None)
    }
}

const PUBLIC: IpAddr = IpAddr::V4(Ipv4Addr::new(93, 184, 216, 34));

fn rebound(state: &mut State) -> Vec<IpAddr> {
    let v4 = |a, b, c, d| IpAddr::V4(Ipv4Addr::new(a, b, c, d));
    let foul = [
        v4(127, 0, 0, 1),
        v4(10, 0, 0, 7),
        v4(169, 254, 169, 254),
        v4(192, 168, 1, 1),
        v4(0, 0, 0, 0),
        v4(100, 64, 0, 1),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
        IpAddr::V6(Ipv4Addr::new(127, 0, 0, 1).to_ipv6_mapped()),
        IpAddr::V6("fd00:ec2::254".parse().expect("it is an address")),
    ];
    match state.rng.below(3) {
        0 => vec![PUBLIC],
        1 => vec![*state.rng.pick(&foul)],
        _ => vec![PUBLIC, *state.rng.pick(&foul)],
    }
}

/// Whether an address is the world's to dial, told apart from the guard by its first bytes alone.
fn is_special(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            matches!(a, 0 | 10 | 127 | 224..=255)
                || (a, b) == (169, 254)
                || (a, b) == (192, 168)
                || a == 172 && (16..32).contains(&b)
                || a == 100 && (64..128).contains(&b)
        }
        IpAddr::V6(v6) => v6
            .to_ipv4_mapped()
            .map_or(v6.segments()[0] & 0xE000 != 0x2000, |v4| {
                is_special(IpAddr::V4(v4))
            }),
    }
}

fn subscription_of(url: &PushUrl, state: &State) -> Option<usize> {
    let Host::Name(name) = url.host() else {
        return None;
    };
    let digits: String = name
        .chars()
        .skip_while(|c| !c.is_ascii_digit())
        .take_while(char::is_ascii_digit)
        .collect();
    digits
        .parse()
        .ok()
        .filter(|number| *number < state.known.len())
}

impl State {
    fn check_dial(&mut self, event: usize, address: IpAddr) {
        if is_special(address) {
            self.violate(
                Property::GuardedDials,
                Some(event),
                format!("{address} was dialled"),
            );
        }
    }

    fn check_signature(&mut self, event: usize, url: &PushUrl, request: &PushRequest) {
        let header = |name: &str| {
            request
                .headers
                .iter()
                .find(|(have, _)| *have == name)
                .map(|(_, value)| value.as_str())
        };
        let now = self.clock.now;
        let sent = header("authorization").unwrap_or_default();
        let key: Option<usize> = sent
            .split(':')
            .next()
            .and_then(|digits| digits.parse().ok());
        let good = key.filter(|key| {
            self.keys
                .get(*key)
                .is_some_and(|(from, until)| (*from..=*until).contains(&now))
                && seal(*key, url.target(), &request.headers, &request.body) == sent
        });
        if good.is_none() {
            self.violate(
                Property::Signature,
                Some(event),
                format!("the signature {sent:?} does not hold"),
            );
        }
        let date = header("date").and_then(parse_http_date);
        let off = date.map(|date| {
            (date.as_millis() - EPOCH).abs_diff(i64::try_from(now).unwrap_or(i64::MAX))
        });
        if off.is_none_or(|off| off > FUNCTION_TIMEOUT + 3_000) {
            self.violate(
                Property::Signature,
                Some(event),
                format!("a date {off:?} ms off"),
            );
        }
    }
}
