"""Imports between the files of a crate, read from tokens.

tests/offline/architecture.rs is the judge; this module counts the same things on trees that do not
have that test or do not build.
"""

import re


class Imports:
    """Uses of one module by another: `edges` holds (from, to) as module paths."""

    def __init__(self, files):
        self.files = {file.module(): file for file in files if not file.is_test()}
        self.items = {module: defined_names(file) for module, file in self.files.items()}
        self.names, self.globs, mentions = {}, {}, []
        for module, file in self.files.items():
            self.names[module], self.globs[module] = {}, []
            for segments, name, is_reexport in read_mentions(file):
                if name == "*":
                    self.globs[module].append(segments)
                elif name is not None:
                    self.names[module][name] = segments
                if not is_reexport:
                    mentions.append((module, segments))
        self.edges = set()
        for module, segments in mentions:
            target = self.definition(module, segments)
            if target is not None and target != module:
                self.edges.add((module, target))

    def definition(self, module, segments):
        """The module that defines a name; None outside the crate."""
        path = self.absolute(module, segments, 8)
        return None if path is None else self.resolve(path, 8)

    def absolute(self, module, segments, steps):
        first, rest = segments[0], segments[1:]
        if first in ("crate", "pegel"):
            return rest
        if first == "self":
            return module + rest
        if first == "super":
            parent = module[:-1]
            is_higher = rest and rest[0] == "super"
            return self.absolute(parent, rest, steps) if is_higher else parent + rest
        if module + (first,) in self.files or first in self.items.get(module, ()):
            return module + segments
        imported = self.names.get(module, {}).get(first)
        if imported is None or steps == 0:
            return None
        target = self.absolute(module, imported, steps - 1)
        return None if target is None else target + rest

    def resolve(self, path, steps):
        depth = next(depth for depth in range(len(path), -1, -1) if path[:depth] in self.files)
        module, rest = path[:depth], path[depth:]
        if not rest or steps == 0 or rest[0] in self.items[module]:
            return module
        imported = self.names[module].get(rest[0])
        if imported is not None:
            target = self.absolute(module, imported, steps)
            return None if target is None else self.resolve(target + rest[1:], steps - 1)
        for glob in self.globs[module]:
            target = self.absolute(module, glob, steps)
            if target is not None:
                defined = self.resolve(target + rest, steps - 1)
                if defined is not None and rest[0] in self.items[defined]:
                    return defined
        return module

    def upward(self, allowed):
        """Edges that a table {room: allowed rooms} forbids; rooms outside the table are free."""
        rooms = ((start[0], end[0]) for start, end in self.edges if start and end)
        return [
            (start, end)
            for start, end in rooms
            if start != end and start in allowed and end in allowed.keys() | {"app", "cli"}
            and end not in allowed[start]
        ]

    def circles(self, with_parents):
        """Folders whose files form a circle; `with_parents` counts mod.rs as one of the files."""
        folders = {}
        for start, end in self.edges:
            depth = next(
                (depth for depth, (a, b) in enumerate(zip(start, end)) if a != b),
                min(len(start), len(end)),
            )
            if depth == 0 or (len(start) == depth and self.is_transparent(start)):
                continue
            if not with_parents and depth in (len(start), len(end)):
                continue
            step = tuple((module[depth:depth + 1] or ("mod.rs",))[0] for module in (start, end))
            folders.setdefault(start[:depth], set()).add(step)
        return sorted("/".join(folder) for folder, steps in folders.items() if has_circle(steps))

    def is_transparent(self, module):
        """Whether a file only declares modules and re-exports names."""
        texts = [token.text for token in self.files[module].product()]
        return not self.items[module] and "impl" not in texts


def has_circle(steps):
    """Whether the (from, to) have a circle: drop what uses nothing until nothing is dropped."""
    while True:
        users = {start for start, _ in steps}
        remaining = {(start, end) for start, end in steps if end in users}
        if len(remaining) == len(steps):
            return bool(steps)
        steps = remaining


ITEM = {"struct", "enum", "union", "trait", "type", "fn", "const", "static", "macro_rules"}


def defined_names(file):
    """Names of the items at the top of a file."""
    names, depth = set(), 0
    tokens = file.product()
    for index, token in enumerate(tokens[:-1]):
        if token.kind == "punct" and token.text in "{([":
            depth += 1
        elif token.kind == "punct" and token.text in "})]":
            depth -= 1
        elif depth == 0 and token.text in ITEM:
            name = tokens[index + 2] if tokens[index + 1].text == "!" else tokens[index + 1]
            if name.kind == "ident" and name.text not in ITEM:
                names.add(name.text)
    return names


def read_mentions(file):
    """Paths of a file as (segments, imported name or None, whether it is a re-export)."""
    tokens = file.product()
    index = 0
    while index < len(tokens):
        token = tokens[index]
        if token.text == "use" and token.kind == "ident":
            end = next(at for at in range(index, len(tokens)) if tokens[at].text == ";")
            before = tokens[index - 1].text if index else ""
            # `pub use` and `pub(crate) use` end in `pub` and `)`.
            is_reexport = before in ("pub", ")")
            for segments, name in use_leaves([token.text for token in tokens[index + 1:end]]):
                yield segments, name, is_reexport
            index = end
        elif token.kind == "ident" and (index == 0 or tokens[index - 1].text not in (".", "::")):
            segments = [token.text]
            while index + 2 < len(tokens) and tokens[index + 1].text == "::":
                if tokens[index + 2].kind != "ident":
                    break
                segments.append(tokens[index + 2].text)
                index += 2
            if len(segments) > 1 or segments[0][0].isupper():
                yield tuple(segments), None, False
        index += 1


def use_leaves(texts):
    """Leaves of a `use` tree as (segments, name in scope)."""
    leaves, prefixes, path, alias = [], [()], [], None

    def close():
        nonlocal path, alias
        segments = prefixes[-1] + tuple(path)
        if path:
            name = alias or path[-1]
            if path[-1] in ("self", "*"):
                segments = segments[:-1]
                name = alias or ("*" if path[-1] == "*" else segments[-1])
            leaves.append((segments, name))
        path, alias = [], None

    position = 0
    while position < len(texts):
        text = texts[position]
        if text == "{":
            prefixes.append(prefixes[-1] + tuple(path))
            path = []
        elif text in (",", "}"):
            close()
            if text == "}":
                prefixes.pop()
        elif text == "as":
            position += 1
            alias = texts[position]
        elif text != "::":
            path.append(text)
        position += 1
    close()
    return leaves


def table_of(test):
    """The table {room: allowed rooms} of an architecture test; empty when there is none."""
    allowed = {}
    for name, listed in re.findall(r'\(\s*"(\w+)",\s*&\[(.*?)\]', test, re.DOTALL):
        if "/" not in listed:
            allowed.setdefault(name, {"model", *re.findall(r'"(\w+)"', listed)})
    rooms = re.search(r"const ROOMS.*?\n\];", test, re.DOTALL)
    if rooms:
        text = re.sub(r"\\\n\s*", "", rooms.group())
        allowed = {
            name: set(listed.split())
            for name, listed in re.findall(r'\(\s*"(\w+)",\s*"([^"]*)"', text)
        }
    return allowed
