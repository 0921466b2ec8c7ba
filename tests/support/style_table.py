#!/usr/bin/env python3
"""Prints the figures of the house style for one or more trees, as one Markdown table.

    tests/support/style_table.py                     the tree that holds this script
    tests/support/style_table.py OLD .               two trees side by side

The first rows are about language, the others follow the twenty points on which the project compares
itself with the field. Points that only a reader can judge say so. Unless a row says otherwise, a
figure is about the product: `src` without its tests, and "per kloc" means per 1,000 lines of code,
blank lines and comments not counted.
"""

import argparse
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from statistics import median

sys.dont_write_bytecode = True

from rust_imports import Imports, table_of
from rust_source import cut_chains, functions, read_tree

PURE = "stats model decode observe panes window score calibration alert engine".split()
HEADLESS = re.compile(r"(what|whether|how|which|where|who|why)\b", re.IGNORECASE)
# The banned bindings but own and found, which have rows, and `all`, which is a method as well.
OTHER_BANNED = "place said one other pairs parts".split()
METRIC_FILES = ["docs/metrics.md", "deploy/**/*.rules.yml", "deploy/**/*dashboard*.json"]
MANUAL = (
    "index quickstart commands configuration scores alerts references metrics http-api operations"
    " architecture glossary adr images"
).split()
LAST_COMMITS = 200
READER = "by reading"


def percent(part, whole):
    return f"{100 * part / whole:.1f} %" if whole else "none"


def per_kloc(count, lines):
    return f"{1000 * count / lines:.1f}" if lines else "none"


def spread(numbers):
    """Median, 90th percentile and maximum."""
    numbers = sorted(numbers)
    if not numbers:
        return "none"
    return f"{numbers[len(numbers) // 2]} / {numbers[int(len(numbers) * 0.9)]} / {numbers[-1]}"


class Tree:
    """The files of a tree and what several rows need of them."""

    def __init__(self, root):
        self.root = root
        self.sources = read_tree(root, "src")
        self.tests = read_tree(root, "tests")
        self.product = [file for file in self.sources if not file.is_test()]
        counts = [file.count_lines() for file in self.sources]
        self.code = sum(code for code, _ in counts)
        self.pure = [file for file in self.sources if file.room() in PURE]

    def read(self, path):
        file = self.root / path
        return file.read_text(encoding="utf-8") if file.is_file() else ""


def by_reading(_tree):
    return READER


# --- language


def headless_docs(tree):
    docs = [text[0] for file in tree.product for _, _, text in file.doc_comments()]
    return percent(sum(bool(HEADLESS.match(first)) for first in docs), len(docs))


def short_docs(tree):
    files = tree.sources + tree.tests
    docs = [text for file in files for _, _, text in file.doc_comments(with_tests=True)]
    return str(sum(len("\n".join(text)) < 12 for text in docs))


def named_closures(tree):
    """`let name = |...|`, with or without `move` and a type."""
    count = 0
    for file in tree.product:
        tokens = [token.text for token in file.product()]
        for index, text in enumerate(tokens):
            if text != "let":
                continue
            following = tokens[index + 1:index + 40]
            value = following[following.index("=") + 1:] if "=" in following else []
            value = value[1:] if value[:1] == ["move"] else value
            is_simple = following[1:2] in (["="], [":"]) or following[2:3] == ["="]
            count += is_simple and value[:1] in (["|"], ["||"])
    return per_kloc(count, tree.code)


def cut_on_next_line(tree):
    """The plainest form: one line binds the first half, the next line goes on with it."""
    cuts = [cut for file in tree.product for cut in cut_chains(file)]
    return per_kloc(sum(cut.is_next_line for cut in cuts), tree.code)


def cut_anywhere(tree):
    """Also halves of several lines, and second halves further down."""
    return per_kloc(sum(1 for file in tree.product for _ in cut_chains(file)), tree.code)


def occurrences(*names):
    """A measure: how often these words stand in the code, as bindings, fields or functions."""

    def measure(tree):
        words = Counter(
            token.text
            for file in tree.product
            for token in file.product()
            if token.kind == "ident"
        )
        return per_kloc(sum(words[name] for name in names), tree.code)

    return measure


def wide_comments(tree):
    comments = [
        line
        for file in tree.product
        for number, line in enumerate(file.lines, 1)
        if line.lstrip().startswith("//") and number not in file.test_lines
    ]
    return percent(sum(len(line) > 100 for line in comments), len(comments))


# --- the twenty points


def named_modules(tree):
    head = " ".join(re.findall(r"^//!(.*)$", tree.read("src/lib.rs"), re.MULTILINE))
    modules = re.findall(r"^\s*(?:pub )?mod (\w+);", tree.read("src/lib.rs"), re.MULTILINE)
    words = set(re.findall(r"\w+", head.replace("pane log", "pane_log panes")))
    return f"{sum(module in words for module in modules)} of {len(modules)}"


def life_of_the_process(tree):
    """Size of the file that holds the life of the process, if the tree has one."""
    lines = tree.read("src/app/lifecycle.rs").splitlines()
    return f"lifecycle.rs, {len(lines)} lines" if lines else "no file of its own"


