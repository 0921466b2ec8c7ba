//! Options of features, alert rules and lateness.

use super::doc::{OptionDoc, option};
use crate::config::defaults::DefaultValue;
use crate::model::{AlertSpec, BinsSpec, Budget, FeatureSpec, Lateness, Role};

/// The options of this file, table by table.
pub(super) const RULES: &[OptionDoc] = &[
    option(
        "monitors[].features[].name",
        "name",
        DefaultValue::Required,
        "Name of the feature, a label of metrics. Unique in its monitor.",
        &[("country", "duplicate feature name \"country\"")],
    ),
    option(
        "monitors[].features[].path",
        "JSON pointer",
        DefaultValue::Described("`root` and the name"),
        "Path of the value in a record. A name such as `user/age` leads into the object `user`. In a \
         table, the column named like the path or the feature.",
        &[(
            "x",
            "expected a JSON pointer such as \"/features/amount\", found \"x\"",
        )],
    ),
    option(
        "monitors[].features[].kind",
        "`numeric`, `categorical` or `boolean`",
        DefaultValue::Described("the kind in the reference"),
        "Kind of the values. A value of another kind is invalid and not counted. A category is a \
         text, a number or a boolean: `5411`, `1.5` and `true` are the categories `\"5411\"`, `\"1.5\"` \
         and `\"true\"`. An array or an object is invalid.",
        &[(
            "numbric",
            "unknown value \"numbric\", did you mean \"numeric\"?",
        )],
    ),
    option(
        "monitors[].features[].coerce",
        "`true` or `false`",
        DefaultValue::Flag(FeatureSpec::DEFAULT_COERCE),
        "Reads a JSON text such as `\"12\"` or `\"true\"` as the number or boolean that it holds; a \
         text that is missing in a table, such as an empty one or `NA`, is missing. Otherwise such a \
         value is invalid, because a change of type is news.",
        &[
            ("yes", "expected true or false, found \"yes\""),
            (
                "true",
                "has no effect on a categorical feature, whose values are texts",
            ),
        ],
    ),
    option(
        "monitors[].features[].role",
        "`feature` or `prediction`",
        DefaultValue::Text(Role::Feature.name()),
        "Role in the model. A label of `pegel_feature_info`; it changes no score.",
        &[(
            "label",
            "unknown value \"label\", accepted: feature, prediction",
        )],
    ),
    option(
        "monitors[].features[].bins",
        "whole number, at least 2, or mapping",
        DefaultValue::Count(BinsSpec::DEFAULT_COUNT as u64),
        "Score bins of a numeric feature, used when a reference is fitted; a reference with other bins \
         is a problem. See [bins](#monitorsfeaturesbins).",
        &[
            ("1", "expected a whole number of at least 2, found 1"),
            (
                "10",
                "only numeric features have \"bins\", use \"top\" for categorical ones",
            ),
        ],
    ),
    option(
        "monitors[].features[].top",
        "whole number, at least 1",
        DefaultValue::Count(FeatureSpec::DEFAULT_TOP as u64),
        "Number of categories to keep, most frequent first; the others are counted together. Used \
         when a reference is fitted; a reference with another number is a problem.",
        &[
            ("0", "expected a whole number of at least 1, found 0"),
            ("5", "only categorical features have \"top\""),
        ],
    ),
    option(
        "monitors[].features[].bins.count",
        "whole number, at least 2",
        DefaultValue::None,
        "This number of bins, each with the same share of the reference. `bins: 20` is the short form.",
        &[("1", "expected a whole number of at least 2, found 1")],
    ),
    option(
        "monitors[].features[].bins.edges",
        "list of numbers",
        DefaultValue::None,
        "Exactly these edges, increasing; the outer ones may be `-.inf` and `.inf`.",
        &[("[0, 0.7, 0.5]", "not increasing at index 2 (0.5 after 0.7)")],
    ),
    option(
        "monitors[].features[].bins.method",
        "`hdr`",
        DefaultValue::None,
        "Log-linear bins of an HDR histogram, for values over several magnitudes.",
        &[("log", "unknown value \"log\", accepted: hdr")],
    ),
    option(
        "monitors[].features[].bins.digits",
        "whole number, 1 to 5",
        DefaultValue::None,
        "Significant decimal digits of `hdr`; required with it.",
        &[("6", "expected at most 5 significant digits, found 6")],
    ),
    option(
        "monitors[].features[].bins.unit",
        "number above 0",
        DefaultValue::None,
        "Smallest difference that matters for `hdr`; required with it.",
        &[("0", "expected a number above 0, found 0")],
    ),
    option(
        "monitors[].alerts[].statistic",
        "statistic",
        DefaultValue::Required,
        "The score, rate or volume that is compared with a threshold.",
        &[(
            "wassertein",
            "unknown value \"wassertein\", did you mean \"wasserstein\"?",
        )],
    ),
    option(
        "monitors[].alerts[].warning",
        "number, at least 0",
        DefaultValue::None,
        "Fixed threshold of severity `warning`. Without `warning` and `critical`, the threshold is \
         calibrated from a budget of false alarms.",
        &[("0.4", "\"warning\" (0.4) must be below \"critical\" (0.3)")],
    ),
    option(
        "monitors[].alerts[].critical",
        "number, at least 0",
        DefaultValue::None,
        "Fixed threshold of severity `critical`. For `samples` it lies below `warning`.",
        &[
            ("-1", "expected a number of at least 0, found -1"),
            (
                "1.8",
                "js cannot exceed 1 bit, found 1.8: no window would ever be above it",
            ),
        ],
    ),
    option(
        "monitors[].alerts[].severity",
        "`warning` or `critical`",
        DefaultValue::Text(Budget::DEFAULT.severity.name()),
        "Severity of an alert with a calibrated threshold.",
        &[(
            "page",
            "unknown value \"page\", accepted: warning, critical",
        )],
    ),
    option(
        "monitors[].alerts[].false_alarm_interval",
        "duration above 0",
        DefaultValue::Duration(Budget::DEFAULT.false_alarm_interval),
        "Accepted average time between false alarms of the monitor, or of what `false_alarm_scope` \
         says. All budgeted statistics in it share this budget.",
        &[(
            "0s",
            "expected a duration above 0 such as \"30d\", found \"0s\"",
        )],
    ),
    option(
        "monitors[].alerts[].tolerance",
        "number, `0.2std` or `2%`",
        DefaultValue::Tolerance,
        "Smallest effect that is worth an alarm: on the statistic's own scale, as a shift of the \
         mean in standard deviations, or as a share of values that lie elsewhere.",
        &[
            (
                "2 apples",
                "expected a number such as 0.01, standard deviations such as \"0.2std\", or a share \
                 such as \"2%\", found \"2 apples\"",
            ),
            (
                "0.2std",
                "expected a share such as \"0.5%\", found \"0.2std\": a rate has no standard \
                 deviations",
            ),
            (
                "0.1",
                "belongs to a calibrated threshold, remove it or \"warning\" and \"critical\"",
            ),
        ],
    ),
    option(
        "monitors[].alerts[].for",
        "whole number, at least 1",
        DefaultValue::Count(AlertSpec::DEFAULT_FOR as u64),
        "Consecutive evaluations beyond the threshold until the alert fires.",
        &[
            ("0", "expected a whole number of at least 1, found 0"),
            (
                "3m",
                "expected a number of evaluations, found \"3m\": that is 3 with a slide of 1m",
            ),
        ],
    ),
    option(
        "monitors[].alerts[].keep_firing_for",
        "whole number",
        DefaultValue::Count(AlertSpec::DEFAULT_KEEP_FIRING_FOR as u64),
        "Evaluations that an alert keeps firing after the last one beyond the threshold.",
        &[("-1", "expected a whole number of at least 0, found -1")],
    ),
    option(
        "monitors[].alerts[].features",
        "list of feature names",
        DefaultValue::Described("all that have the statistic"),
        "The features that the rule applies to.",
        &[
            (
                "[y]",
                "unknown feature \"y\", accepted: amount, country, score, latency",
            ),
            ("[country]", "ks does not exist for categorical features"),
            ("[]", "expected at least one feature, found an empty list"),
        ],
    ),
    option(
        "monitors[].lateness.out_of_orderness",
        "duration",
        DefaultValue::Duration(Lateness::DEFAULT.out_of_orderness),
        "Disorder of a partition that is waited for: a window closes this long after its end.",
        &[(
            "30",
            "expected a duration with a unit such as \"30s\" or \"15m\", found 30",
        )],
    ),
    option(
        "monitors[].lateness.idle_after",
        "duration",
        DefaultValue::Duration(Lateness::DEFAULT.idle_after),
        "A partition without new events for this long does not delay windows.",
        &[(
            "60",
            "expected a duration with a unit such as \"30s\" or \"15m\", found 60",
        )],
    ),
    option(
        "monitors[].lateness.max_future",
        "duration",
        DefaultValue::Duration(Lateness::DEFAULT.max_future),
        "A record whose event time is further ahead of its arrival is dropped as `future`. One that \
         is counted advances its partition: beyond `out_of_orderness` plus the longest window, the \
         records behind it are dropped as `late` until time has caught up. So take the largest clock \
         error of the producers, and no more than that sum.",
        &[(
            "soon",
            "expected a duration with a unit such as \"30s\" or \"15m\", found \"soon\"",
        )],
    ),
    option(
        "monitors[].lateness.stall_after",
        "duration",
        DefaultValue::Duration(Lateness::DEFAULT.stall_after),
        "A partition that reports nothing for this long is released and lowers coverage. At least \
         three times the longer of `state.flush_interval` and half of `idle_after` (at most 30s).",
        &[(
            "20s",
            "lateness.stall_after of monitor m is 20s, expected at least 1m 30s: three heartbeats of \
             a partition without records (state.flush_interval, or half of idle_after up to 30s if \
             that is longer)",
        )],
    ),
];
