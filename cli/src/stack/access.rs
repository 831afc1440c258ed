//! The operator's access to AWS, and the two or three requests that are made by hand: each is one signed exchange of XML,
//! for which no client of a service is worth its size.

use crate::failure::Failure;
use crate::up::runtime;
use carillon_aws::operator::{Operator, ToSign};
use serde::Deserialize;
use std::time::Duration;
use ureq::http::{HeaderMap, Request};

/// What AWS answers when it refuses.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Refusal {
    pub(super) code: String,
    pub(super) message: String,
}

/// An answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answer {
    /// Code and message; S3 has them at the root, the query services within.
    pub(super) fn refusal(&self) -> Refusal {
        #[derive(Deserialize)]
        struct Within {
            #[serde(rename = "Error")]
            error: Refusal,
        }
        let mut refusal = quick_xml::de::from_str::<Within>(&self.text)
            .map(|within| within.error)
            .or_else(|_| quick_xml::de::from_str::<Refusal>(&self.text))
            .unwrap_or_default();
        if refusal.code.is_empty() {
            refusal.code = format!("status {}", self.status);
            refusal.message = self.text.chars().take(200).collect();
        }
        refusal
    }
}

/// Signed requests as the operator.
pub(super) struct Access {
    pub(super) operator: Operator,
    agent: ureq::Agent,
}

impl Access {
    pub(super) fn find() -> Result<Self, Failure> {
        let operator = runtime()?
            .block_on(Operator::find())
            .map_err(|error| Failure::Unusable(error.to_string()))?;
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(Duration::from_secs(5)))
            .timeout_global(Some(Duration::from_secs(30)))
            .build();
        Ok(Access {
            operator,
            agent: config.into(),
        })
    }

    pub(super) fn region(&self) -> &str {
        self.operator.region()
    }

    /// Where a service answers: an emulator's URL when one is set, else AWS's.
    pub(super) fn base(&self, service: &str) -> String {
        let own = format!("AWS_ENDPOINT_URL_{}", service.to_uppercase());
        let emulator = std::env::var(own)
            .ok()
            .filter(|url| !url.is_empty())
            .or_else(|| self.operator.endpoint().map(str::to_owned));
        match emulator {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("https://{service}.{}.{}", self.region(), self.suffix()),
        }
    }

    /// Whether an emulator stands in for this service.
    pub(super) fn is_emulated(&self, service: &str) -> bool {
        !self.base(service).contains(self.suffix())
    }

    /// The last labels of AWS's host names.
    pub(super) fn suffix(&self) -> &'static str {
        if self.region().starts_with("cn-") {
            "amazonaws.com.cn"
        } else {
            "amazonaws.com"
        }
    }

    /// One exchange.
    pub(super) fn exchange(
        &self,
        service: &str,
        method: &str,
        url: &str,
        headers: &[(&'static str, String)],
        body: &[u8],
    ) -> Result<Answer, Failure> {
        let signed = self
            .operator
            .sign(ToSign {
                service,
                region: self.region(),
                method,
                url,
                headers,
                body,
            })
            .map_err(|error| Failure::Unusable(error.to_string()))?;
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        for (name, value) in &signed {
            request = request.header(name, value);
        }
        let request = request
            .body(body.to_vec())
            .map_err(|error| Failure::Unusable(format!("{url}: {error}")))?;
        let mut response = self
            .agent
            .run(request)
            .map_err(|error| Failure::Unusable(format!("{service} does not answer: {error}")))?;
        let text = response.body_mut().read_to_string().map_err(|error| {
            Failure::Unusable(format!("the answer of {service} broke off: {error}"))
        })?;
        Ok(Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text,
        })
    }
}
