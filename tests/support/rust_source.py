"""Rust files as tokens, for the figures of style_table.py.

The reader knows comments, strings and brackets and nothing of types. That is enough to count, and
it needs no compiler: it reads any tree, also one that does not build today.
"""

import re
from bisect import bisect_right
from collections import namedtuple
from pathlib import Path

TOKEN = re.compile(
    r"""
    (?P<comment>//[^\n]*|/\*.*?\*/)
  | (?P<string>[bc]?r(?P<hashes>\#*)".*?"(?P=hashes)
             |[bc]?"(?:\\.|[^"\\])*"
             |b?'(?:\\u\{[0-9a-fA-F]+\}|\\x..|\\.|[^'\\\n])')
  | (?P<lifetime>'[A-Za-z_]\w*)
  | (?P<ident>(?:r\#)?[A-Za-z_]\w*)
  | (?P<number>\d[\w]*(?:\.\d\w*)?)
  | (?P<punct>::|->|=>|\.\.=|\.\.|\|\||&&|[^\s\w])
    """,
    re.VERBOSE | re.DOTALL,
)
KINDS = ("comment", "string", "lifetime", "ident", "number", "punct")
OPENING = {"(", "[", "{"}
CLOSING = {")", "]", "}"}


class Token:
    """A word, number, string or sign of the code, with its line."""

    __slots__ = ("kind", "text", "line")

    def __init__(self, kind, text, line):
        self.kind = kind
        self.text = text
        self.line = line


class RustFile:
    """One file: its lines, its tokens without comments, and which lines are tests."""

    def __init__(self, root, path):
        self.path = path.relative_to(root).as_posix()
        self.text = path.read_text(encoding="utf-8")
        self.lines = self.text.splitlines()
        self.tokens = list(self._tokens())
        self.partner = partners(self.tokens)
        self.test_lines = self._test_lines()

    def _tokens(self):
        starts = [0] + [match.end() for match in re.finditer("\n", self.text)]
        for match in TOKEN.finditer(self.text):
            if match.lastgroup == "hashes":
                continue
            kind = next(name for name in KINDS if match.group(name) is not None)
            if kind != "comment":
                yield Token(kind, match.group(), bisect_right(starts, match.start()))

    def _test_lines(self):
        """Lines of `#[cfg(test)]` modules; every line of a file that is a module of tests."""
        parts = Path(self.path).with_suffix("").parts
        if parts[0] != "src" or "tests" in parts:
            return set(range(1, len(self.lines) + 1))
        tests = set()
        for index, token in enumerate(self.tokens):
            if token.text == "mod" and self._has_cfg_test(index):
                brace = index + 2
                if self.tokens[brace].text == "{":
                    end = self.tokens[self.partner[brace]].line
                    tests.update(range(token.line - 1, end + 1))
        return tests

    def _has_cfg_test(self, index):
        before = [token.text for token in self.tokens[max(0, index - 9):index]]
        return "".join(before).removesuffix("pub").endswith("#[cfg(test)]")

    def product(self):
        """Tokens outside tests."""
        return [token for token in self.tokens if token.line not in self.test_lines]

    def is_test(self):
        """Whether the whole file is a test."""
        return len(self.test_lines) >= len(self.lines)

    def room(self):
        """The entry of `src` that holds the file; an older layout has the pane log in `panes`."""
        parts = Path(self.path).with_suffix("").parts
        if parts[:3] == ("src", "panes", "log"):
            return "pane_log"
        return parts[1] if len(parts) > 1 else ""

    def module(self):
        """Module path below the crate; empty for lib.rs."""
        names = Path(self.path).with_suffix("").parts[1:]
        return tuple(name for name in names if name not in ("mod", "lib"))

    def doc_comments(self, with_tests=False):
        """Doc comments as (line, marker, lines of text); neighbouring lines are one comment."""
        comments, previous = [], ""
        for number, line in enumerate(self.lines, 1):
            line = line.strip()
            is_doc = line.startswith(("///", "//!")) and not line.startswith("////")
            marker = line[:3] if is_doc and (with_tests or number not in self.test_lines) else ""
            if marker and marker == previous:
                comments[-1][2].append(line[3:].strip())
            elif marker:
                comments.append((number, marker, [line[3:].strip()]))
            previous = marker
        return comments

    def count_lines(self):
        """Lines of code and of comments outside tests; blank lines are neither."""
        code = comments = 0
        for number, line in enumerate(self.lines, 1):
            line = line.strip()
            if not line or number in self.test_lines:
                continue
            if line.startswith("//"):
                comments += 1
            else:
                code += 1
        return code, comments


