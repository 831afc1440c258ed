//! The command's side of the service's HTTP doors: management actions, the queue interface, direct publish.

mod queue;
mod sign;

pub(crate) use queue::QueueMessage;
pub(crate) use sign::Keys;

use crate::failure::Failure;
use serde_json::Value;
use std::time::Duration;
use ureq::http::{Request, Response};

/// Which service to talk to, and as whom. Every command that needs a service takes these.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ServiceArgs {
    /// The service's address.
    #[arg(
        long,
        value_name = "URL",
        env = "CARILLON_ENDPOINT",
        default_value = "http://127.0.0.1:9324",
        global = true
    )]
    endpoint: String,
    /// Talk to this stack on AWS instead: its address stands in its outputs, and requests are signed with your AWS
    /// credentials where AWS checks who asks.
    #[arg(long, value_name = "NAME", global = true)]
    stack: Option<String>,
    /// Id of the access key, when the service wants signed requests.
    #[arg(
        long,
        value_name = "ID",
        env = "CARILLON_ACCESS_KEY_ID",
        hide_env_values = true,
        global = true
    )]
    access_key_id: Option<String>,
    /// Secret of the access key.
    #[arg(
        long,
        value_name = "SECRET",
        env = "CARILLON_ACCESS_KEY_SECRET",
        hide_env_values = true,
        global = true
    )]
    access_key_secret: Option<String>,
    /// Print JSON, for programs.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

impl ServiceArgs {
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        let keys = match (&self.access_key_id, &self.access_key_secret) {
            (Some(id), Some(secret)) => Some(Keys {
                id: id.clone(),
                secret: secret.clone(),
            }),
            (None, None) => None,
            _ => {
                return Err(Failure::Unusable(
                    "give both CARILLON_ACCESS_KEY_ID and CARILLON_ACCESS_KEY_SECRET, or neither"
                        .into(),
                ));
            }
        };
        match &self.stack {
            Some(stack) => crate::stack::client(stack, keys),
            None => Client::new(&self.endpoint, keys),
        }
    }
}

