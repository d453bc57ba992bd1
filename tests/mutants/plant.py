#!/usr/bin/env python3
"""Writes the copy of the core that holds all mutants: plant.py SOURCE_DIR OUT_DIR. The build calls it.

Each edit of rules.py becomes a choice at run time: `(clusterd::mutant == 7 ? (instead) : (what it is))`. An edit may lie within another.
An edit whose text is gone is left out here and reported by mutants.py: a changed rule must not break the build.
"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rules  # noqa: E402

DECLARATION = "namespace clusterd { extern int mutant; }\n"
# Every file that is compiled with mutants in it; a header counts for these only.
SOURCES = ["membership.cpp", "arbitration.cpp", "replication.cpp", "node.cpp", "node_adoption.cpp", "node_change.cpp", "node_departure.cpp", "planner.cpp", "reconciler.cpp"]
HEADERS = ["spec.hpp", "ids.hpp", "membership.hpp"]


class Edit:
    def __init__(self, number, begin, end, instead):
        self.number, self.begin, self.end, self.instead = number, begin, end, instead


def locate(text, marked):
    """(begin, end) of the part in «», or None unless the text around it occurs exactly once."""
    before, rest = marked.split("«")
    what, after = rest.split("»")
    whole = before + what + after
    if text.count(whole) != 1:
        return None
    begin = text.index(whole) + len(before)
    return begin, begin + len(what)


def edits_of(file, text):
    found = []
    for number, name in enumerate(rules.ORDER, 1):
        for where, marked, instead in rules.MUTANTS[name][1]:
            span = locate(text, marked) if where == file else None
            if span:
                found.append(Edit(number, span[0], span[1], instead))
    return sorted(found, key=lambda e: (e.begin, -e.end))


def gone(source, name):
    """The edits of a mutant whose text isn't in the core any more, or is there more than once."""
    missing = []
    for where, marked, _ in rules.MUTANTS[name][1]:
        with open(os.path.join(source, "clusterd/core", where), encoding="utf-8") as f:
            if not locate(f.read(), marked):
                missing.append("%s: %s" % (where, marked.strip()))
    return missing


def render(text, begin, end, edits):
    out, at = "", begin
    while edits:
        first = edits[0]
        same = [e for e in edits if (e.begin, e.end) == (first.begin, first.end)]
        inner = [e for e in edits if e not in same and e.begin < first.end]
        for e in inner:
            if e.end > first.end:
                raise SystemExit("plant.py: two edits overlap: %r and %r" % (text[first.begin:first.end], text[e.begin:e.end]))
        out += text[at:first.begin] + choice(text, first, same, inner)
        at = first.end
        edits = [e for e in edits if e not in same and e not in inner]
    return out + text[at:end]


def choice(text, span, same, inner):
    original = text[span.begin:span.end]
    if original.startswith("constexpr "):  # a function that reads the chosen mutant can't be one
        return same[0].instead
    result = render(text, span.begin, span.end, inner)
    statement = original.rstrip().endswith(";")
    for e in same:
        if statement:
            result = "{ if (clusterd::mutant == %d) { %s } else { %s } }" % (e.number, e.instead, result)
        else:
            result = "(clusterd::mutant == %d ? (%s) : (%s))" % (e.number, e.instead, result)
    return result


def write_if_changed(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.exists(path):
        with open(path, encoding="utf-8") as f:
            if f.read() == text:
                return
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def main():
    source, out = sys.argv[1:3]
    planted = {file for _, edits in rules.MUTANTS.values() for file, _, _ in edits}
    if planted - set(SOURCES + HEADERS):
        raise SystemExit("plant.py: add to SOURCES or HEADERS, and to CMakeLists.txt: %s" % ", ".join(planted - set(SOURCES + HEADERS)))
    for file in SOURCES + HEADERS:
        with open(os.path.join(source, "clusterd/core", file), encoding="utf-8") as f:
            text = f.read()
        write_if_changed(os.path.join(out, "clusterd/core", file), DECLARATION + render(text, 0, len(text), edits_of(file, text)))


if __name__ == "__main__":
    main()