def partners(tokens):
    """Index of the closing bracket for each opening one."""
    partner, open_brackets = {}, []
    for index, token in enumerate(tokens):
        if token.kind != "punct":
            continue
        if token.text in OPENING:
            open_brackets.append(index)
        elif token.text in CLOSING and open_brackets:
            partner[open_brackets.pop()] = index
    return partner


def read_tree(root, folder):
    """All Rust files under a folder of the tree, in order of their paths."""
    return [RustFile(root, path) for path in sorted((root / folder).rglob("*.rs"))]


def functions(file):
    """Functions outside tests as (name, first line, last line)."""
    for index, token in enumerate(file.tokens[:-1]):
        name = file.tokens[index + 1]
        if token.text != "fn" or name.kind != "ident" or token.line in file.test_lines:
            continue
        position = index + 2
        while position < len(file.tokens) and file.tokens[position].text not in ("{", ";"):
            position = file.partner.get(position, position) + 1
        if position < len(file.tokens) and file.tokens[position].text == "{":
            yield name.text, token.line, file.tokens[file.partner[position]].line


# Methods of iterators and of nothing else that hand on an iterator.
SOURCES = set(
    """iter iter_mut into_iter par_iter into_par_iter filter_map flat_map map_while enumerate zip
    chain rev skip take_while skip_while step_by windows chunks chunks_exact lines chars
    char_indices bytes split split_whitespace keys values values_mut into_keys into_values drain
    peekable scan range""".split()
)
# Methods that options have as well.
ADAPTERS = {"map", "filter", "take", "copied", "cloned", "inspect", "flatten"}


CutChain = namedtuple("CutChain", "name line is_next_line")


def cut_chains(file):
    """Halves of iterator chains that were bound to a name.

    Counted is `let x = ....map(...);` when the last call hands on an iterator, `x` is used once before
    it is bound again, and that use begins with `x.`: the rest of the chain. `map` and its like
    count only on an iterator, which the chain shows (`.iter()`) or an earlier half. `for ... in x`
    does not count.
    """
    tokens, partner = file.tokens, file.partner
    halves = set()
    for index, token in enumerate(tokens):
        if token.text != "let" or token.kind != "ident" or token.line in file.test_lines:
            continue
        name_at = index + 2 if tokens[index + 1].text == "mut" else index + 1
        name = tokens[name_at]
        if name.kind != "ident" or tokens[name_at + 1].text not in ("=", ":"):
            continue
        end, calls = name_at + 1, []
        while end < len(tokens) and tokens[end].text not in (";", "{", "}"):
            if tokens[end].text == "." and tokens[end + 1].kind == "ident":
                calls.append(tokens[end + 1].text)
            elif tokens[end].text == "?":
                calls.clear()
            end = partner.get(end, end) + 1 if tokens[end].text in ("(", "[") else end + 1
        if end >= len(tokens) or tokens[end].text != ";" or not calls:
            continue
        receiver = tokens[name_at + 2].text
        is_iterator = receiver in halves or any(call in SOURCES for call in calls)
        if calls[-1] not in SOURCES and not (is_iterator and calls[-1] in ADAPTERS):
            continue
        uses = uses_in_block(tokens, end + 1, name.text)
        if len(uses) == 1 and tokens[uses[0] + 1].text == ".":
            halves.add(name.text)
            use = tokens[uses[0]]
            is_one_line = token.line == tokens[end].line
            yield CutChain(name.text, name.line, is_one_line and use.line == name.line + 1)


def uses_in_block(tokens, position, name):
    """Indices where `name` is used, to the end of the block or the next binding of the name."""
    depth, uses, bound_again = 0, [], False
    while position < len(tokens) and depth >= 0:
        token = tokens[position]
        if token.kind == "punct" and token.text in OPENING:
            depth += 1
        elif token.kind == "punct" and token.text in CLOSING:
            depth -= 1
        elif bound_again and token.text == ";":
            break
        elif token.kind == "ident" and token.text == name and tokens[position - 1].text != ".":
            if tokens[position - 1].text in ("let", "mut"):
                bound_again = True
            else:
                uses.append(position)
        position += 1
    return uses
