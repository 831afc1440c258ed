//! How much a set of rules may hold.

/// Limits on rules. Settings: the seeds' figures are [`Limits::SEEDS`], the shipped ones [`Limits::default`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Rules of one product, the default rule included.
    pub rules: usize,
    /// Alternatives (resource descriptions) of one rule, and clauses of one alternative.
    pub patterns: usize,
    /// Endpoints of one rule.
    pub endpoints: usize,
}

impl Limits {
    /// What the console of seed 000 allows: 10 rules a product, 5 resource descriptions and 5 endpoints a rule.
    pub const SEEDS: Limits = Limits {
        rules: 10,
        patterns: 5,
        endpoints: 5,
    };
    /// No limit, for readers of what was validated before.
    pub const NONE: Limits = Limits {
        rules: usize::MAX,
        patterns: usize::MAX,
        endpoints: usize::MAX,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            rules: 100_000,
            patterns: 100,
            endpoints: 100,
        }
    }
}
