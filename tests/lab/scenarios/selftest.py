"""The lab against itself, without clusterd: that its faults are faults, and that its judge sees two owners where there are two."""
import os
import signal
import socket

import config
from audit import audit, client_sees_one, one_story
from runner import scenario
from tools import LabError, boot_ms, end_process, identity, wait_for


def serve(node):
    """By hand what a group would do."""
    node.run(["ip", "address", "add", f"{config.ADDRESS}/24", "dev", "eth0"])
    node.run(["ip", "address", "add", f"{config.ADDRESS6}/64", "dev", "eth0", "nodad"])
    node.run(["sh", "-c", "/usr/sbin/nginx -e stderr -p /run/lab/nginx/ -c nginx.conf </dev/null >/run/lab/nginx.log 2>&1 &"])
    wait_for("nginx", lambda: len(node.processes("nginx")) >= 2)


def stop_serving(node):
    for address in (f"{config.ADDRESS}/24", f"{config.ADDRESS6}/64"):
        node.run(["ip", "address", "delete", address, "dev", "eth0"])


def pings(run, node, address):
    return run.node(node).run(["ping", "-n", "-c", "1", "-W", "1", address], check=False).returncode == 0


@scenario(daemons=False)
def lab_network(run):
    """Cables, one-way cuts, loss and power cuts are what they say, and the client is not touched by a cut between the nodes."""
    serve(run.alpha)
    pairs = [("alpha", f"{net}.2") for net in (config.SERVICE_NET, config.HEARTBEAT_NET)]
    for node, address in pairs:
        wait_for(f"{node} to reach {address}", lambda: pings(run, node, address))
    with run.watching() as probe:
        run.lab.cut()
        run.expect(not any(pings(run, *pair) for pair in pairs), "a cut cable carries packets")
        run.lab.heal()
        for pair in pairs:
            wait_for("a whole cable to carry packets", lambda: pings(run, *pair))
        run.lab.cut(links=(1,))
        run.expect(pings(run, *pairs[0]) and not pings(run, *pairs[1]), "a cut of link 1 only")
        run.lab.heal()
        # One way: alpha's packets don't arrive, beta's do. Counted where they arrive.
        run.lab.cut("alpha", "beta", one_way=True)
        run.expect(arrives(run.alpha, run.beta) and not arrives(run.beta, run.alpha), "a one-way cut")
        run.lab.heal()
        run.lab.lose(30)
        done = run.alpha.run(["ping", "-n", "-q", "-i", "0.01", "-c", "300", "-W", "1", f"{config.SERVICE_NET}.2"], check=False).stdout
        lost = float(done.split("% packet loss")[0].split()[-1])
        run.expect(25 < lost < 80, f"30 % loss each way made {lost} % of pings fail; about 51 were expected")
        run.lab.heal()
        run.judge(probe, lost=0, only_by="alpha")
    with run.watching() as probe:
        when = run.alpha.power_cut()
        probe.wait_silent()
        last = probe.stop()["owners"]["alpha"]["last_ms"] - when
        run.expect(last < 50, f"a node without power still answered after {last:.0f} ms")
        run.judge(probe, only_by="alpha", served=False)
    run.alpha.boot()
    run.expect(run.alpha.runs_nothing() and not run.alpha.processes(), "a node that was booted isn't empty")
    wait_for("the booted node to be reachable", lambda: pings(run, "beta", f"{config.HEARTBEAT_NET}.1"))


def arrives(receiver, sender):
    """A UDP datagram, with the neighbour's MAC given, so that no answer is needed."""
    before = received(receiver)
    sender.run(["ip", "neigh", "replace", f"{config.HEARTBEAT_NET}.{receiver.host}", "lladdr", config.mac(receiver.host + 16), "dev", "eth1", "nud", "permanent"])
    sender.run(["python3", "-c", f"import socket; s = socket.socket(type=socket.SOCK_DGRAM)\nfor _ in range(50): s.sendto(b'x', ('{config.HEARTBEAT_NET}.{receiver.host}', 9))"])
    sender.run(["ip", "neigh", "del", f"{config.HEARTBEAT_NET}.{receiver.host}", "dev", "eth1"])
    return received(receiver) - before >= 50


