//! Unusual columns of data files, and the messages about them: times that cannot be read, texts
//! among numbers, decimal commas, names, dates, constants, renamed columns.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use crate::support::{run, write};

/// A table of `rows` rows under a header; `cells` writes those of one row.
fn table(header: &str, rows: u32, cells: impl Fn(u32) -> String) -> String {
    let mut table = header.to_owned() + "\n";
    for i in 0..rows {
        table += &(cells(i) + "\n");
    }
    table
}

/// A number between 0 and 100 that looks random.
fn spread(i: u32) -> f64 {
    f64::from(i * 7919 % 1000) / 10.0
}

/// A reference as JSON.
fn reference(directory: &Path, name: &str) -> Value {
    let text = std::fs::read_to_string(directory.join(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Name and kind of each feature of a reference.
fn kinds(directory: &Path, name: &str) -> Vec<(String, String)> {
    let features = reference(directory, name)["features"].clone();
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    features
        .as_array()
        .unwrap()
        .iter()
        .map(|feature| (word(&feature["name"]), word(&feature["kind"])))
        .collect()
}

fn assert_says(messages: &str, expected: &[&str]) {
    for line in expected {
        assert!(messages.contains(line), "{line}\n--- in\n{messages}");
    }
}

/// A configuration of the monitor `m` with windows of five minutes and these options.
fn config(options: &str) -> String {
    format!(
        "version: 1
sources: {{s: {{kafka: {{brokers: [\"127.0.0.1:1\"], topics: [t]}}}}}}
monitors:
  - name: m
    source: s
    windows: [{{size: 5m, slide: 1m, min_samples: 50}}]
    timestamp: {{path: /ts}}
{options}"
    )
}

/// Milliseconds of 2026-11-01, one row each second.
fn time(i: u32) -> String {
    (1_793_491_200_000 + i64::from(i) * 1000).to_string()
}

/// Half of the times could not be read: exit 0, and "rows with an unreadable time: 600".
#[test]
fn times_that_cannot_be_read_are_an_error_where_they_are_many() {
    let directory = tempfile::tempdir().unwrap();
    let with_bad = |every: u32| {
        table("ts,x", 1200, |i| match i % every {
            2 => format!("soon,{}", spread(i)),
            _ => format!("{},{}", time(i), spread(i)),
        })
    };
    let good = table("ts,x", 1200, |i| format!("{},{}", time(i), spread(i)));
    write(directory.path(), "half.csv", &with_bad(4));
    write(directory.path(), "few.csv", &with_bad(400));
    write(directory.path(), "good.csv", &good);
    let expected = "expected a text such as 2026-11-01T00:00:00Z";
    let many = "half.csv: 300 of 1200 rows have a time that cannot be read, as \"soon\" in row 3";
    let few = "few.csv: 3 of 1200 rows have a time that cannot be read, as \"soon\" in row 3";
    let fit = |input: &str, more: &[&str]| {
        let fit = ["fit", input, "--timestamp", "ts", "-o", "ref.json"];
        run(directory.path(), &[&fit[..], more].concat())
    };
    let (code, _, messages) = fit("half.csv", &[]);
    assert_eq!(code, 1, "{messages}");
    assert_says(&messages, &[many, expected, "--force fits the reference"]);
    assert!(!directory.path().join("ref.json").exists(), "{messages}");
    let (code, _, messages) = fit("half.csv", &["--force"]);
    assert_eq!(code, 0, "{messages}");
    assert_says(&messages, &[many, "rows from 2026-11-01T00:00:00Z"]);
    let (code, _, messages) = fit("few.csv", &[]);
    assert_eq!(code, 0, "{messages}");
    assert_says(&messages, &[few]);

    assert_eq!(fit("good.csv", &[]).0, 0);
    let options = "    reference: {file: ref.json}\n";
    write(directory.path(), "pegel.yaml", &config(options));
    for command in ["replay", "calibrate"] {
        let (code, output, messages) = run(
            directory.path(),
            &[command, "-c", "pegel.yaml", "--input", "half.csv"],
        );
        assert_eq!(code, 1, "{command}: {messages}");
        assert_says(&messages, &[many, expected, "300 bad_timestamp"]);
        assert!(command == "replay" || output.is_empty(), "{output}");
    }
    let replay = ["replay", "-c", "pegel.yaml", "--input", "few.csv"];
    let (code, _, messages) = run(directory.path(), &replay);
    assert_eq!(code, 0, "{messages}");
    assert_says(&messages, &[few]);
}

/// The samples, missing and invalid values of a feature of a fitted reference.
fn counts_of(directory: &Path, name: &str, feature: usize) -> (u64, u64, u64) {
    let feature = &reference(directory, name)["features"][feature];
    let sum = |key: &str| -> u64 {
        let counts = feature[key].as_object().unwrap().values();
        counts.map(|count| count.as_u64().unwrap()).sum()
    };
    (
        feature["samples"].as_u64().unwrap(),
        sum("missing"),
        sum("invalid"),
    )
}

/// A table of price, size and country with a few texts among the prices and three spellings of null
/// among the sizes.
fn orders() -> String {
    table("price,size,country", 2000, |i| {
        let price = match i % 200 {
            3 => "unknown".to_owned(),
            4 => "EUR 12.3".to_owned(),
            _ => format!("{}", spread(i) + f64::from(i) / 1e6),
        };
        let size = match i % 100 {
            0 => "NA".to_owned(),
            1 => "null".to_owned(),
            2 => " ".to_owned(),
            _ => (i * 31 % 500).to_string(),
        };
        format!("{price},{size},{}", ["DE", "FR", "NA"][i as usize % 3])
    })
}

/// A table of price, size and country as NDJSON, with null for what is missing.
fn as_json(rows: &str) -> String {
    rows.lines().skip(1).fold(String::new(), |mut lines, row| {
        let cells: Vec<&str> = row.split(',').collect();
        let number = |cell: &str| match cell.trim().parse::<f64>() {
            Ok(_) => cell.to_owned(),
            Err(_) if matches!(cell.trim(), "" | "NA" | "null") => "null".to_owned(),
            Err(_) => format!("{cell:?}"),
        };
        let country = match cells[2] {
            "NA" => "null".to_owned(),
            country => format!("{country:?}"),
        };
        let (price, size) = (number(cells[0]), number(cells[1]));
        writeln!(
            lines,
            "{{\"price\":{price},\"size\":{size},\"country\":{country}}}"
        )
        .unwrap();
        lines
    })
}

/// Half a percent of texts made a numeric column categorical, with thousands of categories.
#[test]
fn a_few_texts_among_numbers_are_invalid_values_and_the_spellings_of_null_are_missing() {
    let directory = tempfile::tempdir().unwrap();
    let rows = orders();
    write(directory.path(), "rows.csv", &rows);
    let fit = ["fit", "rows.csv", "-o", "ref.json"];
    let (code, _, messages) = run(directory.path(), &fit);
    assert_eq!(code, 0, "{messages}");
    let kind = |name: &str, kind: &str| (name.to_owned(), kind.to_owned());
    assert_eq!(
        kinds(directory.path(), "ref.json"),
        [
            kind("price", "numeric"),
            kind("size", "numeric"),
            kind("country", "categorical")
        ],
        "{messages}"
    );
    assert_says(
        &messages,
        &[
            "column price: 20 of 2000 values (1.0 %) are no numbers and count as invalid: \"unknown\", \
             \"EUR 12.3\" (the first in row 4)",
            "`--categorical` takes the column as categories",
            "read as missing values: \"NA\" of size (20), \"null\" of size (20), \"NA\" of country (666)",
        ],
    );
    let counts = |name: &str, feature: usize| counts_of(directory.path(), name, feature);
    assert_eq!(counts("ref.json", 0), (1980, 0, 20), "price");
    assert_eq!(counts("ref.json", 1), (1940, 60, 0), "size");
    assert_eq!(counts("ref.json", 2), (1334, 666, 0), "country");

    // The same rows as JSON, with null for what is missing, are the same data.
    write(directory.path(), "rows.ndjson", &as_json(&rows));
    for current in ["rows.csv", "rows.ndjson"] {
        let compare = ["compare", "ref.json", current, "--format", "json"];
        let (_, output, messages) = run(directory.path(), &compare);
        let document: Value = serde_json::from_str(&output).unwrap();
        for feature in document["features"].as_array().unwrap() {
            assert_eq!(feature["scores"]["js"], 0.0, "{current}: {feature}");
            assert_eq!(feature["verdict"], "none", "{current}: {messages}");
        }
    }

    // A country may be called NA.
    let (code, _, messages) = run(directory.path(), &[&fit[..], &["--missing", ""]].concat());
    assert_eq!(code, 0, "{messages}");
    assert_eq!(counts("ref.json", 2), (2000, 0, 0), "country");
    assert_eq!(counts("ref.json", 1), (1940, 20, 40), "size");
    let given = [
        &fit[..],
        &["--missing", "unknown,-", "--categorical", "price"],
    ]
    .concat();
    let (code, _, messages) = run(directory.path(), &given);
    assert_eq!(code, 0, "{messages}");
    assert_eq!(counts("ref.json", 0), (1990, 10, 0), "price");
    assert_eq!(kinds(directory.path(), "ref.json")[0].1, "categorical");
}

/// A spreadsheet's `12,50` was a category of its own, like every other price.
#[test]
fn decimal_commas_are_read_as_numbers_and_noted() {
    let directory = tempfile::tempdir().unwrap();
    let price = |i: u32| format!("{:.2}", spread(i) * 40.0);
    let comma = table("id;price", 2000, |i| {
        let price = price(i);
        let (whole, fraction) = price.split_once('.').unwrap();
        match whole.split_at_checked(whole.len().saturating_sub(3)) {
            Some((thousands, rest)) if !thousands.is_empty() => {
                format!("n{i};{thousands}.{rest},{fraction}")
            }
            _ => format!("n{i};{whole},{fraction}"),
        }
    });
    assert!(
        comma.contains(";3.0") && comma.contains(";12,"),
        "both forms"
    );
    let point = table("id,price", 2000, |i| format!("n{i},{}", price(i)));
    write(directory.path(), "comma.csv", &comma);
    write(directory.path(), "point.csv", &point);
    let fit = ["fit", "comma.csv", "-o", "ref.json"];
    let (code, _, messages) = run(directory.path(), &fit);
    assert_eq!(code, 0, "{messages}");
    let note =
        "comma.csv: a comma is the decimal sign, as in \"0,00\" of column price; --decimal .";
    assert_says(&messages, &[note]);
    let kind = [("price".to_owned(), "numeric".to_owned())];
    assert_eq!(kinds(directory.path(), "ref.json"), kind, "{messages}");
    for current in ["comma.csv", "point.csv"] {
        let compare = ["compare", "ref.json", current, "--format", "json"];
        let (_, output, messages) = run(directory.path(), &compare);
        let document: Value = serde_json::from_str(&output).unwrap();
        let price = &document["features"][0];
        assert_eq!(price["scores"]["wasserstein"], 0.0, "{current}: {messages}");
        assert_eq!(price["samples"], 2000, "{current}: {messages}");
    }
    let (code, _, messages) = run(directory.path(), &[&fit[..], &["--decimal", "."]].concat());
    assert_eq!(code, 1, "no feature is left: {messages}");
    assert_says(
        &messages,
        &["numbers with a comma such as \"0,00\" in row 1"],
    );

    // Where a comma separates columns, it is not guessed what one in quotes means.
    let quoted = table("x,price", 2000, |i| {
        format!("{},\"{},{:03}\"", i % 7, i % 9 + 1, i % 1000)
    });
    write(directory.path(), "quoted.csv", &quoted);
    let (code, _, messages) = run(directory.path(), &["fit", "quoted.csv", "-o", "ref.json"]);
    assert_eq!(code, 0, "{messages}");
    let kind = [("x".to_owned(), "numeric".to_owned())];
    assert_eq!(kinds(directory.path(), "ref.json"), kind, "{messages}");
    assert_says(
        &messages,
        &["column price: numbers with a comma such as \"1,000\" in row 1"],
    );
}

/// They were references with thousands of categories, of which each new value was an unseen one.
#[test]
fn names_and_dates_are_left_out_unless_they_are_chosen() {
    let directory = tempfile::tempdir().unwrap();
    let rows = table("session,name,day,birth,shop,x", 3000, |i| {
        format!(
            "s{},n{},2026-{:02}-{:02},{}.{}.19{:02},shop {},{}",
            i / 8,
            i * 9 / 10,
            i / 30 % 12 + 1,
            i % 28 + 1,
            i % 28 + 1,
            i % 12 + 1,
            i % 100,
            (i % 71) * (i % 53) % 67,
            spread(i)
        )
    });
    write(directory.path(), "rows.csv", &rows);
    let fit = ["fit", "rows.csv", "-o", "ref.json"];
    let (code, _, messages) = run(directory.path(), &fit);
    assert_eq!(code, 0, "{messages}");
    let names: Vec<String> = kinds(directory.path(), "ref.json")
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["shop", "x"], "{messages}");
    assert_says(
        &messages,
        &[
            "an identifier or a name: 375 different texts, the 50 most frequent hold 13 % of the values",
            "an identifier or a name: more than 1000 different texts",
            "dates such as \"2026-01-01\" in row 1",
            "dates such as \"1.1.1900\" in row 1",
            "left out: session, name, day, birth; --categorical NAME takes a column nevertheless",
            "shop: 50 of 67 categories have a bin each, the others (",
            " of the values) share the bin other; `top` of the feature sets another number",
        ],
    );
    let chosen = [&fit[..], &["--categorical", "session,day"]].concat();
    let (code, _, messages) = run(directory.path(), &chosen);
    assert_eq!(code, 0, "{messages}");
    assert_says(
        &messages,
        &["session: 50 of 375 categories have a bin each, the others (86.7 % of the values)"],
    );
    assert_eq!(kinds(directory.path(), "ref.json").len(), 4);
}

/// A flag that was always true could turn false in every row: it had a score and no threshold.
#[test]
fn any_change_of_a_constant_is_drift() {
    let directory = tempfile::tempdir().unwrap();
    let rows = |number: &'static str, word: &'static str, flag: &'static str, every: u32| {
        table("number,word,flag,x", 2000, move |i| match i % every {
            0 => format!("{number},{word},{flag},{}", spread(i)),
            _ => format!("7,red,true,{}", spread(i)),
        })
    };
    write(directory.path(), "same.csv", &rows("7", "red", "true", 1));
    write(directory.path(), "all.csv", &rows("9", "blue", "false", 1));
    write(
        directory.path(),
        "some.csv",
        &rows("7.1", "blue", "false", 50),
    );
    let (code, _, messages) = run(directory.path(), &["fit", "same.csv", "-o", "ref.json"]);
    assert_eq!(code, 0, "{messages}");
    let compare = |current: &str, format: &str| {
        let compare = ["compare", "ref.json", current, "--format", format];
        run(
            directory.path(),
            &[&compare[..], &["--fail-on", "critical"]].concat(),
        )
    };
    assert_eq!(compare("same.csv", "json").0, 0);
    for (current, share) in [("all.csv", "100.0 %"), ("some.csv", "2.0 %")] {
        let (code, output, messages) = compare(current, "json");
        assert_eq!(code, 3, "{current}: {messages}");
        let document: Value = serde_json::from_str(&output).unwrap();
        for feature in &document["features"].as_array().unwrap()[..3] {
            assert_eq!(feature["verdict"], "critical", "{current}: {feature}");
        }
        let (_, output, _) = compare(current, "markdown");
        assert_says(
            &output,
            &[
                &format!("unseen 0.0 % -> {share}: blue"),
                &format!("unseen 0.0 % -> {share}: false"),
                &format!("out of range 0.0 % -> {share}"),
            ],
        );
    }
    let (_, output, _) = compare("all.csv", "markdown");
    let row = output.lines().find(|line| line.contains("number")).unwrap();
    assert!(row.contains(" 2.000 "), "the distance from 7 to 9: {row}");
}

/// "missing 100 %" did not tell that the column was called otherwise.
#[test]
fn an_absent_column_is_named_with_the_one_that_it_may_be() {
    let directory = tempfile::tempdir().unwrap();
    let rows = |header: &str| {
        table(header, 1200, |i| {
            format!("{},{},{}", time(i), spread(i), ["DE", "FR"][i as usize % 2])
        })
    };
    write(directory.path(), "rows.csv", &rows("ts,amount,country"));
    write(directory.path(), "renamed.csv", &rows("ts,Amount,nation"));
    let lines = rows("")
        .lines()
        .skip(1)
        .fold(String::new(), |mut lines, row| {
            let cells: Vec<&str> = row.split(',').collect();
            let (ts, amount, country) = (cells[0], cells[1], cells[2]);
            writeln!(
                lines,
                "{{\"ts\":{ts},\"Amount\":{amount},\"nation\":{country:?}}}"
            )
            .unwrap();
            lines
        });
    write(directory.path(), "renamed.ndjson", &lines);
    let fit = ["fit", "rows.csv", "--timestamp", "ts", "-o", "ref.json"];
    let (code, _, messages) = run(directory.path(), &fit);
    assert_eq!(code, 0, "{messages}");
    write(
        directory.path(),
        "pegel.yaml",
        &config("    reference: {file: ref.json}\n"),
    );
    for (data, rows) in [
        ("renamed.csv", ""),
        ("renamed.ndjson", " in the first 1000 rows"),
    ] {
        let amount = format!("{data}: no column amount{rows}, did you mean \"Amount\"?");
        let check = |arguments: &[&str], unread: &str| {
            let country = format!(
                "{data}: no column country{rows}; columns that no feature reads: {unread}\n"
            );
            let (_, _, messages) = run(directory.path(), arguments);
            assert_says(&messages, &[&amount, &country]);
        };
        check(&["compare", "ref.json", data], "ts, Amount, nation");
        let replay = ["replay", "-c", "pegel.yaml", "--input", data];
        check(&replay, "Amount, nation");
    }
    let (_, _, messages) = run(directory.path(), &["compare", "ref.json", "rows.csv"]);
    assert!(!messages.contains("no column"), "{messages}");
    let sample = "{\"ts\": 1793491200, \"Amount\": 1, \"country\": null}";
    let check = ["check", "-c", "pegel.yaml", "--sample", sample];
    let (_, output, _) = run(directory.path(), &check);
    assert_says(
        &output,
        &["amount (numeric): missing (absent), did you mean /Amount?"],
    );
}

/// The tables of `fit --config` were those of blocks and of `min_samples`: a started daemon
/// simulated those of its windows first, and was blind meanwhile.
#[test]
fn a_fit_stores_the_null_tables_of_the_windows_of_its_reference() {
    let directory = tempfile::tempdir().unwrap();
    // 20 rows a minute for two hours, then 200 a minute: windows of 100 to 1000 rows.
    let rows = table("ts,x", 26_400, |i| {
        let seconds = match i {
            0..2400 => f64::from(i) * 3.0,
            _ => 7200.0 + f64::from(i - 2400) * 0.3,
        };
        let time = 1_793_491_200.0 + seconds;
        format!("{time:.3},{}", spread(i) + f64::from(i % 97) / 100.0)
    });
    write(directory.path(), "rows.csv", &rows);
    let options = "    reference: {file: ref.json}\n    features: [{name: x, kind: numeric}]\n";
    let sizes = |path: &str| -> Vec<f64> {
        let config = config(options).replace("path: /ts", path);
        write(directory.path(), "pegel.yaml", &config);
        let fit = ["fit", "rows.csv", "-c", "pegel.yaml", "-o", "ref.json"];
        let (code, _, messages) = run(directory.path(), &fit);
        assert_eq!(code, 0, "{messages}");
        let stored = reference(directory.path(), "ref.json")["calibration"][0]["nulls"].clone();
        stored
            .as_array()
            .unwrap()
            .iter()
            .map(|table| {
                let half = table["half"].as_bool().unwrap_or(false);
                2f64.powf(table["k"].as_f64().unwrap() + if half { 0.5 } else { 0.0 })
            })
            .collect()
    };
    let timed = sizes("path: /ts");
    for window in [100.0, 300.0, 1000.0] {
        let below = timed.iter().copied().filter(|size| *size <= window);
        let above = timed.iter().copied().filter(|size| *size >= window);
        let (below, above) = (below.fold(0.0, f64::max), above.fold(f64::MAX, f64::min));
        assert!(above / below <= 2.0, "tables around {window}: {timed:?}");
    }
    // Rows without a time do not tell: twice the 50 of `min_samples`.
    let untimed = sizes("path: /gone");
    let (least, most) = (untimed[0], untimed[untimed.len() - 1]);
    assert!(
        least <= 100.0 && most >= 100.0 && most / least <= 2.0,
        "{untimed:?}"
    );
}

/// The error named a temporary file that nobody had asked for, and came after the whole work.
#[test]
fn an_output_that_cannot_be_written_is_named_before_the_work() {
    let directory = tempfile::tempdir().unwrap();
    write(
        directory.path(),
        "rows.csv",
        &table("x", 200, |i| spread(i).to_string()),
    );
    let fit = ["fit", "rows.csv", "-o", "missing/out.json"];
    let (code, _, messages) = run(directory.path(), &fit);
    assert_eq!(code, 1, "{messages}");
    assert_says(
        &messages,
        &["missing/out.json: cannot be written: No such file"],
    );
    assert!(!messages.contains(".tmp"), "{messages}");
    assert!(
        !messages.contains("column"),
        "before the rows are read: {messages}"
    );
}

/// `fit t.ndjson -o t.ndjson` replaced the training data, `replay` emptied its input.
#[test]
fn an_output_that_is_the_input_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let rows = orders();
    write(directory.path(), "rows.csv", &rows);
    let (code, _, messages) = run(directory.path(), &["fit", "rows.csv", "-o", "./rows.csv"]);
    assert_eq!(code, 2, "{messages}");
    assert_says(
        &messages,
        &["./rows.csv is the input, expected another file"],
    );
    let replay = [
        "replay",
        "-c",
        "none.yaml",
        "--input",
        "rows.csv",
        "-o",
        "rows.csv",
    ];
    let (code, _, messages) = run(directory.path(), &replay);
    assert_eq!(code, 2, "{messages}");
    assert_says(&messages, &["rows.csv is the input"]);
    let kept = std::fs::read_to_string(directory.path().join("rows.csv")).unwrap();
    assert!(kept == rows, "untouched");
}
