//! The match index at the lengths where it changes its ways: words of eight bytes, masks of 64 lengths, nodes of 64 KiB.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use carillon_core::rule::{Clause, EventTypePattern, EventTypes, ResourcePattern, Resources, Rule};
use carillon_core::ruleset::{Hits, RuleSet};
use std::sync::Arc;

fn rule(number: usize, pattern: ResourcePattern) -> Arc<Rule> {
    let clause = Clause {
        negated: false,
        pattern,
    };
    let types = EventTypes(vec![EventTypePattern::parse("A:*").unwrap()]);
    let resources = Resources::AnyOf(vec![vec![clause]]);
    Arc::new(support::named(
        &format!("r{number}"),
        types,
        resources,
        true,
    ))
}

fn ends(prefix: String, suffix: String) -> ResourcePattern {
    ResourcePattern::Ends { prefix, suffix }
}

/// Every kind of pattern with a text of this length.
fn patterns(len: usize) -> Vec<ResourcePattern> {
    let text = || "k".repeat(len);
    vec![
        ResourcePattern::Name(format!("b/{}", text())),
        ResourcePattern::Name(format!("n{}", text())),
        ends(format!("b/{}", text()), String::new()),
        ends(format!("b/{}/", text()), String::new()),
        ends(format!("n{}/", text()), String::new()),
        ends(format!("m{}", text()), String::new()),
        ends(String::new(), format!(".{}", text())),
        ends("b/x".into(), format!(".{}", text())),
        ends("m".into(), format!(".{}", text())),
    ]
}

/// Resources that such patterns nearly have.
fn resources(len: usize) -> Vec<String> {
    let text = "k".repeat(len);
    [
        "b/@", "b/@/", "b/@/y", "b/@y", "n@", "n@/", "n@/y", "m@", "m@/y", "m@/y.@", "x/.@",
        "b/x.@", "b/xy.@", "b/x.@z", "mm/y.@", "m.@", ".@", "@", "",
    ]
    .iter()
    .map(|form| form.replace('@', &text))
    .collect()
}

/// Asks both ways, and compares with what the rules say one by one.
fn agree(rules: Vec<Arc<Rule>>, resources: &[String]) {
    let set = RuleSet::build(rules.clone());
    let mut hits = Hits::new();
    let mut batched = Vec::new();
    let events = resources.iter().map(|resource| ("A:x", resource.as_str()));
    set.covering_batch(events, &mut Hits::new(), |_, hits| {
        batched.push(hits.to_vec())
    });
    for (resource, batched) in resources.iter().zip(batched) {
        set.covering("A:x", resource, &mut hits);
        let want: Vec<u32> = (0..)
            .zip(&rules)
            .filter(|(_, rule)| rule.covers("A:x", resource))
            .map(|(number, _)| number)
            .collect();
        let shown: String = resource.chars().take(80).collect();
        assert_eq!(hits, want, "{shown:?} of {} bytes", resource.len());
        assert_eq!(
            batched,
            want,
            "{shown:?} of {} bytes, in a batch",
            resource.len()
        );
    }
}

#[test]
fn lengths_by_themselves() {
    for len in (0..20)
        .chain(54..76)
        .chain([127, 128, 129, 255, 256, 1_024, 65_535, 65_536, 70_000])
    {
        let rules = patterns(len).into_iter().enumerate();
        let near: Vec<String> = [len.saturating_sub(1), len, len + 1]
            .into_iter()
            .flat_map(resources)
            .collect();
        agree(
            rules
                .map(|(number, pattern)| rule(number, pattern))
                .collect(),
            &near,
        );
    }
}

#[test]
fn lengths_all_together() {
    let lengths = || (0..80).chain([127, 128, 129, 200]);
    let rules = lengths().flat_map(patterns).enumerate();
    let asked: Vec<String> = lengths()
        .chain([81, 130, 300])
        .flat_map(resources)
        .collect();
    agree(
        rules
            .map(|(number, pattern)| rule(number, pattern))
            .collect(),
        &asked,
    );
}

