"""OCF agents of Debian's resource-agents as resources: a real Redis by heartbeat:redis, with an address, and heartbeat:Dummy beside it."""
import os
import signal

from config import CACHE_ADDRESS
from runner import scenario
from tools import LabError, wait_for

CACHE = f"""  <group name="cache" preferred="alpha">
    <ip-address name="cache-ip" address="{CACHE_ADDRESS}/24" interface="eth0"/>
    <ocf name="cache-server" agent="heartbeat:redis" depends="cache-ip" monitor-every="500ms">
      <param name="user" value="root"/>
      <param name="config" value="/run/lab/redis.conf"/>
      <param name="rundir" value="/run/lab/redis"/>
      <health type="redis" address="{CACHE_ADDRESS}" every="1s" timeout="1s"/>
    </ocf>
    <ocf name="cache-mark" agent="ocf:heartbeat:Dummy" depends="cache-server" monitor-every="200ms">
      <param name="state" value="/run/lab/dummy.state"/>
    </ocf>
  </group>
"""


def online_on(run, owner, seen_by):
    def look():
        group = next(each for each in run.view(seen_by)["groups"] if each["name"] == "cache")
        if (group["state"], group["owner"]) != ("online", owner.name):
            raise LabError(f"cache is {group['state']} on {group['owner']}: {[each['message'] for each in group['resources']]}")
        return True
    wait_for(f"cache to be online on {owner.name}", look, limit=60)


@scenario(fresh=True, extra=CACHE)
def ocf_agents(run):
    """A group of an address, Redis by heartbeat:redis and heartbeat:Dummy: moved, its process killed, its state removed, and its node's power cut."""
    for node in (run.alpha, run.beta):
        os.makedirs(os.path.join(node.directory, "redis"), exist_ok=True)
        with open(os.path.join(node.directory, "redis.conf"), "w") as file:
            file.write("bind 0.0.0.0\nprotected-mode no\nport 6379\ndir /run/lab/redis\nsave \"\"\ndaemonize yes\n")
    run.start_both()
    online_on(run, run.alpha, run.alpha)
    moved = run.alpha.ctl("move", "cache", timeout=60)
    run.expect(moved.returncode == 0, f"move: exit {moved.returncode}: {moved.stderr}")
    online_on(run, run.beta, run.beta)
    run.notes["move"] = moved.stdout.strip().splitlines()[-1]

    def message(name):
        return next(r for g in run.view(run.beta)["groups"] for r in g["resources"] if r["name"] == name)
    os.unlink(os.path.join(run.beta.directory, "dummy.state"))
    wait_for("Dummy's monitor to notice", lambda: message("cache-mark")["restarts_in_window"] == 1, limit=30)
    online_on(run, run.beta, run.beta)
    server = next(each for name in ("redis-server", "redis-check-rdb") for each in run.beta.processes(name))
    os.kill(server.pid, signal.SIGKILL)
    wait_for("Redis to be missed", lambda: message("cache-server")["restarts_in_window"] >= 1, limit=30)
    online_on(run, run.beta, run.beta)
    run.beta.power_cut()
    online_on(run, run.alpha, run.alpha)
    run.beta.power_on()
    run.settled("alpha")
    online_on(run, run.alpha, run.beta)
