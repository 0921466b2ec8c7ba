#!/usr/bin/env python3
"""Writes the dashboards in `dashboards/`; `--check` only compares them.

A panel in Grafana's JSON is a hundred lines, of which about five say something about pegel. Those
five are here, and the helpers add the rest in the same way for every panel: data source, legend,
tooltip, position. Panels are placed from left to right and from top to bottom.

Queries follow three rules. Twins, scorers with the same monitors, count once: `max without
(instance, pod)`. Panels that show the present use instant queries, so a series that is gone is
never shown with its last value. And all queries read series of pegel itself, so the dashboards need
no recording rules.
"""

import json
import pathlib
import sys

DIRECTORY = pathlib.Path(__file__).parent / "dashboards"
COLUMNS = 24
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
# The version of @grafana/schema that `just dashboards` checks against, and its `schemaVersion`.
PLUGIN_VERSION = "13.2.2"
SCHEMA_VERSION = 42

GREEN, YELLOW, ORANGE, RED, BLUE, GRAY = "green", "yellow", "orange", "red", "blue", "#8e8e8e"
RATES = "missing_ratio|invalid_ratio|unseen_ratio|out_of_range_ratio"
COMPARISON = "job, monitor, feature, segment, window, reference"
ALERT = f"{COMPARISON}, statistic, severity"


# --- Queries ---------------------------------------------------------------------------------------


def newest(selector):
    """One series where twins export the same one."""
    return f"max without (instance, pod) ({selector})"


def rate(selector):
    """The rate of a counter that twins export both."""
    return newest(f"rate({selector}[$__rate_interval])")


def target(expr, legend="", table=False, instant=False):
    query = {"datasource": DATASOURCE, "editorMode": "code", "expr": expr}
    query |= {"instant": True, "range": False} if table or instant else {"instant": False, "range": True}
    if legend:
        query["legendFormat"] = legend
    if table:
        query["format"] = "table"
    return query


def lettered(targets):
    return [{**query, "refId": chr(ord("A") + index)} for index, query in enumerate(targets)]


# --- Parts of panels -------------------------------------------------------------------------------


def steps(base, *pairs):
    """Colours by value: `base`, then each colour from its value on."""
    values = [{"color": base, "value": None}]
    values += [{"color": color, "value": value} for value, color in pairs]
    return {"mode": "absolute", "steps": values}


def words(**names):
    """Texts and colours for values: `words(v0=("quiet", GREEN))`."""
    options = {
        key.removeprefix("v").replace("_", "-"): {"text": text, "color": color, "index": index}
        for index, (key, (text, color)) in enumerate(names.items())
    }
    return [{"type": "value", "options": options}]


def override(matcher, options, **properties):
    return {
        "matcher": {"id": matcher, "options": options},
        "properties": [
            {"id": key.replace("__", "."), "value": value} for key, value in properties.items()
        ],
    }


def by_name(name, **properties):
    return override("byName", name, **properties)


def dashed(pattern, color):
    """A line that is not a measured value: a threshold or a noise floor."""
    return override(
        "byRegexp",
        f"/{pattern}/",
        color={"mode": "fixed", "fixedColor": color},
        custom__lineStyle={"fill": "dash", "dash": [8, 6]},
        custom__fillOpacity=0,
        custom__lineWidth=1,
    )


THRESHOLD_LINES = [dashed("critical", RED), dashed("warning", ORANGE), dashed("noise floor", GRAY)]


def panel(kind, title, description, targets, width, height, defaults, options, **more):
    overrides = more.pop("overrides", [])
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": DATASOURCE,
        "pluginVersion": PLUGIN_VERSION,
        "gridPos": {"w": width, "h": height},
        "targets": lettered(targets),
        "fieldConfig": {"defaults": defaults, "overrides": overrides},
        "options": options,
        **more,
    }


def stat(title, description, expr, unit="none", thresholds=None, width=4, legend="", **defaults):
    fields = {
        "unit": unit,
        "color": {"mode": "thresholds"},
        "thresholds": thresholds or steps("text"),
        "noValue": "no data",
        **defaults,
    }
    options = {
        "colorMode": "value",
        "graphMode": "none",
        "justifyMode": "center",
        "orientation": "auto",
        "percentChangeColorMode": "standard",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "showPercentChange": False,
        "textMode": "value" if not legend else "value_and_name",
        "wideLayout": True,
    }
    targets = [target(expr, legend, instant=True)]
    return panel("stat", title, description, targets, width, 4, fields, options)


def timeseries(title, description, targets, unit="none", width=12, height=8, overrides=(), **defaults):
    custom = {
        "drawStyle": "line",
        "lineInterpolation": "linear",
        "lineWidth": 2,
        "fillOpacity": 0,
        "gradientMode": "none",
        "showPoints": "never",
        "spanNulls": False,
        "axisPlacement": "auto",
        "axisSoftMin": 0,
        **defaults.pop("custom", {}),
    }
    fields = {
        "unit": unit,
        "color": {"mode": "palette-classic"},
        "custom": custom,
        "noValue": "no data",
        **defaults,
    }
    options = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return panel(
        "timeseries", title, description, targets, width, height, fields, options,
        overrides=list(overrides),
    )  # fmt: skip