def file_lengths(tree):
    return spread(len(file.lines) for file in tree.sources)


def function_lengths(tree):
    return spread(
        last - first + 1 for file in tree.product for _, first, last in functions(file)
    )


def arrows_and_circles(tree):
    imports = Imports(tree.sources)
    upward = imports.upward(table_of(tree.read("tests/offline/architecture.rs")))
    siblings, parents = imports.circles(False), imports.circles(True)
    return (
        f"{len(upward)} upward, {len(siblings)} folders with a circle of siblings,"
        f" {len(parents)} with mod.rs counted"
    )


def impurities(tree):
    """Clocks, IO, async and environment in rooms that compute."""
    outside = re.compile(
        r"std::(?:env|fs|io|net|process|thread)\b|\b(?:tokio|rdkafka|axum|prometheus)::|\basync\b"
        r"|\b(?:Instant|SystemTime|Timestamp)::now\b"
    )
    count = 0
    for file in tree.pure:
        for number, line in enumerate(file.lines, 1):
            if number not in file.test_lines and not line.lstrip().startswith("//"):
                count += len(outside.findall(line))
    return f"{count} hits"


def unwraps(tree):
    count = 0
    for file in tree.product:
        texts = [token.text for token in file.product()]
        count += sum(texts[at:at + 4] == [".", "unwrap", "(", ")"] for at in range(len(texts)))
    return per_kloc(count, tree.code)


def module_docs(tree):
    docs = []
    for file in tree.sources:
        line, marker, text = next(iter(file.doc_comments(with_tests=True)), (0, "", []))
        docs.append([words for words in text if words] if (line, marker) == (1, "//!") else [])
    present = percent(sum(len(lines) > 0 for lines in docs), len(docs))
    longer = percent(sum(len(lines) > 1 for lines in docs), len(docs))
    return f"{present} have one, {longer} one of more than one line"


def comment_share(tree):
    shares = []
    for files in (tree.pure, [file for file in tree.sources if file.room() not in PURE]):
        counts = [file.count_lines() for file in files]
        comments = sum(comments for _, comments in counts)
        shares.append(percent(comments, comments + sum(code for code, _ in counts)))
    return " / ".join(shares)


def string_variants(tree):
    """`Variant(String)` in enums that derive `Error`."""
    enum = re.compile(
        r"#\[derive\([^)]*\bError\b[^)]*\)\]\s*(?:#\[[^\]]*\]\s*)*"
        r"(?:pub(?:\([a-z]+\))? )?enum \w+ \{(.*?)\n\}",
        re.DOTALL,
    )
    variant = re.compile(r"^\s*\w+\((?:#\[\w+\] )?String\)", re.MULTILINE)
    return str(
        sum(
            len(variant.findall(body))
            for file in tree.product
            for body in enum.findall(file.text)
        )
    )


def presence(*patterns):
    """A measure: which of the files are there."""

    def measure(tree):
        states = [f"{path} {'yes' if any(tree.root.glob(path)) else 'no'}" for path in patterns]
        return ", ".join(states)

    return measure


def test_names(tree):
    names = []
    for file in tree.sources + tree.tests:
        tokens = [token.text for token in file.tokens]
        for index, text in enumerate(tokens):
            attributes = tokens[max(0, index - 12):index]
            if text == "fn" and attributes[-1:] == ["]"] and "test" in attributes:
                names.append(tokens[index + 1])
    short = percent(sum(name.count("_") < 2 for name in names), len(names))
    return f"{len(names)}, {short} of one or two words; the rest {READER}"


def tests_of_the_pure_part(tree):
    """Lines of inline tests and of the suites that drive the pure rooms without a broker."""
    code = sum(file.count_lines()[0] for file in tree.pure)
    inline = sum(
        bool(line.strip())
        for file in tree.pure
        for number, line in enumerate(file.lines, 1)
        if number in file.test_lines
    )
    suites = ("offline", "oracle", "calibration", "model", "simulation")
    guards = ("architecture.rs", "source_tree.rs", "style.rs")
    outer = sum(
        bool(line.strip())
        for file in tree.tests
        if Path(file.path).parts[1] in suites and not file.path.endswith(guards)
        for line in file.lines
    )
    tested = {file.room() for file in tree.pure if file.test_lines}
    untested = sorted({file.room() for file in tree.pure} - tested)
    return (
        f"{inline / code:.2f} inline, {(inline + outer) / code:.2f} with suites;"
        f" rooms without inline tests: {', '.join(untested) or 'none'}"
    )


def type_names(tree):
    """Names that more than one struct, enum, union or trait has."""
    names = Counter()
    for file in tree.product:
        tokens = [token.text for token in file.product()]
        for keyword, name in zip(tokens, tokens[1:]):
            if keyword in ("struct", "enum", "union", "trait") and name[0].isupper():
                names[name] += 1
    shared = {name: count for name, count in names.items() if count > 1}
    worst = sorted(shared.items(), key=lambda item: (-item[1], item[0]))[:4]
    return (
        f"{percent(sum(shared.values()), sum(names.values()))} of types,"
        f" {percent(len(shared), len(names))} of names"
        f" ({', '.join(f'{name} x{count}' for name, count in worst) or 'none'})"
    )


