#!/usr/bin/env python3
"""Breaks one rule of the core at a time, and checks that the tests notice: a mutant that survives means that a rule is not tested, or
that another one hides it.

    tests/mutants/mutants.py [--bin DIR] [--jobs N] [--only NAME,...] [--all] [--record] [--markdown] [--list]

The build makes the worlds with all mutants in them (mutant_traces, mutant_pairs, mutant_unit_core, mutant_exhaustive, mutant_sim_run); this runs them,
first the one that expected.txt says notices, down to the walk or seed that does. Only where that doesn't notice, all of it is tried.
--all runs everything on every mutant; --record writes expected.txt and --markdown docs/mutants.md from what was found.
Exit 0: all were noticed, but for those that break nothing (EQUIVALENT in rules.py says why) and those known to be OPEN. 1: one
survived, or its text is gone.
"""
import argparse
import concurrent.futures
import os
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, "..", ".."))
sys.path.insert(0, HERE)
import plant  # noqa: E402
import rules  # noqa: E402

EXPECTED = os.path.join(HERE, "expected.txt")
PAGE = os.path.join(ROOT, "docs", "mutants.md")
WORLDS = ["traces", "pairs", "unit", "exhaustive", "sim"]
WALKS, DEPTH, SEEDS, MINUTES = 200000, 6, 2500, 10  # all of it only where expected.txt's hint doesn't notice any more
# What the small world has no part of: two Memberships and a disk.
MEMBERSHIP_ONLY = {"membership.cpp", "membership.hpp", "arbitration.cpp", "spec.hpp", "ids.hpp"}


class Runner:
    def __init__(self, bin_dir):
        self.bin = bin_dir

    def run(self, name, words, number):
        """(noticed, output); a program that can't be run at all is an error, not a noticed mutant."""
        environment = dict(os.environ, CLUSTERD_MUTANT=str(number))
        try:
            done = subprocess.run([os.path.join(self.bin, "mutant_" + name)] + words, env=environment, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, errors="replace", timeout=600)
        except subprocess.TimeoutExpired as late:
            return True, "hangs" + str(late.stdout or "")[-200:]
        if done.returncode in (126, 127):
            raise SystemExit("mutants.py: mutant_%s can't be run: %s" % (name, done.stdout[-500:]))
        return done.returncode not in (0, 2), done.stdout  # 2: a situation wasn't reached, which few walks may miss

    def recorded(self, program, number, hint):
        """What breaks an invariant says more than what only goes otherwise than recorded, and is named first."""
        noticed, out = self.run(program, ["--gtest_brief=1"] + (["--gtest_filter=*" + hint.split()[-1]] if hint else []), number)
        if not noticed:
            return None
        stories = re.findall(r"(.*?)^\[  FAILED  \] (?:\S*/)?(\S+?)[, ]", out, re.M | re.S)  # a test's words come before its name
        for words, name in stories:
            broken = re.search(r"BROKEN invariant (\w+)", words) or re.search(r"BROKEN (\w+)", words)
            if broken:
                return "invariant %s in %s" % (broken.group(1), name)
        return "differs in %s" % stories[0][1] if stories else "crash"

    def traces(self, number, hint):
        return self.recorded("traces", number, hint)

    def pairs(self, number, hint):
        return self.recorded("pairs", number, hint)

    def unit(self, number, hint):
        return self.recorded("unit_core", number, hint)

    def exhaustive(self, number, hint):
        if hint:
            noticed, out = self.run("exhaustive", ["--walk", hint[5:]] if hint.startswith("walk ") else ["--only", "search", "--depth", hint[6:]], number)
            return hint if noticed else None
        noticed, out = self.run("exhaustive", ["--only", "walks", "--walks", str(WALKS)], number)
        if noticed:
            return "walk " + first(r"--walk (\d+)", out, "1")
        noticed, out = self.run("exhaustive", ["--only", "search", "--depth", str(DEPTH)], number)
        return "depth %d" % DEPTH if noticed else None

    def sim(self, number, hint):
        where = ["--from", hint, "--seeds", "1"] if hint else ["--seeds", str(SEEDS)]
        noticed, out = self.run("sim_run", where + ["--minutes", str(MINUTES), "--no-shrink", "--no-probes"], number)
        return first(r"seed (\d+): invariant", out, hint or "1") if noticed else None

    def noticed_by(self, name, world, hint=""):
        if world == "exhaustive" and not any(file in MEMBERSHIP_ONLY for file, _, _ in rules.MUTANTS[name][1]):
            return None
        return getattr(self, world)(1 + rules.ORDER.index(name), hint)


def first(pattern, text, otherwise):
    found = re.search(pattern, text)
    return found.group(1) if found else otherwise


def read_expected():
    expected = {}
    if os.path.exists(EXPECTED):
        with open(EXPECTED, encoding="utf-8") as f:
            for line in f:
                words = line.split(None, 2)
                if words and not line.startswith("#"):
                    expected[words[0]] = (words[1], words[2].strip())
    return expected


def write_expected(results, expected):
    with open(EXPECTED, "w", encoding="utf-8") as f:
        f.write("# Which test notices a mutant first, and where. Written by mutants.py --record; only a hint, so that CI is quick.\n")
        for name in rules.ORDER:
            by = results.get(name)
            if by is None and name in expected:
                by = {expected[name][0]: expected[name][1]}
            found = [(by[world].startswith("differs"), WORLDS.index(world)) for world in WORLDS if by and by.get(world)]
            if found:
                world = WORLDS[min(found)[1]]
                f.write("%s %s %s\n" % (name, world, by[world]))


