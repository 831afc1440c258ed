//! GetEventRule and ListEventRules.

use crate::actions::page::Paging;
use crate::actions::rule_delete::named;
use crate::actions::rule_view;
use crate::error::Refused;
use crate::rpc::{Answer, Call};
use carillon_core::event::Product;
use carillon_core::rule::{Clause, EndpointSpec, ResourcePattern, Resources, Rule};

/// One rule.
pub(crate) async fn get(call: Call<'_>) -> Answer {
    let (product, name) = named(call.params)?;
    let found = call
        .service
        .ledger
        .read(|view| Ok::<_, Refused>(rule_view::rule(view.rule_or_refuse(&product, &name)?, view)))
        .await??;
    Ok(Some(found))
}

/// Rules of a product, in ascending order of name, filtered and paged.
///
/// `RuleName` and `TopicName` filter by containing, `ResourceName` by bucket: rules that can cover something in it.
/// `Subscription` filters by endpoint, exactly.
pub(crate) async fn list(call: Call<'_>) -> Answer {
    let params = call.params;
    let product = params.require_parsed("ProductName", Product::parse)?;
    let paging = Paging::read(params)?;
    let name = params.text("RuleName");
    let topic = params.text("TopicName");
    let bucket = params.text("ResourceName");
    let endpoint: Option<EndpointSpec> = params.json(
        "Subscription",
        r#"{"EndpointType": "queue", "EndpointValue": "name"}"#,
    )?;
    let wanted = |rule: &Rule| {
        name.is_none_or(|name| rule.name.as_str().contains(name))
            && topic.is_none_or(|topic| {
                rule.topic
                    .as_ref()
                    .is_some_and(|held| held.as_str().contains(topic))
            })
            && bucket.is_none_or(|bucket| reaches(rule, bucket))
            && endpoint
                .as_ref()
                .is_none_or(|endpoint| tells(rule, endpoint))
    };
    let data = call
        .service
        .ledger
        .read(|view| {
            let rules = view
                .rules
                .get(&product)
                .into_iter()
                .flat_map(|rules| rules.values());
            let cut = paging.cut(rules.filter(|rule| wanted(rule)), |rule| rule.name.as_str());
            cut.into_data(|rule| rule_view::rule(rule, view))
        })
        .await?;
    Ok(Some(data))
}

fn tells(rule: &Rule, wanted: &EndpointSpec) -> bool {
    rule.endpoints.iter().any(|endpoint| {
        (wanted.endpoint_type.is_empty() || endpoint.kind.as_str() == wanted.endpoint_type)
            && (wanted.endpoint_value.is_empty() || endpoint.value == wanted.endpoint_value)
    })
}

/// Whether the rule can cover the bucket or something in it.
fn reaches(rule: &Rule, bucket: &str) -> bool {
    match &rule.resources {
        Resources::All => true,
        Resources::AnyOf(any) => any
            .iter()
            .any(|all| all.iter().all(|clause| may_hold(clause, bucket))),
    }
}

fn may_hold(clause: &Clause, bucket: &str) -> bool {
    let inside = format!("{bucket}/");
    match &clause.pattern {
        // A negation shuts out a whole bucket only when it names it.
        pattern if clause.negated => {
            !matches!(pattern, ResourcePattern::Name(name) if name == bucket)
        }
        ResourcePattern::Name(name) => name == bucket || name.starts_with(&inside),
        ResourcePattern::Ends { prefix, .. } => {
            inside.starts_with(prefix.as_str()) || prefix.starts_with(&inside)
        }
    }
}
