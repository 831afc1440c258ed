//! A deployed stack, by its outputs and parameters.

use super::access::Access;
use crate::client::{Client, Keys};
use crate::failure::Failure;
use serde::Deserialize;
use std::collections::BTreeMap;

/// What CloudFormation tells of a stack.
#[derive(Debug)]
pub(super) struct Deployed {
    pub(super) name: String,
    outputs: BTreeMap<String, String>,
    parameters: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Described {
    describe_stacks_result: DescribedStacks,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DescribedStacks {
    #[serde(default)]
    stacks: Members<DescribedStack>,
}

#[derive(Deserialize)]
struct Members<T> {
    #[serde(rename = "member", default = "Vec::new")]
    list: Vec<T>,
}

impl<T> Default for Members<T> {
    fn default() -> Self {
        Members { list: Vec::new() }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct DescribedStack {
    stack_status: String,
    outputs: Members<Output>,
    parameters: Members<Parameter>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Output {
    output_key: String,
    output_value: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Parameter {
    parameter_key: String,
    parameter_value: String,
}

impl Deployed {
    /// Asks CloudFormation.
    pub(super) fn find(access: &Access, name: &str) -> Result<Self, Failure> {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([
                ("Action", "DescribeStacks"),
                ("StackName", name),
                ("Version", "2010-05-15"),
            ])
            .finish();
        let url = format!("{}/", access.base("cloudformation"));
        let kind = "application/x-www-form-urlencoded".to_owned();
        let answer = access.exchange(
            "cloudformation",
            "POST",
            &url,
            &[("content-type", kind)],
            body.as_bytes(),
        )?;
        if answer.status != 200 {
            let refusal = answer.refusal();
            return Err(Failure::Unusable(format!(
                "--stack {name:?} in {}: {}: {}; is it deployed in this account and region (AWS_PROFILE, AWS_REGION)?",
                access.region(),
                refusal.code,
                refusal.message
            )));
        }
        Self::read(name, &answer.text)
    }

    fn read(name: &str, xml: &str) -> Result<Self, Failure> {
        let described: Described = quick_xml::de::from_str(xml).map_err(|error| {
            Failure::Unusable(format!("CloudFormation's answer cannot be read: {error}"))
        })?;
        let stacks = described.describe_stacks_result.stacks.list;
        let Some(stack) = stacks.into_iter().next() else {
            return Err(Failure::Unusable(format!("there is no stack {name:?}")));
        };
        let outputs = stack.outputs.list.into_iter();
        let parameters = stack.parameters.list.into_iter();
        let deployed = Deployed {
            name: name.to_owned(),
            outputs: outputs.map(|o| (o.output_key, o.output_value)).collect(),
            parameters: parameters
                .map(|p| (p.parameter_key, p.parameter_value))
                .collect(),
        };
        if !deployed.outputs.contains_key("EventsQueueArn") {
            return Err(Failure::Unusable(format!(
                "stack {name:?} ({}) has no output EventsQueueArn: it is not one of Carillon, or its deployment did not \
                 finish",
                stack.stack_status
            )));
        }
        Ok(deployed)
    }

    /// An output; an error names it when it is not there.
    pub(super) fn output(&self, key: &str) -> Result<&str, Failure> {
        self.outputs.get(key).map(String::as_str).ok_or_else(|| {
            Failure::Unusable(format!(
                "stack {:?} has no output {key}: deploy it again from this release's template",
                self.name
            ))
        })
    }

    /// A parameter; empty when it is not there.
    pub(super) fn parameter(&self, key: &str) -> &str {
        self.parameters.get(key).map_or("", String::as_str)
    }

    /// The account that holds it.
    pub(super) fn account(&self) -> &str {
        let arn = self.outputs.get("EventsQueueArn");
        arn.and_then(|arn| arn.split(':').nth(4))
            .unwrap_or_default()
    }
}

/// A client of the stack's control plane: signed with the operator's credentials where AWS checks who asks, else with
/// the stack's own access keys.
pub(super) fn client(name: &str, keys: Option<Keys>) -> Result<Client, Failure> {
    let access = Access::find()?;
    let stack = Deployed::find(&access, name)?;
    let url = stack.output("ManageUrl")?.to_owned();
    if stack.parameter("ManagementAuth") == "SMQ" {
        if keys.is_none() {
            return Err(Failure::Unusable(format!(
                "stack {name:?} takes requests signed with an access key of its own (ManagementAuth=SMQ): set \
                 CARILLON_ACCESS_KEY_ID and CARILLON_ACCESS_KEY_SECRET to one of those in its secret {}",
                stack.output("AccessKeysSecret").unwrap_or("AccessKeys")
            )));
        }
        return Client::new(&url, keys);
    }
    // A function URL tells its own region.
    let region = url
        .split(".lambda-url.")
        .nth(1)
        .and_then(|rest| rest.split('.').next())
        .unwrap_or(access.region())
        .to_owned();
    let operator = access.operator;
    let client = Client::new(&url, None)?;
    Ok(client.signing(Box::new(move |method, url, headers, body| {
        let what = carillon_aws::operator::ToSign {
            service: "lambda",
            region: &region,
            method,
            url,
            headers,
            body,
        };
        operator
            .sign(what)
            .map_err(|error| Failure::Unusable(error.to_string()))
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_and_parameters_are_found_by_their_keys() {
        let xml = r#"<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><DescribeStacksResult><Stacks><member>
            <StackName>s</StackName><StackStatus>CREATE_COMPLETE</StackStatus>
            <Parameters><member><ParameterKey>ManagementAuth</ParameterKey><ParameterValue>SMQ</ParameterValue></member><member><ParameterKey>AlarmTopic</ParameterKey><ParameterValue/></member></Parameters>
            <Outputs><member><Description>a</Description><OutputKey>EventsQueueArn</OutputKey><OutputValue>arn:aws:sqs:eu-west-1:123456789012:q</OutputValue></member></Outputs>
            </member></Stacks></DescribeStacksResult><ResponseMetadata><RequestId>x</RequestId></ResponseMetadata></DescribeStacksResponse>"#;
        let stack = Deployed::read("s", xml).unwrap();
        assert_eq!(stack.account(), "123456789012");
        assert_eq!(stack.parameter("ManagementAuth"), "SMQ");
        assert_eq!(stack.parameter("AlarmTopic"), "");
        assert!(stack.output("ManageUrl").is_err());
        let other = xml.replace("EventsQueueArn", "Other");
        let error = Deployed::read("s", &other).unwrap_err().to_string();
        assert!(error.contains("not one of Carillon"), "{error}");
    }
}