def received(node):
    text = node.run(["sh", "-c", "cat /proc/net/snmp"]).stdout
    udp = [line.split()[1:] for line in text.splitlines() if line.startswith("Udp:")]
    return int(dict(zip(*udp))["NoPorts"])


@scenario(daemons=False)
def lab_two_owners_are_seen(run):
    """The judge counts instants with two owners where both nodes answer, IPv4 and IPv6, and none where one does."""
    serve(run.alpha)
    for address in (config.ADDRESS, config.ADDRESS6):
        with run.watching(address=address) as probe:
            probe.hold(0.5)
            run.judge(probe, lost=0, only_by="alpha")
    serve(run.beta)
    for address in (config.ADDRESS, config.ADDRESS6):
        with run.client.probe(address=address) as probe:
            probe.hold(0.5)
            seen = probe.stop()
        run.expect(seen["two_owner_instants"] > 50, f"{address}: {seen['two_owner_instants']} of {seen['samples']} samples saw two owners")
    stop_serving(run.alpha)
    run.numbers.clear()


@scenario(daemons=False)
def lab_blackout_is_measured(run):
    """A silence of a known length is measured to within 100 ms, and its requests are counted as lost."""
    serve(run.alpha)
    with run.watching() as probe:
        rules = "table inet hush { chain input { type filter hook input priority 0; tcp dport 80 drop; }; }"
        probe.hold(0.3)
        run.alpha.run(["nft", rules])
        began = boot_ms()
        probe.hold(1.7)
        run.alpha.run(["nft", "delete", "table", "inet", "hush"])
        really = boot_ms() - began
        probe.wait_served(since=began)
        seen = run.judge(probe, only_by="alpha")
        run.expect(abs(seen["blackout_ms"] - really) < 100, f"a silence of {really:.0f} ms was measured as {seen['blackout_ms']}")
        run.expect(seen["lost"] > 50, f"only {seen['lost']} requests were lost in it")


@scenario(daemons=False)
def lab_disk(run):
    """Each node's view of the disk fails alone, hangs alone, is slow alone, and both see what either wrote; a power cut drops what hangs."""
    def write(node, text, check=True):
        return node.run(["dd", "of=/run/quorum", "bs=4096", "count=1", "seek=1", "oflag=direct", "conv=notrunc,sync,fsync"], input=text, check=check)

    def read(node, check=True):
        return node.run(["dd", "if=/run/quorum", "bs=4096", "count=1", "skip=1", "iflag=direct"], check=check)

    write(run.alpha, "from alpha")
    run.expect(read(run.beta).stdout.startswith("from alpha"), "beta doesn't see what alpha wrote")
    for mode, writes, reads in (("eio", False, False), ("weio", False, True), ("reio", True, False), ("ok", True, True)):
        run.lab.disk("alpha", mode)
        run.expect((write(run.alpha, "again", check=False).returncode == 0) == writes, f"alpha's write with its disk {mode}")
        run.expect((read(run.alpha, check=False).returncode == 0) == reads, f"alpha's read with its disk {mode}")
        run.expect(read(run.beta, check=False).returncode == 0, f"beta's read with alpha's disk {mode}")
    run.lab.disk("alpha", "slow 400")
    began = boot_ms()
    read(run.alpha)
    run.expect(boot_ms() - began >= 400, "a slow disk is not slow")
    run.lab.disk("alpha", "hang")
    write(run.beta, "from beta")
    run.alpha.run(["sh", "-c", "printf late | dd of=/run/quorum bs=4096 count=1 seek=1 oflag=direct conv=notrunc,sync >/dev/null 2>&1 &"])
    wait_for("alpha's write to hang", lambda: "hanging=0" not in run.lab.disk_report()["alpha"])
    run.alpha.power_cut()
    run.lab.disk("both", "ok")
    run.expect(read(run.beta).stdout.startswith("from beta"), "what hung at a power cut was written later")