#[test]
fn texts_that_differ_in_one_place_are_told_apart() {
    // A table of a few slots, in which look-ups pass over others: every place of every text is compared.
    for len in [1, 2, 7, 8, 9, 15, 16, 17, 63, 64, 65] {
        let texts: Vec<String> = (0..len)
            .map(|at| {
                let mut text = vec![b'k'; len];
                text[at] = b'x';
                String::from_utf8(text).unwrap()
            })
            .collect();
        for form in ["b/@", "@/k"] {
            let named = texts
                .iter()
                .map(|text| ResourcePattern::Name(form.replace('@', text)));
            let begin = texts
                .iter()
                .map(|text| ends(form.replace('@', text), String::new()));
            let end = texts
                .iter()
                .map(|text| ends(String::new(), form.replace('@', text)));
            let rules = named.chain(begin).chain(end).enumerate();
            let asked: Vec<String> = texts.iter().map(|text| form.replace('@', text)).collect();
            agree(
                rules
                    .map(|(number, pattern)| rule(number, pattern))
                    .collect(),
                &asked,
            );
        }
    }
}

#[test]
fn what_stands_behind_a_pattern_of_very_many_rules_is_found() {
    // Places in a bucket are kept in as many bits as the bucket needs: it must know what its rules take.
    for count in [0, 1, 127, 128, 254, 255, 256, 512, 1_024] {
        let many = (0..count).map(|number| rule(number, ends("b/a".into(), String::new())));
        let behind = (count..count + 3)
            .map(|number| rule(number, ends(format!("b/c{number}"), ".e".into())));
        let asked = [
            "b/a".to_owned(),
            format!("b/c{count}.e"),
            format!("b/c{}.e", count + 2),
        ];
        agree(many.chain(behind).collect(), &asked);
    }
}

#[test]
fn a_bucket_alone_without_anything_in_it() {
    let clause = |negated, pattern| Clause { negated, pattern };
    let name = |name: &str| ResourcePattern::Name(name.into());
    let alone = |number: usize, first: ResourcePattern| {
        let inside = clause(true, ends("b/".into(), String::new()));
        let mut rule = Arc::unwrap_or_clone(rule(number, first.clone()));
        rule.resources = Resources::AnyOf(vec![vec![clause(false, first), inside]]);
        Arc::new(rule)
    };
    let asked = ["b", "b/", "b/k", "bb", "bb/k", "c"].map(str::to_owned);
    agree(vec![alone(0, name("b"))], &asked);
    agree(
        vec![
            alone(0, name("b")),
            alone(1, ends("b".into(), String::new())),
        ],
        &asked,
    );
    agree(
        vec![
            alone(0, name("b")),
            rule(1, ends("b/k".into(), String::new())),
        ],
        &asked,
    );
}

#[test]
fn many_event_types_and_names_of_many_groups() {
    // Beyond 64 types no mask holds them all; beyond 8 groups no list holds those of one name.
    let deep = "a:b:c:d:e:f:g:h:i:j:k:l";
    let groups = deep
        .match_indices(':')
        .map(|(at, _)| format!("{}:*", &deep[..at]));
    for others in [0, 40, 52, 53, 54, 80, 200] {
        let plain = (0..others).map(|number| format!("Group{}:Name{number}", number % 9));
        let types: Vec<String> = groups
            .clone()
            .chain([deep.to_owned()])
            .chain(plain)
            .collect();
        let rules: Vec<Arc<Rule>> = types
            .iter()
            .enumerate()
            .map(|(number, event_type)| {
                let mut rule = Arc::unwrap_or_clone(rule(number, ends("b/".into(), String::new())));
                rule.event_types = EventTypes(vec![EventTypePattern::parse(event_type).unwrap()]);
                Arc::new(rule)
            })
            .collect();
        let set = RuleSet::build(rules.clone());
        let asked = [
            "a:b",
            "a:x",
            "a:b:x",
            "a:b:c:d:e:f:g:h:x",
            "a:b:c:d:e:f:g:h:i:x",
            "a",
            "x:b",
            "Group1",
        ];
        let plain = types.iter().map(|text| text.trim_end_matches(":*"));
        let mut hits = Hits::new();
        for event_type in asked.into_iter().chain(plain) {
            set.covering(event_type, "b/k", &mut hits);
            let want: Vec<u32> = (0..)
                .zip(&rules)
                .filter(|(_, rule)| rule.covers(event_type, "b/k"))
                .map(|(number, _)| number)
                .collect();
            assert_eq!(hits, want, "{event_type} among {} types", types.len());
        }
    }
}
