//! `PROPERTIES.md` and the list in `README.md` say what the checks check: the same titles and sentences, and nothing else.

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
        Property::Wall => {
            "every action and path of an installation, by keys of another and by none (`wall.rs`)"
        }
        Property::FaithfulReplay => {
            "every simulated run with an archive, by the control plane's own ReplayEvents (`memory.rs`)"
        }
        Property::Codecs => {
            "the kept corpora and mutations of them (`readers.rs`); `make fuzz`, guided by coverage"
        }
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
        "\nThere are no tenants within an installation, so there is no wall between them: what a key of each role may is told and \
         tried in `functions/manage/tests/security.rs`, that no spoiled signature is taken in `functions/manage/tests/fuzz.rs`. \
         Nonces, which a replayed request meets, are the control plane's and not in the simulated world: they are held by \
         `functions/manage/tests/nonces.rs`, over two processes and a restart.\n",
    );
    text
}

/// The list of the README, for whoever reads no further.
fn listed() -> String {
    let mut text = String::new();
    for property in Property::ALL {
        let line = format!("* **{}.** {}\n", property.title(), property.sentence());
        text.push_str(&line);
    }
    text
}

/// Holds a document to what it must be; with CARILLON_UPDATE it becomes that.
fn hold(name: &str, is: &str, must_be: &str) {
    if std::env::var_os("CARILLON_UPDATE").is_some() {
        std::fs::write(name, must_be).unwrap();
        return;
    }
    assert!(
        is == must_be,
        "{name} and property.rs differ: run this test with CARILLON_UPDATE=1"
    );
}

#[test]
fn the_document_says_what_the_checks_check() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/simulation/PROPERTIES.md");
    let written = std::fs::read_to_string(path).unwrap_or_default();
    hold(path, &written, &rendered());
}

#[test]
fn the_readme_says_what_the_checks_check() {
    const BEGIN: &str = "<!-- properties: written from tests/simulation/property.rs -->\n";
    const END: &str = "<!-- end of properties -->\n";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    let (head, rest) = readme.split_once(BEGIN).expect("the README has the list");
    let (_, tail) = rest.split_once(END).expect("the list has an end");
    let must_be = [head, BEGIN, &listed(), END, tail].concat();
    hold(path, &readme, &must_be);
}

/// `mistakes/mistakes.py` replaces texts of the handlers' source; each must still be there, once, and be told of.
#[test]
fn the_mistakes_made_in_the_handlers_can_still_be_made() {
    let mistakes: Vec<serde_json::Value> =
        serde_json::from_str(include_str!("mistakes/mistakes.json")).unwrap();
    assert!(mistakes.len() >= 20);
    for mistake in mistakes {
        let text = |name: &str| mistake[name].as_str().unwrap();
        let path = format!("{}/../{}", env!("CARGO_MANIFEST_DIR"), text("file"));
        let source = std::fs::read_to_string(path).unwrap();
        let count = source.matches(text("is")).count();
        assert_eq!(count, 1, "{}: {}", text("file"), text("mistake"));
        assert_ne!(text("is"), text("becomes"));
        let told = format!("| {} |", text("mistake"));
        assert!(include_str!("PLANTED.md").contains(&told), "{told}");
    }
}