@scenario(daemons=False, disk="loop")
def lab_loop_disk(run):
    """A loop device per node on the disk with faults is a real block device that both nodes share and that fails for one alone."""
    run.alpha.run(["sh", "-c", "test -b /run/quorum && printf 'on a block device' | dd of=/run/quorum bs=4096 count=1 oflag=direct conv=notrunc,sync"])
    text = run.beta.run(["dd", "if=/run/quorum", "bs=4096", "count=1", "iflag=direct"]).stdout
    run.expect(text.startswith("on a block device"), "beta's loop device doesn't show what alpha wrote")
    run.lab.disk("beta", "eio")
    run.expect(run.beta.run(["dd", "if=/run/quorum", "bs=4096", "count=1", "iflag=direct"], check=False).returncode != 0, "beta's disk fails")
    run.alpha.run(["dd", "if=/run/quorum", "bs=4096", "count=1", "iflag=direct"])


@scenario(daemons=False, disk="file")
def lab_processes(run):
    """A node's processes are found, frozen and killed as one; a dead lab leaves nothing in it."""
    run.alpha.run(["sh", "-c", "for i in 1 2; do sleep 1000 </dev/null >/dev/null 2>&1 & done"])
    found = run.alpha.processes("sleep")
    run.expect(len(found) == 2, f"{found} instead of two")
    run.expect(not run.beta.processes("sleep"), "alpha's processes are seen in beta")
    try:
        run.alpha.the("sleep")
        run.expect(False, "two processes were taken for the one")
    except LabError:
        pass
    one = identity(found[0].pid)
    end_process(one, signal.SIGKILL)
    wait_for("it to be gone without a zombie", lambda: len(run.alpha.processes("sleep")) == 1)


@scenario(fresh=True)
def lab_audit_finds_what_is_left(run):
    """The audit passes a pair that is well, and names each thing that is left over where one is planted: an address, processes, a cgroup,
    a mount, a zombie, a file descriptor, a decision that differs, an owner that doesn't answer."""
    run.start_both()
    run.expect(audit(run) == [], "the audit finds something wrong with a pair that was just started")
    beta, cgroup = run.beta, run.beta.cgroup and os.path.join(run.beta.cgroup, "res-web-server")
    beta.run(["ip", "address", "add", f"{config.ADDRESS}/24", "dev", "eth1"])
    beta.run(["sh", "-c", "sleep 1000 </dev/null >/dev/null 2>&1 & /usr/sbin/nginx -e stderr -p /run/lab/nginx/ -c nginx.conf </dev/null >/dev/null 2>&1 &"])
    beta.run(["sh", "-c", "mkdir -p /run/left && mount -t tmpfs left /run/left"])
    if cgroup:
        os.mkdir(cgroup)
    unwaited = "import os, time\nif os.fork() == 0: os._exit(0)\ntime.sleep(1000)"
    beta.run(["sh", "-c", f"python3 -c '{unwaited}' </dev/null >/dev/null 2>&1 &"])
    wait_for("nginx on beta", lambda: len(beta.processes("nginx")) >= 2)
    held = socket.socket(socket.AF_UNIX)
    held.connect(f"/proc/{beta.init[0]}/root/run/clusterd/clusterd.sock")
    found = " | ".join(audit(run, limit=1))
    for what in (f"address {config.ADDRESS} is left over on eth1", "a process of web-server is left over", "a process of nobody", "mount /run/left is left over",
                 "a zombie", "clusterd-worker has", *([f"the cgroup {cgroup} of web-server is left over"] if cgroup else [])):
        run.expect(what in found, f"planted, and not found: {what}; found: {found}")
    held.close()
    for each in beta.processes("nginx", "sleep", *{each.name for each in beta.processes() if each.name.startswith("python")}):
        end_process(identity(each.pid))
    beta.run(["sh", "-c", f"ip address delete {config.ADDRESS}/24 dev eth1; umount /run/left"])
    if cgroup:
        os.rmdir(cgroup)
    run.expect(any("answered for by alpha, its owner is beta" in each for each in client_sees_one(run, "beta")), "an owner that doesn't answer isn't found")
    view = run.view
    run.view = lambda node: {**view(node), "index": view(node)["index"] + (node is beta)}
    try:
        one_story(run)
        run.expect(False, "decisions that differ are not found")
    except LabError as error:
        run.expect("the newest decisions differ" in str(error), f"decisions that differ are told as: {error}")
    finally:
        del run.view