def table(title, description, targets, columns, sort, width=24, height=9, overrides=()):
    """A table of instant queries; `columns` are the shown fields in order, with their headings."""
    organize = {
        "indexByName": {name: index for index, name in enumerate(columns)},
        "renameByName": columns,
        "excludeByName": {},
    }
    transformations = [{"id": "merge", "options": {}}] if len(targets) > 1 else []
    # Labels that a scrape configuration adds are not columns.
    transformations += [
        {"id": "filterFieldsByName", "options": {"include": {"names": list(columns)}}},
        {"id": "organize", "options": organize},
    ]
    name, descending = sort
    return panel(
        "table", title, description, targets, width, height,
        {"custom": {"align": "auto", "cellOptions": {"type": "auto"}, "filterable": False, "inspect": False},
         "noValue": "-"},
        {"cellHeight": "sm", "showHeader": True, "frameIndex": 0,
         "sortBy": [{"displayName": name, "desc": descending}]},
        overrides=list(overrides), transformations=transformations,
    )  # fmt: skip


def row(title, repeat=None):
    panel = {"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": {"w": COLUMNS, "h": 1}}
    return panel | ({"repeat": repeat} if repeat else {})


def placed(panels):
    """Gives panels their numbers and places: left to right, a new line where the width is used up."""
    x = y = line_height = 0
    for number, panel in enumerate(panels, 1):
        place = panel["gridPos"]
        if x + place["w"] > COLUMNS:
            x, y, line_height = 0, y + line_height, 0
        panel |= {"id": number, "gridPos": {"x": x, "y": y, "w": place["w"], "h": place["h"]}}
        x, line_height = x + place["w"], max(line_height, place["h"])
    return panels


# --- Dashboards ------------------------------------------------------------------------------------


def variable(name, label, query, multi=False, has_all=False, all_value=None, current=None, sort=1, description=""):
    options = {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": DATASOURCE,
        "query": {"qryType": 1, "query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"},
        "refresh": 2,
        "sort": sort,
        "multi": multi,
        "includeAll": has_all or all_value is not None,
        "hide": 0,
    }
    if description:
        options["description"] = description
    if all_value is not None:
        options["allValue"] = all_value
    if options["includeAll"]:
        options["current"] = {"text": "All", "value": "$__all"}
    elif current:
        options["current"] = {"text": current, "value": current}
    return options


DATASOURCE_VARIABLE = {
    "type": "datasource",
    "name": "datasource",
    "label": "Data source",
    "query": "prometheus",
    "refresh": 1,
    "regex": "",
    "multi": False,
    "includeAll": False,
    "hide": 0,
}
# All of them are the jobs of pegel, because `up` and `process_*` of other jobs must not count.
JOB_VARIABLE = variable("job", "Job", "label_values(pegel_build_info, job)", multi=True, has_all=True)


def monitor_variable(many):
    query = 'label_values(pegel_monitor_info{job=~"$job"}, monitor)'
    return variable("monitor", "Monitor", query, multi=many, all_value=".+" if many else None)


def annotations(monitor):
    """Marks on all time axes: alerts that begin to fire or resolve, and references that changed."""

    def mark(name, color, expr, title, text):
        return {
            "name": name,
            "datasource": DATASOURCE,
            "enable": True,
            "hide": False,
            "iconColor": color,
            "target": {"refId": "Anno", "expr": expr, "interval": "60s"},
            "titleFormat": title,
            "textFormat": text,
        }

    def transitions(to):
        selector = f'pegel_alert_transitions_total{{job=~"$job",{monitor},to="{to}"}}'
        return f"sum by (job, monitor, severity) ({newest(f'changes({selector}[2m])')}) > 0"

    reference = f'pegel_reference_created_timestamp_seconds{{job=~"$job",{monitor}}}'
    return [
        {
            "builtIn": 1,
            "name": "Annotations & Alerts",
            "datasource": {"type": "grafana", "uid": "-- Grafana --"},
            "enable": True,
            "hide": True,
            "iconColor": "rgba(0, 211, 255, 1)",
            "type": "dashboard",
        },
        mark("Alerts that begin to fire", RED, transitions("firing"),
             "{{monitor}}: {{severity}} alert fires", "The tables of firing alerts say which and why."),
        mark("Alerts that resolve", GREEN, transitions("resolved"),
             "{{monitor}}: {{severity}} alert resolved", "The score was below its threshold again."),
        mark("Reference changes", BLUE, f"{newest(f'changes({reference}[2m])')} > 0",
             "{{monitor}}: reference {{reference}} changed", "Scores before and after compare with other data."),
    ]  # fmt: skip


