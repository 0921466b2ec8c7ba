//! Limits of a calibrated threshold, as values of the label `status`.

/// A reason why a calibrated threshold is less reliable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CalibrationStatus {
    /// The window holds more than a tenth of the reference's values.
    ///
    /// Thresholds then keep their budget only on average over references.
    ReferenceSmall,
    /// The budget needs rarer events than the reference's blocks can show.
    BudgetExtrapolated,
    /// The reference has no time, and too few quiet windows were seen to estimate the design
    /// effect.
    PhiLearning,
    /// The reference is too short for blocks as long as the window; shorter blocks stand in.
    BlocksShort,
    /// The reference holds fewer than 20 independent blocks: it is short, or its scores stay
    /// correlated for long.
    BlocksFew,
    /// The window's samples over the design effect are fewer than `min_samples`.
    ///
    /// The thresholds carry the design effect, so only large shifts exceed them.
    TooFewEffective,
    /// A threshold is above the largest value that its statistic can take, so it is none.
    LineUnreachable,
}

impl CalibrationStatus {
    /// Every status, in the order of reports.
    pub const ALL: [CalibrationStatus; 7] = [
        CalibrationStatus::ReferenceSmall,
        CalibrationStatus::BudgetExtrapolated,
        CalibrationStatus::PhiLearning,
        CalibrationStatus::BlocksShort,
        CalibrationStatus::BlocksFew,
        CalibrationStatus::TooFewEffective,
        CalibrationStatus::LineUnreachable,
    ];

    /// The name in JSON and labels.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            CalibrationStatus::ReferenceSmall => "reference_small",
            CalibrationStatus::BudgetExtrapolated => "budget_extrapolated",
            CalibrationStatus::PhiLearning => "phi_learning",
            CalibrationStatus::BlocksShort => "blocks_short",
            CalibrationStatus::BlocksFew => "blocks_few",
            CalibrationStatus::TooFewEffective => "too_few_effective",
            CalibrationStatus::LineUnreachable => "line_unreachable",
        }
    }
}
