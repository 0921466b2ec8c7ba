#!/usr/bin/env python3
"""Renews the command outputs and files that the documents quote.

    tests/support/outputs.py [--check] [PEGEL]     PEGEL = target/release/pegel by default

In README.md and docs/*.md, a comment before a code block says what the block quotes:

    <!-- output: COMMAND -->      what COMMAND prints, standard output and standard error
    <!-- file: PATH -->           the file at PATH, from the top of the repository

Commands run in a temporary directory that holds config/minimal.yaml as pegel.yaml, and the files
that section 2 of docs/quickstart.md makes. Its own shell blocks are executed, so they cannot be out
of date. With --check nothing is written, and the exit code is 1 when a block differs.
"""

import difflib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"(<!-- (output|file): (.*?) -->\n```\w*\n)(.*?)(```\n)", re.DOTALL)


def prepare(directory: Path) -> None:
    """Makes the data and the reference of the quickstart."""
    shutil.copy(ROOT / "config/minimal.yaml", directory / "pegel.yaml")
    quickstart = (ROOT / "docs/quickstart.md").read_text()
    section = re.search(r"^## 2\. .*?(?=^## )", quickstart, re.DOTALL | re.MULTILINE).group(0)
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    run("set -e\n" + "\n".join(blocks), directory)
    run("pegel fit training.ndjson --config pegel.yaml -o scores.reference.json", directory)


def run(command: str, directory: Path) -> str:
    result = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=directory,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines = [line.rstrip() for line in result.stdout.rstrip().split("\n")]
    return "\n".join(lines)


def renew(text: str, directory: Path) -> str:
    def block(match: re.Match) -> str:
        opening, kind, what, _, closing = match.groups()
        if kind == "file":
            return opening + (ROOT / what).read_text().rstrip("\n") + "\n" + closing
        return opening + run(what, directory) + "\n" + closing

    return BLOCK.sub(block, text)


def main() -> int:
    arguments = [argument for argument in sys.argv[1:] if argument != "--check"]
    is_check = "--check" in sys.argv[1:]
    pegel = Path(arguments[0] if arguments else ROOT / "target/release/pegel").resolve()
    if not os.access(pegel, os.X_OK):
        sys.exit(f"outputs.py: {pegel} is missing: run cargo build --release, or give its path")
    differs = False
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "bin").mkdir()
        (directory / "bin/pegel").symlink_to(pegel)
        os.environ["PATH"] = f"{directory}/bin:{os.environ['PATH']}"
        prepare(directory)
        for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
            before = path.read_text()
            after = renew(before, directory)
            if after == before:
                continue
            differs = True
            lines = (text.split("\n") for text in (before, after))
            print("\n".join(difflib.unified_diff(*lines, str(path), lineterm="")))
            if not is_check:
                path.write_text(after)
    return 1 if is_check and differs else 0


if __name__ == "__main__":
    sys.exit(main())
