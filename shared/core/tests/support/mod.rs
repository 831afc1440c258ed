//! Rules and events for tests: drawn from few letters, so that they meet often.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::should_implement_trait,
    reason = "each test file uses its own part"
)]

use carillon_core::event::{EventType, Product, Timestamp};
use carillon_core::rule::{
    Clause, Endpoint, EndpointKind, EventTypePattern, EventTypes, Limits, ResourcePattern,
    Resources, Rule, RuleFile, RuleName,
};
use serde_json::{Value, json};
use std::sync::Arc;

/// A small generator (xorshift64*): the same numbers on every run and machine.
pub struct Draw(pub u64);

impl Draw {
    pub fn new(seed: u64) -> Self {
        Draw(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    pub fn chance(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

pub const EVENT_TYPES: [&str; 8] = [
    "A:x",
    "A:y",
    "A:x:z",
    "B:x",
    "B",
    "SuperResolveVideo",
    "ObjectCreated:PutObject",
    "A",
];
const TYPE_PATTERNS: [&str; 8] = [
    "A:x",
    "A:y",
    "A:*",
    "A:x:*",
    "B:x",
    "B:*",
    "SuperResolveVideo",
    "ObjectCreated:*",
];

/// A text of few letters: mostly `a`, `b` and `/`, now and then a long run or a letter of several bytes.
pub fn text(draw: &mut Draw, max: usize) -> String {
    let len = draw.below(max + 1);
    let mut text = String::new();
    for _ in 0..len {
        match draw.below(24) {
            0 => text.push('é'),
            1 => text.push_str("ab/ab/ab/ab/"),
            2..=8 => text.push('/'),
            9..=15 => text.push('b'),
            _ => text.push('a'),
        }
    }
    if draw.chance(60) {
        text.push_str(&"a".repeat(60 + draw.below(12)));
    }
    text
}

pub fn pattern(draw: &mut Draw) -> ResourcePattern {
    match draw.below(5) {
        0 => {
            let name = text(draw, 5);
            ResourcePattern::Name(if name.is_empty() {
                "a".to_owned()
            } else {
                name
            })
        }
        1 => ResourcePattern::Ends {
            prefix: text(draw, 4),
            suffix: String::new(),
        },
        2 => ResourcePattern::Ends {
            prefix: String::new(),
            suffix: text(draw, 3),
        },
        _ => ResourcePattern::Ends {
            prefix: text(draw, 4),
            suffix: text(draw, 3),
        },
    }
}

pub fn clauses(draw: &mut Draw) -> Vec<Clause> {
    let count = if draw.chance(4) { 1 + draw.below(3) } else { 1 };
    (0..count)
        .map(|_| Clause {
            negated: draw.chance(if count == 1 { 12 } else { 2 }),
            pattern: pattern(draw),
        })
        .collect()
}

pub fn event_types(draw: &mut Draw) -> EventTypes {
    let count = 1 + draw.below(3);
    EventTypes(
        (0..count)
            .map(|_| EventTypePattern::parse(draw.pick::<&str>(&TYPE_PATTERNS)).unwrap())
            .collect(),
    )
}

pub fn rule(draw: &mut Draw, number: usize) -> Rule {
    let resources = if draw.chance(15) {
        Resources::All
    } else {
        Resources::AnyOf((0..1 + draw.below(4)).map(|_| clauses(draw)).collect())
    };
    named(
        &format!("rule-{number}"),
        event_types(draw),
        resources,
        !draw.chance(10),
    )
}

pub fn named(name: &str, event_types: EventTypes, resources: Resources, enabled: bool) -> Rule {
    Rule {
        product: Product::Oss,
        name: RuleName::parse(name).unwrap(),
        event_types,
        resources,
        endpoints: vec![Endpoint {
            kind: EndpointKind::Queue,
            value: "q".to_owned(),
        }],
        enabled,
        topic: None,
        created: Timestamp::default(),
    }
}

/// A set of up to `max` rules, now and then with a default rule, itself now and then disabled.
pub fn rules(draw: &mut Draw, max: usize) -> Vec<Arc<Rule>> {
    let count = draw.below(max + 1);
    let mut rules: Vec<Arc<Rule>> = (0..count)
        .map(|number| Arc::new(rule(draw, number)))
        .collect();
    if draw.chance(2) {
        let enabled = !draw.chance(4);
        let default = named(
            "DefaultEnRule",
            EventTypes::default(),
            Resources::All,
            enabled,
        );
        rules.insert(draw.below(count + 1), Arc::new(default));
    }
    rules
}

/// A resource: of few letters, or one that a pattern of the rules nearly gives.
pub fn resource(draw: &mut Draw, rules: &[Arc<Rule>]) -> String {
    if rules.is_empty() || draw.chance(3) {
        return text(draw, 8);
    }
    let Resources::AnyOf(alternatives) = &draw.pick(rules).resources else {
        return text(draw, 6);
    };
    let mut made = match &draw
        .pick(draw_slice(alternatives))
        .first()
        .map(|clause| &clause.pattern)
    {
        Some(ResourcePattern::Name(name)) => name.clone(),
        Some(ResourcePattern::Ends { prefix, suffix }) => {
            format!("{prefix}{}{suffix}", text(draw, 2))
        }
        None => String::new(),
    };
    match draw.below(8) {
        0 => made.push('/'),
        1 => made.push_str(&text(draw, 2)),
        2 => _ = made.pop(),
        _ => {}
    }
    made
}

fn draw_slice<T>(slice: &[T]) -> &[T] {
    assert!(!slice.is_empty(), "generated rules have alternatives");
    slice
}

pub fn event_type(text: &str) -> EventType {
    EventType::parse(text).unwrap()
}

/// What a future that waits for nothing gives.
pub fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("it waits for something"),
    }
}

/// A sound rule file element, with some members changed.
pub fn element(changes: &Value) -> Value {
    let mut element = json!({
        "ProductName": "oss", "RuleName": "a", "EventTypes": ["ObjectCreated:*"], "MatchRules": [[{"Prefix": "a/"}]],
        "Endpoints": [{"EndpointType": "queue", "EndpointValue": "q"}],
    });
    for (name, value) in changes.as_object().unwrap() {
        element[name] = value.clone();
    }
    element
}

/// Reads these elements as a rule file.
pub fn read(elements: &[Value], limits: &Limits) -> RuleFile {
    RuleFile::read(serde_json::to_string(elements).unwrap().as_bytes(), limits).unwrap()
}