def history(tree):
    """The latest commits: share with an `area:` prefix, share with a body, median subject."""
    run = subprocess.run(
        ["git", "-C", str(tree.root), "log", "--no-merges", f"-{LAST_COMMITS}"]
        + ["--format=%s%x1f%b%x1e"],
        capture_output=True,
        text=True,
        check=False,
    )
    entries = [entry.strip("\n") for entry in run.stdout.split("\x1e") if entry.strip()]
    if run.returncode != 0 or not entries:
        return "no history"
    commits = [entry.split("\x1f") for entry in entries]
    prefixed = sum(bool(re.match(r"[\w ,./-]+: ", subject)) for subject, _ in commits)
    with_body = sum(len(body.strip()) > 40 for _, body in commits)
    return (
        f"{percent(prefixed, len(commits))} / {percent(with_body, len(commits))} /"
        f" {median(len(subject) for subject, _ in commits):.0f} characters, last {len(commits)}"
    )


def allowances(tree):
    allowance = re.compile(r"(?:allow|expect)\([^)]*(?:dead_code|unused)")
    count = sum(len(allowance.findall(file.text)) for file in tree.sources)
    return f"{count} allowances of dead code; the rest {READER}"


def readme(tree):
    text = tree.read("README.md")
    pictures = len(re.findall(r"!\[|<img|<picture", text))
    return f"{len(text.splitlines())} lines, {pictures} pictures"


def manual(tree):
    present = [page for page in MANUAL if list(tree.root.glob(f"docs/{page}*"))]
    return f"{len(present)} of {len(MANUAL)}"


# Number of the table or point, figure, measure, aim.
ROWS = [
    ("1", "doc comments that begin What/Whether/How/Which/Where/Who/Why", headless_docs, "0"),
    ("1", "named closures per kloc", named_closures, "0.4"),
    ("1", "chains cut in two per kloc, the next line goes on", cut_on_next_line, "0.1"),
    ("1", "chains cut in two per kloc, in all", cut_anywhere, "0.2"),
    ("1", "`own` per kloc", occurrences("own"), "0"),
    ("1", "`found` per kloc", occurrences("found"), "0"),
    ("1", "`place said one other pairs parts` per kloc", occurrences(*OTHER_BANNED), "0"),
    ("1", "comment lines over 100 columns", wide_comments, "0"),
    ("1", "doc comments under 12 characters, tests included", short_docs, "0"),
    ("4.1", "modules named in lib.rs", named_modules, "all"),
    ("4.2", "life of the process", life_of_the_process, "one file"),
    ("4.3", "file length median / p90 / max", file_lengths, "200 / 400 / 600"),
    ("4.4", "function length median / p90 / max", function_lengths, "- / 40 / 80"),
    ("4.5", "imports upward, circles", arrows_and_circles, "0, 0"),
    ("4.6", "clock, IO, async in the pure rooms", impurities, "0"),
    ("4.7", "`unwrap()` per kloc", unwraps, "0"),
    ("4.8", "module docs", module_docs, "each has a reason"),
    ("4.9", "comment share pure / shell", comment_share, "25 % / 10 %"),
    ("4.10", "numeric functions with formula, unit, range, source, oracle", by_reading, "all"),
    ("4.11", "error variants that hold only a string", string_variants, "0"),
    ("4.12", "configuration manual", presence("docs/configuration.md"), "generated"),
    ("4.13", "metric table, rules, dashboards", presence(*METRIC_FILES), "all, tested"),
    ("4.14", "test names", test_names, "sentences"),
    ("4.15", "test : code lines of the pure part", tests_of_the_pure_part, "1.0, every room"),
    ("4.16", "language", lambda tree: "rows marked 1", ""),
    ("4.17", "type names with more than one meaning", type_names, "5 % of types"),
    ("4.18", "commits with prefix / with body / median subject", history, "95 / 95 / 55"),
    ("4.19", "dead weight", allowances, "none"),
    ("4.20", "README", readme, "150 lines, a picture"),
    ("4.20", "pages of docs/", manual, "all"),
    ("4.20", "clone to a firing alert", lambda tree: "by the clock", "8 minutes"),
]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    repository = Path(__file__).resolve().parents[2]
    parser.add_argument("trees", nargs="*", type=Path, default=[repository], metavar="TREE")
    trees = [Tree(path.resolve()) for path in parser.parse_args().trees]
    for tree in trees:
        if not tree.sources:
            sys.exit(f"no Rust file under {tree.root / 'src'}")
    print("| # | figure |" + "".join(f" {tree.root.name} |" for tree in trees) + " aim |")
    print("|---|---|" + "---|" * len(trees) + "---|")
    for number, figure, measure, aim in ROWS:
        values = "".join(f" {measure(tree)} |" for tree in trees)
        print(f"| {number} | {figure} |{values} {aim} |")


if __name__ == "__main__":
    main()
