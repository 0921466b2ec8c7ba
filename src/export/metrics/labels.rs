//! The labels of a comparison and of its alerts, in the order of the catalogue.
//!
//! Every series of a comparison begins with the same five labels, so they are borrowed once and
//! extended by what a series has beside them.

use crate::model::{Severity, Statistic};

/// The label `segment` of all events.
pub(in crate::export) const ALL_EVENTS: &str = "";

/// The labels that all series of a comparison share.
#[derive(Debug, Clone, Copy)]
pub(in crate::export) struct ComparisonLabels<'a> {
    pub(in crate::export) monitor: &'a str,
    pub(in crate::export) feature: &'a str,
    pub(in crate::export) segment: &'a str,
    pub(in crate::export) window: &'a str,
    pub(in crate::export) reference: &'a str,
}

impl<'a> ComparisonLabels<'a> {
    pub(super) fn values(&self) -> [&'a str; 5] {
        [
            self.monitor,
            self.feature,
            self.segment,
            self.window,
            self.reference,
        ]
    }

    pub(super) fn with_reason(&self, reason: &'a str) -> [&'a str; 6] {
        let [monitor, feature, segment, window, reference] = self.values();
        [monitor, feature, segment, window, reference, reason]
    }

    pub(super) fn with_status(&self, status: &'a str) -> [&'a str; 6] {
        self.with_reason(status)
    }

    pub(super) fn with_statistic(&self, statistic: Statistic) -> [&'a str; 6] {
        self.with_reason(statistic.name())
    }

    pub(super) fn with_bin(&self, bin: &'a str, bound: &'a str) -> [&'a str; 7] {
        let [monitor, feature, segment, window, reference] = self.values();
        [monitor, feature, segment, window, reference, bin, bound]
    }

    pub(super) fn with_alert(&self, statistic: Statistic, severity: Severity) -> [&'a str; 7] {
        let [monitor, feature, segment, window, reference] = self.values();
        let (statistic, severity) = (statistic.name(), severity.name());
        [
            monitor, feature, segment, window, reference, statistic, severity,
        ]
    }

    pub(in crate::export) fn with_text(
        &self,
        statistic: Statistic,
        severity: Severity,
        text: &'a str,
    ) -> [&'a str; 8] {
        let [
            monitor,
            feature,
            segment,
            window,
            reference,
            statistic,
            severity,
        ] = self.with_alert(statistic, severity);
        [
            monitor, feature, segment, window, reference, statistic, severity, text,
        ]
    }
}
