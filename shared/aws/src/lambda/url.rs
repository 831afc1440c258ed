//! The loop of a function behind a function URL (payload format 2.0).

use crate::StageQueues;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{HeaderName, HeaderValue, Method, Request, Response, Uri};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::future::Future;

/// A request as Lambda hands it over. Tolerant: what is missing is empty.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UrlRequest {
    /// Path as sent, still percent-encoded.
    pub raw_path: String,
    /// Query as sent.
    pub raw_query_string: String,
    /// Headers, names in lower case; values of one name joined by commas.
    pub headers: BTreeMap<String, String>,
    /// Cookies, which Lambda takes out of the headers.
    pub cookies: Vec<String>,
    /// The body, as text or as Base64.
    pub body: Option<String>,
    /// Which of the two.
    pub is_base64_encoded: bool,
    /// What AWS knows of the request.
    pub request_context: UrlContext,
}

/// See [`UrlRequest::request_context`].
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UrlContext {
    /// The function URL's host, by AWS's own knowledge.
    pub domain_name: String,
    /// Method.
    pub http: UrlHttp,
}

/// See [`UrlContext::http`].
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UrlHttp {
    /// `GET`, `POST` ...
    pub method: String,
}

/// An answer as Lambda takes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UrlAnswer {
    /// Status.
    pub status_code: u16,
    /// Headers.
    pub headers: BTreeMap<String, String>,
    /// The body, as text or as Base64.
    pub body: String,
    /// Which of the two.
    pub is_base64_encoded: bool,
}

impl UrlRequest {
    /// The request as HTTP has it. What cannot stand in HTTP (Lambda has read it from HTTP) is left out.
    ///
    /// # Errors
    /// When method, path or body cannot be read.
    pub fn into_http(self) -> Result<Request<Vec<u8>>, String> {
        let query = self.raw_query_string;
        let path = if self.raw_path.is_empty() {
            "/"
        } else {
            &self.raw_path
        };
        let target = if query.is_empty() {
            path.to_owned()
        } else {
            format!("{path}?{query}")
        };
        let uri: Uri = target
            .parse()
            .map_err(|error| format!("request target {target:?}: {error}"))?;
        let method: Method = self
            .request_context
            .http
            .method
            .parse()
            .map_err(|_| format!("method {:?}", self.request_context.http.method))?;
        let body = match self.body {
            None => Vec::new(),
            Some(text) if self.is_base64_encoded => BASE64
                .decode(text)
                .map_err(|error| format!("the body's Base64: {error}"))?,
            Some(text) => text.into_bytes(),
        };
        let mut request = Request::new(body);
        *request.uri_mut() = uri;
        *request.method_mut() = method;
        for (name, value) in self.headers {
            if let (Ok(name), Ok(value)) =
                (HeaderName::try_from(name), HeaderValue::try_from(value))
            {
                request.headers_mut().append(name, value);
            }
        }
        Ok(request)
    }
}

impl UrlAnswer {
    /// The answer that HTTP's response becomes.
    #[must_use]
    pub fn of(response: Response<Vec<u8>>) -> Self {
        let (parts, body) = response.into_parts();
        let mut headers: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in &parts.headers {
            let text = String::from_utf8_lossy(value.as_bytes());
            headers
                .entry(name.to_string())
                .and_modify(|held| {
                    held.push_str(", ");
                    held.push_str(&text);
                })
                .or_insert_with(|| text.into_owned());
        }
        let (body, is_base64_encoded) = match String::from_utf8(body) {
            Ok(text) => (text, false),
            Err(raw) => (BASE64.encode(raw.into_bytes()), true),
        };
        UrlAnswer {
            status_code: parts.status.as_u16(),
            headers,
            body,
            is_base64_encoded,
        }
    }
}

/// Serves requests until Lambda ends the process. `handle` gets the function URL's host with each; what it sends through
/// `stages` carries the request's trace.
///
/// # Errors
/// When the runtime API cannot be reached.
pub async fn serve_url<H, F>(stages: Option<StageQueues>, handle: H) -> Result<(), Error>
where
    H: Fn(String, Request<Vec<u8>>) -> F,
    F: Future<Output = Response<Vec<u8>>>,
{
    run(service_fn(|event: LambdaEvent<UrlRequest>| {
        if let Some(stages) = &stages {
            stages.follow_trace(event.context.xray_trace_id.clone());
        }
        let host = event.payload.request_context.domain_name.clone();
        let answer = event
            .payload
            .into_http()
            .map(|request| handle(host, request));
        async move {
            let response = match answer {
                Ok(answer) => answer.await,
                Err(why) => {
                    let mut refused =
                        Response::new(format!("cannot be read: {why}\n").into_bytes());
                    *refused.status_mut() = http::StatusCode::BAD_REQUEST;
                    refused
                }
            };
            Ok::<UrlAnswer, Error>(UrlAnswer::of(response))
        }
    }))
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_query_headers_and_body_arrive_as_they_were_sent() {
        let event: UrlRequest = serde_json::from_str(
            r#"{"version":"2.0","routeKey":"$default","rawPath":"/queues/a%2Fb","rawQueryString":"x=%20y&x=2",
                "headers":{"host":"abc.lambda-url.us-east-1.on.aws","x-acs-action":"ListTopic"},
                "requestContext":{"domainName":"abc.lambda-url.us-east-1.on.aws","http":{"method":"POST","path":"/queues/a/b"}},
                "body":"aGk=","isBase64Encoded":true}"#,
        )
        .unwrap();
        let request = event.into_http().unwrap();
        assert_eq!(request.uri(), "/queues/a%2Fb?x=%20y&x=2");
        assert_eq!(request.method(), Method::POST);
        assert_eq!(request.headers()["x-acs-action"], "ListTopic");
        assert_eq!(request.body(), b"hi");
    }

    #[test]
    fn nothing_but_a_method_is_a_request_for_the_root() {
        let event: UrlRequest =
            serde_json::from_str(r#"{"requestContext":{"http":{"method":"GET"}}}"#).unwrap();
        assert_eq!(event.into_http().unwrap().uri(), "/");
        assert!(UrlRequest::default().into_http().is_err());
    }

    #[test]
    fn text_goes_as_text_and_other_bytes_as_base64() {
        let answer = |body: &[u8]| UrlAnswer::of(Response::new(body.to_vec()));
        assert_eq!(
            (answer(b"ok").body.as_str(), answer(b"ok").is_base64_encoded),
            ("ok", false)
        );
        assert_eq!(
            (
                answer(&[0xFF]).body.as_str(),
                answer(&[0xFF]).is_base64_encoded
            ),
            ("/w==", true)
        );
    }
}
