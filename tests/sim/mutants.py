#!/usr/bin/env python3
"""Breaks one safety rule of the core at a time, and checks that the tests notice: a mutant that survives means that a rule is not
tested, or that another one hides it.

    tests/sim/mutants.py [--only NAME] [--all] [--seeds N] [--seconds S] [--list]

Works on a copy in a temporary directory; the tree is not touched. Not part of CI: it takes some minutes a mutant on a small machine.
Exit 0: all were noticed (or are known to be hidden by another rule, with the reason). 1: one survived, or its text is gone.
"""
import argparse
import concurrent.futures
import glob
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
MEMBERSHIP, ARBITRATION = "membership.cpp", "arbitration.cpp"

# name: [(file, old, new)...]
MUTANTS = {
    "no-rho": [("spec.hpp", "return permit + permit * rho_permille / 1000;", "return permit;")],
    "write-counts-from-its-end": [
        (ARBITRATION, "become_alone(now, done.started, out);", "become_alone(now, now.mono, out);"),
        (ARBITRATION, "renew_permit(now, done.started + P(), out);", "renew_permit(now, now.mono + P(), out);"),
        (ARBITRATION, "if (now.mono < done.started + P() && disk_is_a_vote()) {", "if (disk_is_a_vote()) {"),
        (ARBITRATION, "} else if (now.mono < done.started + P() && may_claim()) {", "} else if (may_claim()) {")],
    "grants-count-while-seeking": [
        (MEMBERSHIP, "    if (role_ == Role::joined) {\n        r_last_ = now.mono;", "    if (role_ != Role::alone) {\n        r_last_ = now.mono;")],
    "claim-not-stored-first": [(ARBITRATION, "if (durable_.highest < claim_ || durable_.alone < claim_) return;", "")],
    "offer-accepted-before-stored": [
        (MEMBERSHIP, "if (durable_.highest < accepting_ || durable_.joined < accepting_) return;", "")],
    "last-joined-term-forgotten": [(MEMBERSHIP, "last_joined_ = stored.joined;", "last_joined_ = 0;")],
    "retired-without-a-grant": [("membership.hpp", "return alone_term < granted_term_;", "return alone_term < joined_term_;")],
    "takeover-without-slot-wait": [(MEMBERSHIP, "return std::max(by_link, takeover_slot_seen_ + P_drift());", "return by_link;")],
    "takeover-without-link-wait": [(MEMBERSHIP, "Instant const by_link = r_last_ + P_drift();", "Instant const by_link = alone_since_;")],
    "step-2-blind-to-alone": [
        (ARBITRATION, "    bool const lost = y.alone_term > alone_term_;\n    if (y.state == Role::alone && !retired(y.alone_term) && !quiet(done.started)) {",
         "    bool const lost = y.alone_term > alone_term_;\n    if (false) {")],
    "step-2-blind-to-higher": [(ARBITRATION, "bool const lost = y.alone_term > alone_term_;", "bool const lost = false;")],
    "alone-blind-to-higher": [(ARBITRATION, "if (peer_slot_.alone_term > alone_term_) {", "if (false) {")],
    "step-1-blind-to-alone": [
        (ARBITRATION, "if (y.state == Role::alone && !retired(y.alone_term) && !quiet(done.started)) return;", "")],
    "waits-carried-over": [(MEMBERSHIP, "    peer_slot_known_ = false;\n    peer_slot_seen_ = forever;\n", "")],
    "stop-mark-names-a-term-only-seen": [(ARBITRATION, "!permitted(now) ? was_in_ : 0;", "!permitted(now) ? wanted_.highest : 0;")],
    "stop-mark-while-running": [(ARBITRATION, "role_ == Role::seeking && !around.anything_running && !permitted(now) ?", "role_ == Role::seeking ?")],
    "stop-mark-below-last-joined-counts": [(MEMBERSHIP, "peer_slot_.stopped_term >= last_joined_", "true")],
    "late-alone-cycle-counts-after-joining": [(ARBITRATION, "} else if (f.stint == stint_) {", "} else if (true) {")],
    "r-last-not-moved": [(MEMBERSHIP, "        r_last_ = now.mono;\n", "")],
    "terms-without-parity": [("ids.hpp", "return leader_of(next) == n ? next : next + 1;", "return static_cast<void>(n), next;")],
    "started-before-committed": [("replication.cpp", "(membership.forced() || membership.confirmed_on_disk() >= proposed_->id)", "true")],
    "found-decision-taken-for-committed": [("node.cpp", "acting && replication.confirmed() && acting->id.term == membership.term();", "acting;")],
    "newest-on-disk-not-learned": [("replication.cpp", "if (e.newest && e.newest->id > id_of(base_)) base_ = e.newest;", "")],
    "newest-of-follower-not-learned": [
        ("replication.cpp", "if (follower_.decision && follower_.decision->id > id_of(base_)) base_ = follower_.decision;\n", ""),
        ("replication.cpp", "if (follower_.stored > id_of(base_)) return;", "")],
    "report-of-an-older-decision-counts": [("planner.cpp", "if (!r || r->under != plan_.next.id || !all_stopped(g, *r)) return;", "if (!r || !all_stopped(g, *r)) return;")],
    "takeover-at-once": [("planner.cpp", "if (!view_.may_take_over || !able(g, self)) return;", "if (!able(g, self)) return;")],
    "blank-disk-votes": [
        (ARBITRATION, "if (now.mono < done.started + P() && disk_is_a_vote()) {", "if (now.mono < done.started + P()) {"),
        (ARBITRATION, "if (!forced_ && !disk_is_a_vote()) return;", "")],
    "area-that-the-slot-names-is-overwritten": [("replication.cpp", "? 1 : 0;", "? 0 : 1;")],
}