def dashboard(uid, title, description, variables, panels, monitor='monitor=~"$monitor"'):
    return {
        "uid": uid,
        "title": title,
        "description": description,
        "tags": ["pegel"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "timezone": "browser",
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "1m",
        "links": [
            {
                "type": "dashboards",
                "title": "pegel",
                "tags": ["pegel"],
                "asDropdown": False,
                "icon": "external link",
                "includeVars": True,
                "keepTime": True,
                "targetBlank": False,
                "tooltip": "The other dashboards of pegel, with the same time and variables",
                "url": "",
            }
        ],
        "annotations": {"list": annotations(monitor)},
        "templating": {"list": [DATASOURCE_VARIABLE, JOB_VARIABLE, *variables]},
        "panels": placed(panels),
    }


def monitor_link(*names):
    """A link of a table row to the monitor dashboard; `names` are the fields that it selects."""
    selected = "".join(f"&var-{name}=${{__data.fields.{name}}}" for name in names)
    url = f"/d/pegel-monitor?${{datasource:queryparam}}&${{job:queryparam}}{selected}&${{__url_time_range}}"
    return [{"title": "Open in the monitor dashboard", "url": url, "targetBlank": False}]


SEVERITIES = [
    {
        "type": "value",
        "options": {
            "critical": {"text": "critical", "color": RED, "index": 0},
            "warning": {"text": "warning", "color": ORANGE, "index": 1},
        },
    }
]
RATIO = {"unit": "suffix: ×", "decimals": 2, "thresholds": steps(GREEN, (0.8, YELLOW), (1, RED))}
COLORED = {"type": "color-text"}


def firing_table(title, description, matchers, height):
    """Alerts that fire: the explanation has a series for each, and the other queries follow it."""
    text = f"pegel_alert_explanation{{{matchers}}}"
    # Twins may have made their texts at different times: one of them is enough.
    explanation = newest(f"topk by ({ALERT}) (1, {text})")
    firing = f"and on ({ALERT}) {text}"
    return table(
        title,
        description,
        [
            target(explanation, table=True),
            target(f"1000 * {newest(f'pegel_alert_since_timestamp_seconds{{{matchers}}} {firing}')}", table=True),
            target(newest(f"pegel_drift_threshold_ratio{{{matchers}}} {firing}"), table=True),
        ],
        {
            "severity": "Severity",
            "monitor": "Monitor",
            "feature": "Feature",
            "statistic": "Statistic",
            "Value #B": "Since",
            "Value #C": "Times its threshold",
            "text": "Explanation",
            "window": "Window",
            "reference": "Reference",
        },
        ("Severity", False),
        height=height,
        overrides=[
            by_name("Severity", mappings=SEVERITIES, custom__cellOptions=COLORED, custom__width=90),
            by_name("Monitor", custom__width=140),
            by_name("Feature", custom__width=160,
                    links=monitor_link("monitor", "feature", "window", "reference", "statistic")),
            by_name("Statistic", custom__width=170),
            by_name("Since", unit="dateTimeFromNow", custom__width=130),
            by_name("Times its threshold", custom__cellOptions=COLORED, custom__width=110,
                    color={"mode": "thresholds"}, **RATIO),
            by_name("Explanation", custom__cellOptions={"type": "auto", "wrapText": True}),
            by_name("Window", custom__width=80),
            by_name("Reference", custom__width=100),
        ],
    )  # fmt: skip


# --- Overview --------------------------------------------------------------------------------------


def overview():
    m = 'job=~"$job",monitor=~"$monitor"'
    scored = f'{m},feature!="",statistic!="samples"'

    def firing(severity):
        return f'sum({newest(f"""pegel_alert_active{{{m},severity="{severity}"}}""")})'

    # 2 critical, 1 warning, 0 quiet, and -1 where no alert of the feature is judged.
    active = {
        severity: newest(f'pegel_alert_active{{{scored},severity="{severity}"}}')
        for severity in ("critical", "warning")
    }
    state = (
        f"max by (job, monitor, feature) (2 * {active['critical']} or {active['warning']})"
        f" or max by (job, monitor, feature) (pegel_score_ready{{{m}}}) * 0 - 1"
    )
    panels = [
        stat("Critical alerts firing", "Alerts of severity critical that fire now, volume alerts included. "
             "\"no data\" means that nothing is judged: look at the operations dashboard.",
             firing("critical"), thresholds=steps(GREEN, (1, RED))),
        stat("Warning alerts firing", "Alerts of severity warning that fire now. A score above both thresholds "
             "counts here and as critical.", firing("warning"), thresholds=steps(GREEN, (1, ORANGE))),
        stat("Worst score, in thresholds", "The largest ratio of a score to its threshold. Above 1 is beyond the "
             "threshold; an alert fires after as many evaluations as its `for` says.",
             f"max(pegel_drift_threshold_ratio{{{m}}})", **RATIO),
        stat("Features drifting", "Share of features with a firing alert in the worst window of all monitors. "
             "Many at once point to the source or its producer, not to single fields.",
             f"max(pegel_features_drifting_ratio{{{m}}})", unit="percentunit", decimals=0,
             thresholds=steps(GREEN, (0.001, ORANGE), (0.2, RED))),
        stat("Features without a score", "Features in a window against a reference that cannot be scored now. "
             "The table at the end has the reasons.",
             f"sum(1 - {newest(f'pegel_score_ready{{{m}}}')})", thresholds=steps(GREEN, (1, YELLOW))),
        stat("Silent monitors", "Monitors without an event for as long as their `silence` says. Their alerts are "
             "held, and drift would stay unseen.",
             f"sum(min without (instance, pod) (pegel_monitor_silent{{{m}}}))", thresholds=steps(GREEN, (1, RED))),
        firing_table("What fires now, and since when?", "Every alert that fires, critical ones first, with its "
                     "explanation. A click on the feature opens the monitor dashboard. Empty is good news if the "
                     "numbers above are zeros, and no news if they say \"no data\".", m, 9),
        panel("state-timeline", "Which features drift, and when?",
              "One line per feature: the worst alert over all windows, references and statistics. Gray: no alert "
              "of the feature was judged, for example while its window filled. A gap: no data.",
              [target(state, "{{monitor}} / {{feature}}")], 24, 12,
              {"custom": {"lineWidth": 0, "fillOpacity": 80}, "color": {"mode": "thresholds"},
               "thresholds": steps(GRAY, (0, GREEN), (1, ORANGE), (2, RED)), "noValue": "no data",
               "mappings": words(v2=("critical", RED), v1=("warning", ORANGE), v0=("quiet", GREEN),
                                 v_1=("not judged", GRAY))},
              {"mergeValues": True, "showValue": "never", "alignValue": "left", "rowHeight": 0.85, "perPage": 30,
               "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
               "tooltip": {"mode": "single", "sort": "none"}}),
        timeseries("How far is the worst score beyond its threshold?", "The largest ratio of a score to its "
                   "threshold, per monitor. The red line is the threshold.",
                   [target(f"max by (job, monitor) (pegel_drift_threshold_ratio{{{m}}})", "{{monitor}}")],
                   unit="suffix: ×", thresholds=steps("transparent", (1, RED)),
                   custom={"thresholdsStyle": {"mode": "dashed"}, "axisSoftMax": 1.5}),
        timeseries("Share of features drifting", "Features with a firing alert among those with an alert that is "
                   "judged, per monitor and window.",
                   [target(newest(f"pegel_features_drifting_ratio{{{m}}}"), "{{monitor}}, {{window}}, {{reference}}")],
                   unit="percentunit", max=1),
        table("Worst scores, in multiples of their threshold", "The 20 scores that are nearest to their lowest "
              "threshold, or farthest beyond it.",
              [target(f"topk(20, max without (instance, pod, severity) (pegel_drift_threshold_ratio{{{m}}}))", table=True)],
              {"monitor": "Monitor", "feature": "Feature", "statistic": "Statistic", "window": "Window",
               "reference": "Reference", "Value": "Times its threshold"},
              ("Times its threshold", True), width=12, height=10,
              overrides=[
                  by_name("Feature", links=monitor_link("monitor", "feature", "window", "reference", "statistic")),
                  by_name("Times its threshold", custom__cellOptions=COLORED, color={"mode": "thresholds"}, **RATIO),
              ]),
        table("Do the monitors receive events?", "Events per second, and the age of the newest event in event time. "
              "A replayed or delayed stream has old events.",
              [target(f"min without (instance, pod) (pegel_monitor_silent{{{m}}})", table=True),
               target(f"sum by (job, monitor) ({rate(f'pegel_events_total{{{m}}}')})", table=True),
               target(f"time() - max by (job, monitor) (pegel_newest_event_timestamp_seconds{{{m}}})", table=True)],
              {"monitor": "Monitor", "Value #A": "Silent", "Value #B": "Events per second",
               "Value #C": "Age of the newest event"},
              ("Silent", True), width=12, height=10,
              overrides=[
                  by_name("Monitor", links=monitor_link("monitor")),
                  by_name("Silent", mappings=words(v0=("no", GREEN), v1=("silent", RED)), custom__cellOptions=COLORED),
                  by_name("Events per second", unit="short", decimals=1),
                  by_name("Age of the newest event", unit="s"),
              ]),
        table("Which features have no score, and why?", "warming: the window fills for the first time, or thresholds "
              "are not known yet. partial: part of the window was not counted. too_few_samples: fewer values than "
              "min_samples. silent: no events. The other reasons are in the manual. Empty is good.",
              [target(newest(f"pegel_score_not_ready{{{m}}}"), table=True)],
              {"monitor": "Monitor", "feature": "Feature", "window": "Window", "reference": "Reference",
               "reason": "Reason"}, ("Monitor", False), height=8,
              overrides=[by_name("Feature", links=monitor_link("monitor", "feature", "window", "reference"))]),
    ]  # fmt: skip
    return dashboard(
        "pegel-overview", "pegel / Overview",
        "Which alerts on data drift fire, since when, and whether all monitors are able to find drift.",
        [monitor_variable(many=True)], panels,
    )  # fmt: skip


# --- Monitor ---------------------------------------------------------------------------------------


def monitor():
    m = 'job=~"$job",monitor="$monitor"'
    windowed = f'{m},window="$window"'
    feature = f'{m},feature=~"$feature",segment=~"$segment",window="$window"'
    k = f'{feature},reference="$reference"'
    chosen = f'{k},statistic="$statistic"'
    rates = f'{k},statistic=~"{RATES}"'
    effective = (
        f"{newest(f'pegel_window_samples{{{feature}}}')}"
        f" / on (job, monitor, feature, segment, window) group_left ()"
        f" max by (job, monitor, feature, segment, window) (pegel_drift_design_effect{{{k}}})"
    )
    panels = [
        stat("Alerts firing", "Alerts of this monitor that fire now, over all features, windows and references.",
             f"sum({newest(f'pegel_alert_active{{{m}}}')})", thresholds=steps(GREEN, (1, RED))),
        stat("Features drifting", "Share of features with a firing alert, in the window and against the reference "
             "that are chosen above.",
             f'max(pegel_features_drifting_ratio{{{windowed},reference="$reference"}})', unit="percentunit", decimals=0,
             thresholds=steps(GREEN, (0.001, ORANGE), (0.2, RED))),
        stat("Coverage of the window", "Share of the window's panes and partitions that were counted. Below "
             "`min_coverage` (90 % by default) the window is not scored.",
             f"min({newest(f'pegel_window_coverage_ratio{{{windowed}}}')})", unit="percentunit", decimals=0,
             thresholds=steps(RED, (0.5, ORANGE), (0.9, GREEN))),
        stat("Age of the newest event", "Time since the event time of the newest event that was counted.",
             f"time() - max(pegel_newest_event_timestamp_seconds{{{m}}})", unit="s"),
        stat("Age of the last evaluation", "Time since the end of the latest window that was evaluated, in event time.",
             f"time() - max(pegel_window_end_timestamp_seconds{{{windowed}}})", unit="s"),
        stat("Age of the reference", "Time since the reference was fitted. Rolling references are not fitted, and "
             "have no age.",
             f'time() - max(pegel_reference_created_timestamp_seconds{{{m},reference="$reference"}})', unit="s"),
        firing_table("What fires in this monitor, and why?", "Every alert of the monitor that fires, also for features "
                     "that are not chosen above. A click on the feature chooses it.", m, 7),
        row("$feature", repeat="feature"),
        timeseries("$statistic of $feature: score, thresholds, noise floor",
                   "The chosen statistic. The score alarms above its threshold, and rates also below their lower "
                   "threshold. The noise floor is the mean score of windows without drift; calibrated alerts only. "
                   "A gap: the score was not ready.",
                   [target(newest(f"pegel_drift_score{{{chosen}}}"), "score"),
                    target(newest(f"pegel_drift_threshold{{{chosen}}}"), "{{severity}} threshold"),
                    target(newest(f"pegel_drift_threshold_lower{{{chosen}}}"), "{{severity}} lower threshold"),
                    target(newest(f"pegel_drift_noise_floor{{{chosen}}}"), "noise floor")],
                   height=9, overrides=THRESHOLD_LINES),
        panel("barchart", "Window against reference: $feature",
              "Share of the values in each bin, now. Bins are exported while an alert of the feature fires, or "
              "always with `export_bins: all`.",
              [target(f"max by (bin, bound) (pegel_window_bin_ratio{{{k}}})", table=True),
               target(f"max by (bin, bound) (pegel_reference_bin_ratio{{{k}}})", table=True)], 12, 9,
              {"unit": "percentunit", "min": 0, "color": {"mode": "palette-classic"}, "noValue": "no alert fires",
               "custom": {"lineWidth": 1, "fillOpacity": 70, "gradientMode": "none", "axisPlacement": "auto"}},
              {"orientation": "auto", "xField": "bound", "showValue": "never", "stacking": "none", "groupWidth": 0.8,
               "barWidth": 0.95, "fullHighlight": False, "xTickLabelRotation": -45, "xTickLabelMaxLength": 16,
               "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
               "tooltip": {"mode": "multi", "sort": "none"}},
              overrides=[by_name("window", color={"mode": "fixed", "fixedColor": ORANGE}),
                         by_name("reference", color={"mode": "fixed", "fixedColor": BLUE})],
              transformations=[
                  {"id": "merge", "options": {}},
                  {"id": "sortBy", "options": {"fields": {}, "sort": [{"field": "bin", "desc": False}]}},
                  {"id": "organize", "options": {
                      "excludeByName": {"Time": True, "bin": True},
                      "indexByName": {"bound": 0, "Value #A": 1, "Value #B": 2},
                      "renameByName": {"Value #A": "window", "Value #B": "reference"}}}]),
        timeseries("Missing, invalid, unseen and out-of-range values of $feature",
                   "Shares of the window. Dashed: their thresholds, where they have an alert. The share of missing "
                   "values in the reference is what they are compared with.",
                   [target(newest(f"pegel_window_missing_ratio{{{feature}}}"), "missing"),
                    target(newest(f'pegel_reference_missing_ratio{{{m},feature=~"$feature",reference="$reference"}}'),
                           "missing in the reference"),
                    target(newest(f'pegel_drift_score{{{k},statistic=~"invalid_ratio|unseen_ratio|out_of_range_ratio"}}'),
                           "{{statistic}}"),
                    target(newest(f"pegel_drift_threshold{{{rates}}}"), "{{statistic}}: {{severity}} threshold"),
                    target(newest(f"pegel_drift_threshold_lower{{{rates}}}"), "{{statistic}}: {{severity}} lower threshold")],
                   unit="percentunit", overrides=[*THRESHOLD_LINES, dashed("in the reference", GRAY)]),
        timeseries("Values of $feature in the window",
                   "A window with fewer values than min_samples is not scored. Effective values are the values divided "
                   "by the design effect: so many independent values would vary as much. Calibrated alerts only.",
                   [target(newest(f"pegel_window_samples{{{feature}}}"), "values"),
                    target(effective, "effective values"),
                    target(newest(f"pegel_window_min_samples{{{windowed}}}"), "min_samples")],
                   unit="short", overrides=[dashed("min_samples", ORANGE)]),
        timeseries("Wasserstein distance of $feature, in its own unit",
                   "The average distance that a value would have to move to turn the window into the reference. "
                   "Numeric features only.",
                   [target(newest(f"pegel_wasserstein_distance{{{k}}}"), "distance")], unit="short", width=8, height=7),
        timeseries("Overlap of $feature with the reference",
                   "The part of the mass that window and reference share. Below 5 %, js and kl are saturated and do "
                   "not grow any more; look at the Wasserstein distance.",
                   [target(newest(f"pegel_support_overlap{{{k}}}"), "overlap")],
                   unit="percentunit", width=8, height=7, max=1),
        timeseries("Design effect of $feature",
                   "How much more windows without drift vary than independent values would, per statistic. At least "
                   "1; a large one means that neighbouring values resemble each other. Calibrated alerts only.",
                   [target(newest(f"pegel_drift_design_effect{{{k}}}"), "{{statistic}}")],
                   unit="suffix: ×", width=8, height=7),
        row("The monitor as a whole"),
        timeseries("Coverage of the windows", "Share of the panes and partitions of each window that were counted. "
                   "It drops after a stop that was longer than the retention, and where a partition stalls.",
                   [target(newest(f"pegel_window_coverage_ratio{{{m}}}"), "{{window}}")],
                   unit="percentunit", width=8, max=1),
        timeseries("Events per second", "Events counted, events counted although late, and records dropped by "
                   "reason. filtered: the record belongs to another monitor.",
                   [target(f"sum({rate(f'pegel_events_total{{{m}}}')})", "counted"),
                    target(f"sum({rate(f'pegel_events_late_total{{{m}}}')})", "counted, late"),
                    target(f"sum by (reason) ({rate(f'pegel_events_dropped_total{{{m}}}')}) > 0", "dropped: {{reason}}")],
                   unit="short", width=8),
        timeseries("Features with significant drift", "Features that drift at a false discovery rate of 5 %, whatever "
                   "their thresholds are. Calibrated alerts only.",
                   [target(newest(f'pegel_features_significant{{{m},reference="$reference"}}'), "{{window}}")],
                   unit="short", width=8, decimals=0),
    ]  # fmt: skip
    variables = [
        monitor_variable(many=False),
        variable("feature", "Feature", f"label_values(pegel_feature_info{{{m}}}, feature)", multi=True, all_value=".+"),
        variable("segment", "Segment", f"label_values(pegel_score_ready{{{m}}}, segment)", all_value="^$",
                 description="All: the events of all segments together."),
        variable("window", "Window", f"label_values(pegel_window_size_seconds{{{m}}}, window)", sort=7),
        variable("reference", "Reference", f"label_values(pegel_reference_loaded{{{m}}}, reference)"),
        variable("statistic", "Statistic", f'label_values(pegel_drift_score{{{m},feature!=""}}, statistic)', current="js"),
    ]  # fmt: skip
    # A monitor may have hundreds of features, so the first one is shown and not all of them.
    del variables[1]["current"]
    return dashboard(
        "pegel-monitor", "pegel / Monitor",
        "One monitor, feature by feature: scores with their thresholds, distributions, rates and sample sizes.",
        variables, panels, monitor='monitor="$monitor"',
    )  # fmt: skip


# --- Operations ------------------------------------------------------------------------------------


def operations():
    job = 'job=~"$job"'
    process = f'{job},instance=~"$instance"'
    m = f'{job},monitor=~"$monitor"'
    source = f'{job},source=~"$source"'

    def ingested(metric):
        """The rate of a counter that each ingester has for its own partitions."""
        return f"sum by (source, topic) (rate({metric}{{{source}}}[$__rate_interval]))"

    def quantile(q, metric, by):
        buckets = newest(f"rate({metric}_bucket{{{m}}}[$__rate_interval])")
        return f"histogram_quantile({q}, sum by (le, {by}) ({buckets}))"

    panels = [
        stat("Processes that answer", "Targets of the job that Prometheus can scrape, of all of them.",
             f"sum(up{{{job}}}) / count(up{{{job}}})", unit="percentunit", decimals=0,
             thresholds=steps(RED, (1, GREEN))),
        stat("Sources without a broker", "Sources for which no Kafka broker answers. Nothing is counted meanwhile.",
             f"sum(1 - max by (job, source) (pegel_kafka_up{{{source}}}))", thresholds=steps(GREEN, (1, RED))),
        stat("Records not read yet", "Consumer lag over all partitions.",
             f"sum(pegel_kafka_consumer_lag_records{{{source}}})", unit="short",
             thresholds=steps(GREEN, (100000, ORANGE))),
        stat("Reading the pane log", "Processes that read their pane log after a start. Until they have, they export "
             "no series of monitors.", f"sum(pegel_recovering{{{process}}})", thresholds=steps(GREEN, (1, ORANGE))),
        stat("Failed reloads", "Processes whose last reload failed: the previous configuration is in force, and a "
             "restart would fail.", f"sum(1 - pegel_config_last_reload_successful{{{process}}})",
             thresholds=steps(GREEN, (1, RED))),
        stat("Series against the limit", "Series in a scrape, as a share of limits.max_series. A configuration that "
             "may exceed the limit does not start.",
             f"max(pegel_series{{{process}}} / pegel_series_limit{{{process}}})", unit="percentunit", decimals=0,
             thresholds=steps(GREEN, (0.8, ORANGE), (1, RED))),

        row("Kafka"),
        timeseries("Records read per second", "Records that were read from each topic.",
                   [target(ingested("pegel_kafka_records_consumed_total"), "{{source}}, {{topic}}")],
                   unit="short", width=8),
        timeseries("Bytes read per second", "Payload that was read from each topic.",
                   [target(ingested("pegel_kafka_bytes_consumed_total"), "{{source}}, {{topic}}")],
                   unit="Bps", width=8),
        timeseries("Records not read yet, by topic", "Consumer lag. It grows while records arrive faster than they are "
                   "read, and while no broker answers. Partitions that are not assigned are left out.",
                   [target(f"sum by (source, topic) (pegel_kafka_consumer_lag_records{{{source}}})",
                           "{{source}}, {{topic}}")], unit="short", width=8),
        timeseries("Partitions assigned", "Partitions that are read now. A drop that lasts means partitions that "
                   "nobody reads.",
                   [target(f"sum by (source, topic) (pegel_kafka_partitions_assigned{{{source}}})",
                           "{{source}}, {{topic}}")], unit="short", width=8, decimals=0),
        timeseries("Rebalances and errors of Kafka, per minute", "Partitions that were assigned or revoked, and errors "
                   "of the Kafka client by librdkafka's code. Frequent rebalances mean that processes come and go.",
                   [target(f"60 * sum by (source, kind) (rate(pegel_kafka_rebalances_total{{{source}}}[$__rate_interval]))",
                           "{{source}}: {{kind}}"),
                    target(f"60 * sum by (source, code) (rate(pegel_kafka_errors_total{{{source}}}[$__rate_interval]))",
                           "{{source}}: error {{code}}")], unit="short", width=8),
        timeseries("Records lost or empty, per second", "lost: offsets that retention removed before they were read. "
                   "tombstone: records without a payload, which is no error.",
                   [target(ingested("pegel_kafka_offsets_lost_total"), "{{topic}}: lost"),
                    target(ingested("pegel_kafka_tombstones_total"), "{{topic}}: tombstone")], unit="short", width=8),

        row("Events"),
        timeseries("Event delay: arrival minus event time", "Half of the events arrive faster than the median, and 99 % "
                   "faster than the 99th percentile. Records behind `out_of_orderness` are late.",
                   [target(quantile(0.5, "pegel_event_delay_seconds", "source, monitor"), "{{monitor}}: median"),
                    target(quantile(0.99, "pegel_event_delay_seconds", "source, monitor"), "{{monitor}}: 99th percentile")],
                   unit="s", width=8),
        timeseries("Watermark behind the clock", "Windows are evaluated up to the watermark. It stands still while one "
                   "partition holds it; /-/ready names the partition.",
                   [target(f"time() - max by (source, monitor) (pegel_watermark_timestamp_seconds{{{m}}})", "{{monitor}}")],
                   unit="s", width=8),
        timeseries("Records that cannot be decoded, per second", "By source and reason. They are in no window; the log "
                   "has topic, partition and offset of one of them.",
                   [target(f"sum by (source, reason) ({rate(f'pegel_decode_errors_total{{{source}}}')})",
                           "{{source}}: {{reason}}")], unit="short", width=8),
        timeseries("Events dropped, per second", "By monitor and reason. filtered: the record belongs to another "
                   "monitor. late: it arrived behind the watermark by more than the longest window.",
                   [target(f"sum by (monitor, reason) ({rate(f'pegel_events_dropped_total{{{m}}}')})",
                           "{{monitor}}: {{reason}}")], unit="short", width=12),
        timeseries("Events counted, per second", "Events that were counted by each monitor, and those of them that were "
                   "late.",
                   [target(f"sum by (monitor) ({rate(f'pegel_events_total{{{m}}}')})", "{{monitor}}"),
                    target(f"sum by (monitor) ({rate(f'pegel_events_late_total{{{m}}}')})", "{{monitor}}: late")],
                   unit="short", width=12),

        row("Evaluation and pane log"),
        timeseries("Duration of an evaluation", "Half of the evaluations are faster than the median, and 99 % faster "
                   "than the 99th percentile.",
                   [target(quantile(0.5, "pegel_evaluation_duration_seconds", "monitor"), "{{monitor}}: median"),
                    target(quantile(0.99, "pegel_evaluation_duration_seconds", "monitor"), "{{monitor}}: 99th percentile")],
                   unit="s", width=8),
        timeseries("Evaluations per minute", "Windows that were evaluated, and those that were skipped because they "
                   "were empty.",
                   [target(f"60 * sum by (monitor) ({rate(f'pegel_evaluations_total{{{m}}}')})", "{{monitor}}"),
                    target(f"60 * sum by (monitor, reason) ({rate(f'pegel_evaluations_skipped_total{{{m}}}')})",
                           "{{monitor}}: skipped, {{reason}}")], unit="short", width=8),
        timeseries("Commits to the pane log, per second", "Batches of counts that were accepted.",
                   [target(f"sum by (source) ({rate(f'pegel_pane_log_commits_total{{{source}}}')})", "{{source}}")],
                   unit="short", width=8),
        timeseries("Commits rejected, per second", "By reason. A few after a rebalance are normal. Many mean that two "
                   "deployments share a consumer group or a panes topic.",
                   [target(f"sum by (source, reason) ({rate(f'pegel_pane_log_rejected_total{{{source}}}')})",
                           "{{source}}: {{reason}}")], unit="short", width=8),
        timeseries("Commits of the pane log that are not read yet", "How far each scorer is behind the ingesters. Only "
                   "for a pane log on Kafka.",
                   [target(f"sum by (instance) (pegel_pane_log_lag_records{{{process}}})", "{{instance}}")],
                   unit="short", width=8),
        timeseries("Snapshots written, per hour", "Snapshots of a pane log on Kafka, and those that failed and are "
                   "written again. A pane log in files has none.",
                   [target(f"3600 * rate(pegel_pane_log_snapshots_total{{{process}}}[$__rate_interval])",
                           "{{instance}}: written"),
                    target(f"3600 * rate(pegel_pane_log_snapshots_failed_total{{{process}}}[$__rate_interval])",
                           "{{instance}}: failed")], unit="short", width=8),

        row("Process"),
        timeseries("Memory", "Resident memory of each process.",
                   [target(f"process_resident_memory_bytes{{{process}}}", "{{instance}}")], unit="bytes", width=8),
        timeseries("CPU, in cores", "CPU time per second of each process.",
                   [target(f"rate(process_cpu_seconds_total{{{process}}}[$__rate_interval])", "{{instance}}")],
                   unit="short", width=8),
        timeseries("Series", "Series in each scrape, without process_*. Dashed: limits.max_series.",
                   [target(f"pegel_series{{{process}}}", "{{instance}}"),
                    target(f"pegel_series_limit{{{process}}}", "{{instance}}: limit")],
                   unit="short", width=8, overrides=[dashed("limit", RED)]),
        table("Which versions run, since when?", "One line per process.",
              [target(f"1000 * (process_start_time_seconds{{{process}}} * on (job, instance) group_left (version) "
                      f"pegel_build_info{{{process}}})", table=True),
               target(f"process_open_fds{{{process}}} / process_max_fds{{{process}}}", table=True)],
              {"job": "Job", "instance": "Instance", "version": "Version", "Value #A": "Started",
               "Value #B": "Open files, of the limit"},
              ("Started", True), height=6,
              overrides=[by_name("Started", unit="dateTimeFromNow"),
                         by_name("Open files, of the limit", unit="percentunit", decimals=1)]),
    ]  # fmt: skip
    variables = [
        variable("instance", "Instance", f"label_values(pegel_build_info{{{job}}}, instance)", multi=True, all_value=".+"),
        variable("source", "Source", f"label_values(pegel_kafka_up{{{job}}}, source)", multi=True, all_value=".+"),
        monitor_variable(many=True),
    ]  # fmt: skip
    return dashboard(
        "pegel-operations", "pegel / Operations",
        "Whether pegel itself works: what it reads, how far behind it is, what it drops, and what it costs.",
        variables, panels,
    )  # fmt: skip


def main():
    is_check = sys.argv[1:] == ["--check"]
    stale = []
    for name, content in {"overview": overview(), "monitor": monitor(), "operations": operations()}.items():
        path = DIRECTORY / f"{name}.json"
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        if is_check and (not path.exists() or path.read_text(encoding="utf-8") != text):
            stale.append(str(path))
        elif not is_check:
            path.write_text(text, encoding="utf-8")
    if stale:
        sys.exit(f"not what generate.py writes: {', '.join(stale)}")


main()
