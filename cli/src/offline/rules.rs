//! The rule file, ready to judge by.

use crate::failure::{Failure, Outcome};
use crate::output::complain;
use carillon_core::event::Product;
use carillon_core::rule::{Limits, RuleFile};
use carillon_core::ruleset::{Overlap, RuleSet};
use clap::ValueEnum;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// `--overlap`.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum OverlapArg {
    /// Two rules that claim one event are an error.
    #[default]
    Refuse,
    /// An event goes to every rule that covers it.
    Allow,
}

impl From<OverlapArg> for Overlap {
    fn from(overlap: OverlapArg) -> Self {
        match overlap {
            OverlapArg::Refuse => Overlap::Refuse,
            OverlapArg::Allow => Overlap::Allow,
        }
    }
}

/// Most faults or conflicts of one kind that are printed before a count.
const MAX_PRINTED: usize = 1_000;

/// Rule sets by product.
pub(super) type Sets = BTreeMap<Product, RuleSet>;

/// Reads a rule file as far as it can be read.
pub(crate) fn read(path: &Path) -> Result<RuleFile, Failure> {
    let text = crate::commands::read_input(path)?;
    RuleFile::read(&text, &Limits::default())
        .map_err(|unusable| Failure::Unusable(format!("{}: {unusable}", path.display())))
}

/// The rule sets of a sound file.
pub(super) fn load(path: &Path, overlap: Overlap) -> Result<Sets, Failure> {
    let file = read(path)?;
    refuse(path, file.faults.iter(), file.faults.len(), "faults")?;
    if overlap == Overlap::Refuse {
        let report = carillon_core::ruleset::check(&file);
        let hint = "conflicts (carillon check lists them, --overlap allow accepts them)";
        refuse(path, report.conflicts.iter(), report.conflict_count, hint)?;
    }
    Ok(sets(file))
}

/// Groups rules by product.
pub(super) fn sets(file: RuleFile) -> Sets {
    let mut products: BTreeMap<Product, Vec<_>> = BTreeMap::new();
    for rule in file.rules {
        products
            .entry(rule.product.clone())
            .or_default()
            .push(Arc::new(rule));
    }
    products
        .into_iter()
        .map(|(product, rules)| (product, RuleSet::build(rules)))
        .collect()
}

/// Prints what is wrong with a file, if anything is.
pub(crate) fn refuse<T: std::fmt::Display>(
    path: &Path,
    found: impl Iterator<Item = T>,
    count: usize,
    what: &str,
) -> Outcome {
    for one in found.take(MAX_PRINTED) {
        complain!("{}: {one}", path.display());
    }
    match count {
        0 => Ok(()),
        count => Err(Failure::Refused(format!(
            "{} cannot be used: {count} {what}",
            path.display()
        ))),
    }
}