# Survivors whose rule another one backs up, and why that is so.
HIDDEN = {
    "claim-not-stored-first": "a new incarnation reads its own slot before it writes, and finds the claim there",
    "alone-blind-to-higher": "a node whose slot stood still long enough to be passed has lost its permit, and seeks before it reads anything",
    "waits-carried-over": "a slot is told by its beat, so one that stood still in both seekings was not written in between",
    "late-alone-cycle-counts-after-joining": "the cycle's own write and read allow what step 2 would conclude from them",
    "newest-of-follower-not-learned": "who makes the offer holds the newest committed decision already: it was alone, or has the newer one",
}


def run(command, **more):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)


def compile_all(sources, include, out):
    cxx = (["ccache"] if shutil.which("ccache") else []) + ["g++", "-std=c++20", "-O2", "-w"] + ["-I" + d for d in include]
    data = ["-DPAIRS_TABLE=\"%s/tests/pairs/table.txt\"" % ROOT, "-DTRACES_DIR=\"%s/tests/traces/data\"" % ROOT]

    def one(source):
        target = os.path.join(out, source.replace(ROOT, "").strip("/").replace("/", "_") + ".o")
        done = run(cxx + data + ["-c", source, "-o", target])
        if done.returncode:
            raise SystemExit("does not compile: %s\n%s" % (source, done.stdout[-3000:]))
        return target
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        return list(pool.map(one, sources))


def build(work):
    core = glob.glob(work + "/clusterd/core/*.cpp")
    out = work + "/o"
    os.makedirs(out, exist_ok=True)
    include = [work, ROOT]
    libs = compile_all(core, include, out)
    cluster = compile_all([s for s in glob.glob(ROOT + "/tests/sim/*.cpp") if not s.endswith("main.cpp")], include, out)
    programs = {"sim_run": [ROOT + "/tests/sim/main.cpp"], "exhaustive": glob.glob(ROOT + "/tests/exhaustive/*.cpp"),
                "traces": [ROOT + "/tests/traces/traces_test.cpp"], "pairs": [ROOT + "/tests/pairs/pairs_test.cpp"]}
    for name, sources in programs.items():
        own = compile_all(sources, include, out)
        done = run(["g++", "-o", work + "/" + name] + own + (cluster if name != "exhaustive" else []) + libs + ["-lgtest", "-lgtest_main", "-pthread"]
                   if name in ("traces", "pairs") else ["g++", "-o", work + "/" + name] + own + (cluster if name != "exhaustive" else []) + libs + ["-pthread"])
        if done.returncode:
            raise SystemExit("does not link: %s\n%s" % (name, done.stdout[-3000:]))


def noticed_by(work, seeds, seconds, every):
    tests = [("traces", [work + "/traces"]), ("pairs", [work + "/pairs"]),
             ("exhaustive", [work + "/exhaustive", "--seconds", str(seconds)]),
             ("sim", [work + "/sim_run", "--seeds", str(seeds), "--minutes", "10", "--no-shrink", "--no-probes"])]
    by = []
    for name, command in tests:
        done = run(command, timeout=3600)
        if done.returncode not in (0, 2):
            why = [line for line in done.stdout.splitlines() if "invariant" in line or "VIOLATION" in line or "FAILED" in line]
            by.append(name + (" (" + why[0].strip()[:90] + ")" if why else ""))
            if not every:
                break
    return by


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="names, separated by commas")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=40)
    parser.add_argument("--all", action="store_true", help="run every test on every mutant, not only until one notices")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.list:
        print("\n".join(MUTANTS))
        return 0
    survivors = []
    work = tempfile.mkdtemp(prefix="mutants-")
    try:
        for name, changes in MUTANTS.items():
            if options.only and name not in options.only.split(","):
                continue
            shutil.rmtree(work + "/clusterd", ignore_errors=True)
            shutil.copytree(ROOT + "/clusterd/core", work + "/clusterd/core")
            gone = []
            for file, old, new in changes:
                path = work + "/clusterd/core/" + file
                text = open(path).read()
                if old not in text:
                    gone.append("%s: %s" % (file, old.strip()))
                open(path, "w").write(text.replace(old, new))
            if gone:
                print("%-44s TEXT IS GONE, adapt the list: %s" % (name, "; ".join(gone)), flush=True)
                survivors.append(name)
                continue
            build(work)
            by = noticed_by(work, options.seeds, options.seconds, options.all)
            if by:
                print("%-44s noticed by %s" % (name, ", ".join(by)), flush=True)
            elif name in HIDDEN:
                print("%-44s not noticed, as expected: %s" % (name, HIDDEN[name]), flush=True)
            else:
                print("%-44s SURVIVED" % name, flush=True)
                survivors.append(name)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print("%d of %d not noticed" % (len(survivors), len(MUTANTS)) if survivors else "all noticed")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