/// Most bytes of an answer.
const LARGEST_ANSWER: u64 = 256 * 1024 * 1024;
/// The headers that another door than Carillon's own wants, by method, URL, headers and body.
pub(crate) type SignAlso = Box<
    dyn Fn(&str, &str, &[(&'static str, String)], &[u8]) -> Result<Vec<(String, String)>, Failure>
        + Send
        + Sync,
>;

/// A client of one service.
pub(crate) struct Client {
    base: String,
    host: String,
    keys: Option<Keys>,
    sign_also: Option<SignAlso>,
    agent: ureq::Agent,
}

impl Client {
    /// A client of the service at `endpoint`.
    pub(crate) fn new(endpoint: &str, keys: Option<Keys>) -> Result<Self, Failure> {
        let wrong = |why: &str| {
            Failure::Unusable(format!(
                "--endpoint {endpoint:?} cannot be used: {why}; write it like http://127.0.0.1:9324"
            ))
        };
        let uri: ureq::http::Uri = endpoint.parse().map_err(|_| wrong("it is no URL"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(wrong("it must begin with http:// or https://"));
        }
        let host = uri
            .authority()
            .ok_or_else(|| wrong("it names no host"))?
            .to_string();
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            // No proxy from the environment: the service is where the endpoint says.
            .proxy(None)
            .max_redirects(0)
            .timeout_connect(Some(Duration::from_secs(5)))
            .timeout_global(Some(Duration::from_secs(60)))
            .build();
        Ok(Client {
            base: endpoint.trim_end_matches('/').to_owned(),
            host,
            keys,
            sign_also: None,
            agent: config.into(),
        })
    }

    /// The same client, for a door that AWS guards.
    #[cfg(feature = "aws")]
    pub(crate) fn signing(self, sign: SignAlso) -> Self {
        Client {
            sign_also: Some(sign),
            ..self
        }
    }

    /// Performs a management action; gives its `Data`.
    pub(crate) fn action(
        &self,
        action: &str,
        parameters: &[(&str, String)],
    ) -> Result<Value, Failure> {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(parameters)
            .finish();
        let mut headers = vec![
            (
                "content-type",
                "application/x-www-form-urlencoded".to_owned(),
            ),
            ("x-acs-action", action.to_owned()),
            ("x-acs-version", "2022-01-19".to_owned()),
        ];
        if let Some(keys) = &self.keys {
            headers.extend(sign::acs3(
                keys,
                "POST",
                "/",
                "",
                &self.host,
                &headers,
                body.as_bytes(),
            ));
        }
        let answer = self.exchange("POST", "/", &headers, body.into_bytes())?;
        let mut json = answer.json()?;
        if answer.status >= 400 {
            return Err(answer.refusal(&json));
        }
        Ok(json.get_mut("Data").map(Value::take).unwrap_or_default())
    }

    /// Publishes a body of any form that ingest accepts.
    pub(crate) fn publish(
        &self,
        body: Vec<u8>,
        extra: &[(&'static str, String)],
    ) -> Result<Published, Failure> {
        let mut headers = vec![("content-type", "application/octet-stream".to_owned())];
        headers.extend(extra.iter().cloned());
        if let Some(keys) = &self.keys {
            headers.push(("x-acs-action", "PublishEvents".to_owned()));
            headers.push(("x-acs-version", "2022-01-19".to_owned()));
            headers.extend(sign::acs3(
                keys, "POST", "/events", "", &self.host, &headers, &body,
            ));
        }
        let answer = self.exchange("POST", "/events", &headers, body)?;
        let json = answer.json()?;
        if answer.status >= 400 {
            return Err(answer.refusal(&json));
        }
        Ok(Published {
            accepted: json["accepted"].as_u64().unwrap_or(0),
            ignored: answer.header("x-carillon-ignored"),
            status: answer.header("x-oss-process-status"),
        })
    }

    fn exchange(
        &self,
        method: &str,
        target: &str,
        headers: &[(&'static str, String)],
        body: Vec<u8>,
    ) -> Result<Answer, Failure> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{target}", self.base));
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        if let Some(sign) = &self.sign_also {
            let url = format!("{}{target}", self.base);
            for (name, value) in sign(method, &url, headers, &body)? {
                request = request.header(name, value);
            }
        }
        let request = request
            .body(body)
            .map_err(|error| Failure::Unusable(format!("the request cannot be made: {error}")))?;
        let mut response: Response<ureq::Body> = self.agent.run(request).map_err(|error| {
            Failure::Unusable(format!(
                "no service at {}: {error}; start one with `carillon up`, or name another with --endpoint or --stack",
                self.base
            ))
        })?;
        // The plan of a large rule file is the largest answer there is.
        let body = response.body_mut().with_config().limit(LARGEST_ANSWER);
        let text = body.read_to_string().map_err(|error| {
            Failure::Unusable(format!("the answer of {} broke off: {error}", self.base))
        })?;
        Ok(Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text,
        })
    }
}

/// What became of a published body.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) accepted: u64,
    /// Why records that were understood gave no event.
    pub(crate) ignored: Option<String>,
    pub(crate) status: Option<String>,
}

struct Answer {
    status: u16,
    headers: ureq::http::HeaderMap,
    text: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<String> {
        let value = self.headers.get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
    }

    fn json(&self) -> Result<Value, Failure> {
        serde_json::from_str(&self.text).map_err(|_| {
            Failure::Unusable(format!(
                "status {} without JSON: is there another program at this address? It says: {}",
                self.status,
                self.text.chars().take(200).collect::<String>()
            ))
        })
    }

    fn refusal(&self, json: &Value) -> Failure {
        let code = json["Code"].as_str().unwrap_or("Error");
        let message = json["Message"]
            .as_str()
            .or(json["message"].as_str())
            .unwrap_or(&self.text);
        Failure::Refused(format!("{code}: {message}"))
    }
}
