//! `PROPERTIES.md` says what the checks check: the same numbers, titles and sentences, and nothing else.

use crate::property::Property;
use std::fmt::Write as _;

/// Where each property is held.
fn held_by(property: Property) -> &'static str {
    match property {
        Property::BatchIsolation => {
            "every simulated batch; all 3^10 outcomes of ten records (`outcomes.rs`)"
        }
        Property::CrashAnywhere => {
            "kills in every run; one run for each single crash point (`crash.rs`)"
        }
        Property::MatcherAgrees | Property::DefaultRule => {
            "every simulated judging; a million judgings (`judging.rs`)"
        }
        Property::OverlapExact | Property::ExplainAgrees => "the tests of `shared/core`",
        Property::Codecs => "the kept corpora and mutations of them (`tests/fuzz`, `readers.rs`)",
        _ => "every simulated run",
    }
}

fn rendered() -> String {
    let mut text = String::from(
        "# What the simulation proves\n\nEach property is a named check over what happens in the simulated world. Rendered from `property.rs`; a test \
         holds the two together.\n\n| | property | in one sentence | held by |\n|---|---|---|---|\n",
    );
    for property in Property::ALL {
        writeln!(
            text,
            "| {} | **{}** | {} | {} |",
            property.number(),
            property.title(),
            property.sentence(),
            held_by(*property)
        )
        .unwrap();
    }
    text.push_str(
        "\nProperty 15, the wall between tenants, is left out: one installation serves one account.\n",
    );
    text
}

#[test]
fn the_document_says_what_the_checks_check() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/simulation/PROPERTIES.md");
    let written = std::fs::read_to_string(path).unwrap_or_default();
    if std::env::var_os("CARILLON_UPDATE").is_some() {
        std::fs::write(path, rendered()).unwrap();
        return;
    }
    assert!(
        written == rendered(),
        "PROPERTIES.md and property.rs differ: run this test with CARILLON_UPDATE=1"
    );
}