def look_at(runner, name, expected, every):
    by = {}
    if not every and name in expected:
        world, where = expected[name]
        if found := runner.noticed_by(name, world, where):
            return {world: found}
    for world in WORLDS:
        by[world] = runner.noticed_by(name, world)
        if by[world] and not by[world].startswith("differs") and not every:
            return {world: by[world]}
    return by


def in_words(world, where):
    return {"sim": "simulator, seed ", "exhaustive": "exhaustive, "}.get(world, world + ", ") + where.replace("_", "-")


def write_page(results, every):
    """Which test notices which mutant; without --all only the one that was asked first."""
    lines = ["# Mutants", "",
             "Each rule of [protocol.md](protocol.md), broken on purpose in one way, and which tests notice: the proof that the tests look at the rule at all.",
             "Written by `tests/mutants/mutants.py --markdown`; don't edit. [testing.md](testing.md#mutants) says how to run it.",
             "*differs*: no invariant is broken there, but what happens isn't what was recorded.",
             "Every test was asked." if every else "Only one test that notices is named; others may as well.", "",
             "| mutant | what it does | noticed by |", "|---|---|---|"]
    for name in rules.ORDER:
        by = results.get(name) or {}
        if any(by.values()):
            lines.append("| `%s` | %s | %s |" % (name, rules.MUTANTS[name][0], "; ".join(in_words(w, by[w]) for w in WORLDS if by.get(w))))
    lines += ["", "## Mutants that break nothing", "",
              "What they change is backed up by another rule, so no test can notice them.", "", "| mutant | what it does | why nothing breaks |", "|---|---|---|"]
    lines += ["| `%s` | %s | %s |" % (name, rules.MUTANTS[name][0], rules.EQUIVALENT[name]) for name in rules.ORDER if name in rules.EQUIVALENT]
    if still_open := [n for n in rules.ORDER if n in rules.OPEN]:
        lines += ["", "## Open", "", "Not noticed so far, and not argued: a test that looks at them is owed.", "", "| mutant | what it does |", "|---|---|"]
        lines += ["| `%s` | %s |" % (name, rules.MUTANTS[name][0]) for name in still_open]
    with open(PAGE, "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.path.join(ROOT, "build/release/bin"), help="where the built programs are")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", help="names, separated by commas")
    parser.add_argument("--all", action="store_true", help="run every test on every mutant, not only until one notices")
    parser.add_argument("--record", action="store_true", help="write expected.txt")
    parser.add_argument("--markdown", action="store_true", help="write docs/mutants.md")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.markdown and options.only:
        parser.error("--markdown wants every mutant")
    return options


def main():
    options = parse()
    names = options.only.split(",") if options.only else list(rules.ORDER)
    if options.list:
        print("\n".join("%3d %-50s %s" % (1 + rules.ORDER.index(n), n, rules.MUTANTS[n][0]) for n in names))
        return 0
    began, expected, runner = time.monotonic(), read_expected(), Runner(options.bin)
    # The core as it is must pass, or what follows would mean nothing.
    for world, hint in (("traces", ""), ("pairs", ""), ("unit", ""), ("exhaustive", "depth 5"), ("sim", "1")):
        if getattr(runner, world)(0, hint):
            print("mutants.py: without any mutant, %s fails already" % world)
            return 1
    results, survivors = {}, []

    def one(name):
        start = time.monotonic()
        gone = plant.gone(ROOT, name)
        return name, gone, {} if gone else look_at(runner, name, expected, options.all), time.monotonic() - start

    with concurrent.futures.ThreadPoolExecutor(max_workers=options.jobs) as pool:
        tried = [n for n in names if options.all or options.only or (n not in rules.OPEN and n not in rules.EQUIVALENT)]  # those cost a full run each
        for name, gone, by, took in pool.map(one, tried):
            results[name] = by
            noticed = ", ".join("%s (%s)" % (w, by[w]) for w in WORLDS if by.get(w))
            if gone:
                text = "TEXT IS GONE, adapt tests/mutants/rules.py: " + "; ".join(gone)
            elif noticed:
                text = "noticed by " + noticed + ("; BUT IT IS ON THE LIST OF THOSE THAT BREAK NOTHING" if name in rules.EQUIVALENT else "")
            elif name in rules.EQUIVALENT:
                text = "breaks nothing: " + rules.EQUIVALENT[name]
            else:
                text = "not noticed, as known: OPEN in rules.py" if name in rules.OPEN else "SURVIVED"
            if gone or bool(noticed) == (name in rules.EQUIVALENT) and name not in rules.OPEN:
                survivors.append(name)
            print("%-50s %5.1f s  %s" % (name, took, text), flush=True)
    if options.record:
        write_expected(results, expected)
    if options.markdown:
        write_page(results, options.all)
    noticed = sum(any(results.get(n, {}).values()) and n not in rules.EQUIVALENT for n in names)
    still_open = [n for n in names if n in rules.OPEN and not any(results.get(n, {}).values())]
    if still_open:
        print("open, a test that notices is owed: " + ", ".join(still_open))
    if survivors:
        print("to look at: " + ", ".join(survivors))
    print("%d mutants: %d noticed, %d break nothing, %d open, %d to look at, in %.0f s"
          % (len(names), noticed, sum(n in rules.EQUIVALENT for n in names), len(still_open), len(survivors), time.monotonic() - began))
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
