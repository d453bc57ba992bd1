"""The examples of config/examples/ with the software they are about: each file itself, with other addresses and devices, is brought online in two
containers, its service killed, moved, and its node cut from power, while a client on a third host asks again and again. Played by
containers.py --example NAME; the world and the helpers are its."""
import os
import re
import socket
import subprocess
import threading

from containers import CLIENT, HERE, LONGEST_GAP, NET, World, say, wait_active
from exampleclients import Client, Ledger, http, postgres, redis
from machine import Loop
from probe import expect
from tools import LabError, dies_with_us, run, wait_for

FOLDER = os.path.join(HERE, "../../config/examples")


def adapted(text):
    """The file as it is, but for what a container has otherwise: one link, this network, its interface, its disks."""
    text = re.sub(r' <link address="192\.168\.50\.\d"/>', "", text)
    for there, here in (("10.0.0.11", f"{NET}.1"), ("10.0.0.12", f"{NET}.2"), ("10.0.0.254", CLIENT), ("10.0.0.", f"{NET}."), ("eth0", "host0"),
                        ("/dev/disk/by-id/scsi-36001405a", "/dev/quorum"), ("/dev/disk/by-id/scsi-36001405b", "/dev/data")):
        text = text.replace(there, here)
    return text


# ---- the examples: what stands in the software's own configuration, what is asked, what is killed

def nginx(node, listen, root=None):
    for name in os.listdir(node.root + "/etc/nginx/sites-enabled"):
        os.unlink(f"{node.root}/etc/nginx/sites-enabled/{name}")
    answer = f"root {root};" if root else f'return 200 "{node.name} says hello\\n";'
    node.write("/etc/nginx/conf.d/example.conf", f"server {{ listen {listen} default_server backlog=1024; default_type text/plain; location / {{ {answer} }} }}\n")


class WebServer:
    group, content = "web", "/srv/web"
    question = staticmethod(http(f"{NET}.100", 80, "/", "pages of the shop"))
    main = ("nginx.service", "web-server")

    def fill(self, folder):
        with open(f"{folder}/index.html", "w") as file:
            file.write("pages of the shop\n")

    def prepare(self, world, node):
        nginx(node, 80, "/srv/web")

    def fault(self, world, node):
        """The disk is full: shown, and nothing moves. Somebody stands in the directory: it is told who, and that ends."""
        client = Client(self.question)
        node.run(["sh", "-c", "dd if=/dev/zero of=/srv/web/full bs=64k 2>/dev/null; true"])

        def degraded():
            return [r["message"] for r in group_of(node, "web")["resources"] if r["name"] == "web-data" and r["health"] == "degraded"]
        say(wait_for("the full disk to be told", degraded, limit=30)[0])
        online(world, "web", node.name)
        waited = client.stop()
        expect(waited < LONGEST_GAP, "a client that reads isn't touched by a full disk", f"it waited {waited} ms")
        say(f"the client waited {waited} ms")
        node.run(["rm", "/srv/web/full"])
        wait_for("the disk to be well again", lambda: not degraded(), limit=30)
        node.run(["sh", "-c", "cd /srv/web && exec setsid sleep 600 </dev/null >/dev/null 2>&1 &"])
        move(world, self, world.other(node.name))
        tried = world["alpha"].run(["clusterctl", "agent", "try", "unit", "unit=nginx.service"], check=False).stdout.strip()
        other = world["beta"].run(["clusterctl", "agent", "try", "unit", "unit=nginx.service"], check=False).stdout.strip()
        expect({tried.split()[0], other.split()[0]} == {"ok", "failed"}, "the agent unit: ok on one node, failed on the other", (tried, other))
        say(f"agent unit on alpha: {tried}; on beta: {other}")
        said = [str(each["MESSAGE"]) for each in node.journal_objects() if "it was held by sleep" in str(each["MESSAGE"])]
        expect(said, "a busy mount names its holder", node.journal("-n", "20"))
        say(said[-1])


class PostgreSQL:
    group, content = "db", "/srv/pg"
    question = staticmethod(postgres(f"{NET}.101"))
    main = ("postgresql@15-main.service", "db-server")
    acknowledged = ()  # at the power cut

    def fill(self, folder):
        os.makedirs(f"{folder}/main", mode=0o700)
        run(["chown", "postgres:postgres", folder, f"{folder}/main"])
        run(["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "/usr/lib/postgresql/15/bin/initdb", "-D", f"{folder}/main", "-A", "trust", "--no-sync"])

    def prepare(self, world, node):
        path = node.root + "/etc/postgresql/15/main/"
        with open(path + "postgresql.conf") as file:
            text = re.sub(r"(?m)^#?(data_directory|listen_addresses) *=.*$", "", file.read())
        node.write("/etc/postgresql/15/main/postgresql.conf", text + "\ndata_directory = '/srv/pg/main'\nlisten_addresses = '*'\n")
        node.write("/etc/postgresql/15/main/start.conf", "manual\n")
        node.write("/etc/postgresql/15/main/pg_hba.conf", f"local all all trust\nhost all all {NET}.0/24 trust\n")
        run(["chown", "-R", "postgres:postgres", path])

    def sql(self, text):
        return run(["psql", "-h", f"{NET}.101", "-U", "postgres", "-d", "postgres", "-Atc", text]).stdout.strip()

    def begin(self, world, node):
        node.run(["sh", "-c", "for i in $(seq 100); do psql -h /var/run/postgresql -U postgres -c 'CREATE ROLE clusterd LOGIN' && exit; sleep 0.1; done; exit 1"])
        self.sql("CREATE TABLE orders (id serial, what text)")
        self.sql("INSERT INTO orders (what) SELECT 'order ' || n FROM generate_series(1, 1000) n")
        self.sql("CREATE TABLE ledger (id serial PRIMARY KEY)")

    def cut(self, node):
        """While rows are written. The kernel of a container goes on and would write out later what the power cut takes from a machine: so the
        filesystem is shut down first, and what isn't on the disk by then never comes there."""
        ledger = Ledger(f"{NET}.101")
        try:
            ledger.wait_rows(200)
            node.run(["xfs_io", "-x", "-c", "shutdown", "/srv/pg"])
            node.power_cut()
        finally:
            self.acknowledged = ledger.end()

    def after(self, world):
        found = self.sql("SELECT count(*) FROM orders")
        expect(found == "1000", "all orders after it all", found)
        if self.acknowledged:
            there = {int(each) for each in self.sql("SELECT id FROM ledger").split()}
            lost = [each for each in self.acknowledged if each not in there]
            expect(not lost, f"all of the {len(self.acknowledged)} rows that were acknowledged before the power cut", f"{len(lost)} are lost, from {lost[:1]} on")
            say(f"all of the {len(self.acknowledged)} rows that were acknowledged before the power cut are there")

    def fault(self, world, node):
        """The agent postgres, as an operator tries it; what the client was told is written is there after the restart."""
        expect(self.sql("SELECT count(*) FROM orders") == "1000", "all orders", self.sql("SELECT count(*) FROM orders"))
        for user, wanted in (("clusterd", "ok"), ("nobody_of_that_name", "unknown")):
            tried = node.run(["clusterctl", "agent", "try", "postgres", f"address={NET}.101", f"user={user}", "database=postgres"], check=False).stdout.strip()
            expect(tried.split()[0] == wanted, f"the agent postgres: {wanted} for {user}", tried)
            say(f"agent postgres: {tried}")


class ActiveActive:
    group, content = "web", None
    question = staticmethod(http(f"{NET}.100", 80, "/", "says hello"))
    main = ("nginx.service", "web-server")

    def prepare(self, world, node):
        nginx(node, 80)
        with open(node.root + "/etc/redis/redis.conf") as file:
            text = re.sub(r"(?m)^(bind|protected-mode) .*$", "", file.read())
        node.write("/etc/redis/redis.conf", text + "\nbind 0.0.0.0\nprotected-mode no\n")
        run(["chown", "redis:redis", node.root + "/etc/redis/redis.conf"])
        run(["systemctl", "--root", node.root, "disable", "-q", "redis-server.service"])  # its alias counts as enabled

    def begin(self, world, node):
        online(world, "cache", group_of(node, "cache")["owner"])
        node.run(["clusterctl", "move", "cache", "--to", "beta"])  # alpha was there first, and failback waits for the night
        online(world, "cache", "beta")

    def fault(self, world, node):
        """The other group's node is lost: both run on this one, and are told apart again when it is back and failback allows."""
        client = Client(redis(f"{NET}.102"))
        lost = world["beta"]
        lost.power_cut()
        online(world, "cache", "alpha", on=world["alpha"])
        say(f"power cut of beta: the cache's client waited {client.stop()} ms")
        lost.boot()
        wait_active(lost)
        world["alpha"].run(["clusterctl", "move", "cache", "--to", "beta"])
        online(world, "cache", "beta")


class LoadBalanced:
    group, content = "front", None
    question = staticmethod(http(f"{NET}.100", 80, "/", "says hello"))
    main = ("haproxy.service", "front-proxy")

    def prepare(self, world, node):
        nginx(node, 8080)
        run(["systemctl", "--root", node.root, "enable", "-q", "nginx.service"])
        node.write("/etc/haproxy/haproxy.cfg", f"""defaults
  mode http
  timeout connect 500ms
  timeout client 5s
  timeout server 5s
  retries 3
  option redispatch
frontend web
  bind {NET}.100:80
  default_backend servers
backend servers
  balance roundrobin
  server alpha {NET}.1:8080 check inter 500ms
  server beta {NET}.2:8080 check inter 500ms
""")

    def fault(self, world, node):
        """One of the two web servers is stopped: HAProxy takes it out of the row, and no client waits for it."""
        client = Client(self.question)
        stopped = world[world.other(node.name)]

        def state():
            return [line for line in node.run(["sh", "-c", "journalctl -u haproxy -o cat --no-pager"]).stdout.splitlines() if f"Server servers/{stopped.name} is " in line]
        stopped.systemctl("stop", "nginx")
        say(wait_for("HAProxy to see that it is down", lambda: [line for line in state() if " is DOWN" in line], limit=30)[-1])
        waited = client.stop()
        expect(waited < LONGEST_GAP, "no client waits for a web server that is stopped", f"it waited {waited} ms")
        say(f"the client waited {waited} ms")
        stopped.systemctl("start", "nginx")
        wait_for("HAProxy to see that it is up", lambda: " is UP" in (state() or [""])[-1], limit=30)


class PrintServer:
    group, content = "printing", None
    question = staticmethod(http(f"{NET}.100", 631, "/printers/laser", "laser"))
    main = None

    def __init__(self):
        self.paper = b""

    def adapt(self, text):
        """The printer is this host: no IPP, but a port that takes what comes."""
        return re.sub(r'device="[^"]*"( model="raw")?', f'device="socket://{CLIENT}:9100" model="raw"', text)

    def prepare(self, world, node):
        node.write("/etc/cups/cupsd.conf", "Port 631\nListen /run/cups/cups.sock\nBrowsing No\nWebInterface Yes\nDefaultAuthType None\nServerAlias *\nJobRetryInterval 1\n"
                   "<Location />\n  Order allow,deny\n  Allow all\n</Location>\n")
        run(["systemctl", "--root", node.root, "enable", "-q", "cups.service"])

    def begin(self, world, node):
        listener = socket.create_server((CLIENT, 9100), backlog=16)

        def printer():
            while True:
                connection, _ = listener.accept()
                with connection:
                    while more := connection.recv(4096):
                        self.paper += more
        threading.Thread(target=printer, daemon=True).start()
        self.prints("at the beginning")

    def prints(self, text):
        done = run(["lp", "-h", f"{NET}.100:631", "-d", "laser", "-"], input=text + "\n")
        wait_for(f"'{text}' to be printed", lambda: text.encode() in self.paper, limit=30)
        say(f"{done.stdout.strip()}: printed")

    def fault(self, world, node):
        """CUPS is stopped: told, and the group goes to the node where it runs."""
        self.prints("before the fault")
        client = Client(self.question)
        node.systemctl("stop", "cups.service", "cups.socket", "cups.path")
        online(world, self.group, world.other(node.name))
        said = [str(each["MESSAGE"]) for each in node.journal_objects() if "CUPS isn't running" in str(each["MESSAGE"])]
        expect(said, "the journal says that CUPS isn't running", node.journal("-n", "20"))
        say(said[-1])
        say(f"CUPS stopped: the client waited {client.stop()} ms")
        node.systemctl("start", "cups.service")
        self.prints("after the fault")
        world["alpha"].run(["clusterctl", "reset", self.group])


class NamesAndRoutes:
    group, content = "web", None
    question = staticmethod(http(f"{NET}.100", 80, "/", "says hello"))
    main = ("nginx.service", "web-server")

    def prepare(self, world, node):
        nginx(node, 80)
        if not hasattr(self, "key"):
            self._serve_names(world)
        node.write("/etc/clusterd/dns.key", self.key, 0o600)

    def _serve_names(self, world):
        """The zone's primary, on the third host."""
        run(["ip", "address", "add", f"{NET}.53/24", "dev", "br0"])
        self.folder = os.path.join(world.base, "named")
        os.makedirs(self.folder)
        self.key = run(["tsig-keygen", "web-key"]).stdout
        for name, text in (("web.key", self.key), ("zone", "$TTL 60\n@ SOA ns root 1 60 60 60 5\n@ NS ns\nns A 127.0.0.1\n"), ("conf", f"""include "{self.folder}/web.key"; controls {{ }};
options {{ directory "{self.folder}"; pid-file none; session-keyfile none; listen-on {{ {NET}.53; }}; listen-on-v6 {{ none; }}; recursion no; }};
zone "example.com" {{ type primary; file "zone"; update-policy {{ grant web-key subdomain www.example.com. A AAAA TXT; }}; }};
""")):
            with open(f"{self.folder}/{name}", "w") as file:
                file.write(text)
        self.named = self._start_named(world)

    def _start_named(self, world):
        with open(f"{self.folder}/log", "a") as log:
            named = subprocess.Popen(["named", "-g", "-n", "1", "-c", f"{self.folder}/conf"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=dies_with_us)
        wait_for("named to answer", lambda: self.dig("ns.example.com") == "127.0.0.1", limit=30)
        return named

    def dig(self, name):
        return run(["dig", "+short", "+tries=1", "+time=2", f"@{NET}.53", name, "A"], check=False).stdout.strip()

    def begin(self, world, node):
        self.stands(world)

    def stands(self, world):
        """The name points at the address; the route, from it, is on the owner only."""
        wait_for("the name", lambda: self.dig("www.example.com") == f"{NET}.100", limit=60)
        for node in world.nodes.values():
            if not node.on():
                continue
            wanted = node.name == owner_of(world)
            def look(node=node, wanted=wanted):
                routes = node.run(["ip", "route", "show", "proto", "79"]).stdout
                if (f"10.1.0.0/16 via {CLIENT} dev host0 src {NET}.100" in routes) != wanted:
                    raise LabError(f"{node.name} has the routes: {routes}")
                return True
            wait_for("the route where it belongs", look, limit=30)
        say(f"www.example.com is {self.dig('www.example.com')}, the route to 10.1.0.0/16 is on {owner_of(world)} only")

    def fault(self, world, node):
        """The DNS server is down while the group moves: it serves all the same, and its name follows once the server is back."""
        self.named.kill()
        self.named.wait()
        client = Client(self.question)
        world["alpha"].run(["clusterctl", "--no-wait", "move", "web"])
        wait_for("the web server to be online on the other node", lambda: group_of(node, "web")["owner"] != node.name and
                 [r["state"] for r in group_of(node, "web")["resources"] if r["name"] == "web-server"] == ["online"], limit=90, every=0.1)
        say(f"moved without a DNS server; the client waited {client.stop()} ms")
        said = wait_for("the journal to say it", lambda: [str(each["MESSAGE"]) for each in world[owner_of(world)].journal_objects() if each.get("CLUSTER_RESOURCE") == "web-name" and "failed" in str(each["MESSAGE"])], limit=60)
        say(said[-1])
        self.named = self._start_named(world)
        online(world, "web", owner_of(world))
        self.stands(world)

    def after(self, world):
        self.stands(world)


class Ocf(PostgreSQL):
    """The web server is what is asked; the database is on the same node, and comes along."""
    group, content = "web", "/srv/pg"
    question = staticmethod(http(f"{NET}.100", 80, "/", "says hello"))
    main = None

    def cut(self, node):
        node.power_cut()  # its database may be on the other node

    def prepare(self, world, node):
        nginx(node, 80)
        os.makedirs(node.root + "/var/run/postgresql", exist_ok=True)

    def fill(self, folder):
        super().fill(folder)
        with open(f"{folder}/main/pg_hba.conf", "a") as file:
            file.write(f"host all all {NET}.0/24 trust\n")
        with open(f"{folder}/main/postgresql.conf", "a") as file:
            file.write("listen_addresses = '*'\nunix_socket_directories = '/var/run/postgresql'\n")

    def begin(self, world, node):
        node.run(["sh", "-c", "mkdir -p /var/run/postgresql && chown postgres:postgres /var/run/postgresql"])
        online(world, "db", "alpha")
        super().begin(world, node)

    def fault(self, world, node):
        """Both servers are killed, as a node's memory running out does it; the database moves, and its client with it."""
        for what, question, group in (("nginx", self.question, "web"), ("PostgreSQL", postgres(f"{NET}.101"), "db")):
            client = Client(question)
            path = f"res-{'web' if group == 'web' else 'db'}-server"
            node.run(["sh", "-c", f"kill -9 $(head -1 $(find /sys/fs/cgroup -path '*{path}/cgroup.procs' | head -1))"])
            wait_for("its failure to be told", lambda: any(str(each.get("CLUSTER_RESOURCE")).startswith(group + "-server") and "failed:" in str(each["MESSAGE"]) for each in node.journal_objects()), limit=60, every=0.1)
            online(world, group, node.name)
            world.blackouts[f"kill -9 of {what}"] = client.stop()
        client = Client(postgres(f"{NET}.101"))
        node.run(["clusterctl", "move", "db"])
        online(world, "db", world.other(node.name))
        world.blackouts["move of PostgreSQL"] = client.stop()
        expect(self.sql("SELECT count(*) FROM orders") == "1000", "all orders", "fewer")
        web_owner = group_of(node, "web")["owner"]
        there = world[world.other(web_owner)]
        there.run(["chmod", "-x", "/usr/lib/ocf/resource.d/heartbeat/nginx"])
        client = Client(self.question)
        done = node.run(["clusterctl", "move", "web"], check=False)
        online(world, "web", web_owner)
        said = [str(each["MESSAGE"]) for each in there.journal_objects() if each.get("CLUSTER_RESOURCE") == "web-server" and "is there but may not be executed on this node: chmod +x" in str(each["MESSAGE"])]
        expect(said, "the journal says that the agent can't be run there", there.journal("-n", "20"))
        say(f"{said[-1]}; {(done.stdout + done.stderr).strip().splitlines()[-1]}; back on {web_owner}, the client waited {client.stop()} ms")
        there.run(["chmod", "+x", "/usr/lib/ocf/resource.d/heartbeat/nginx"])
        node.run(["clusterctl", "reset", "web"])
        said = world["beta"].run(["clusterctl", "check", "/dev/stdin"], check=False, input=world.cluster.replace('agent="heartbeat:pgsql"', 'agent="heartbeat:exportfs"')).stderr
        expect("\"clientspec\" is missing" in said and "no parameter \"pgctl\"" in said, "check holds an agent's parameters against its meta-data", said)
        say(next(line for line in said.splitlines() if "clientspec" in line))


EXAMPLES = {"web-server": WebServer, "postgresql": PostgreSQL, "active-active": ActiveActive, "load-balanced": LoadBalanced, "print-server": PrintServer, "names-and-routes": NamesAndRoutes, "ocf": Ocf}


class ExampleWorld(World):
    def __init__(self, bin_dir, name):
        super().__init__(bin_dir)
        self.name, self.example, self.blackouts = name, EXAMPLES[name](), {}
        with open(f"{FOLDER}/{name}.xml") as file:
            text = adapted(file.read())
        self.cluster = self.example.adapt(text) if hasattr(self.example, "adapt") else text
        self.cluster_name = re.search(r'<cluster name="([^"]*)"', text).group(1)

    def up(self):
        super().up()
        image = os.path.join(self.base, "data.img")
        if self.example.content:
            content = os.path.join(self.base, "content")
            os.makedirs(content)
            self.example.fill(content)
            with open(image, "wb") as file:
                file.truncate(256 << 20)
            run(["mkfs.ext4", "-q", "-d", content, image])
        for node in self.nodes.values():
            if self.example.content:
                # The shared disk: a loop device for each node over one file, or the one kernel would hide that both have it mounted.
                self.loops.append(Loop(image))
                node.devices["/dev/data"] = self.loops[-1].device
                os.makedirs(node.root + self.example.content, exist_ok=True)
            self.example.prepare(self, node)


# ---- what is looked at more than once

def group_of(node, name):
    status = node.status()
    if not status:
        raise LabError(f"{node.name}: no status")
    return next(g for g in status["groups"] if g["name"] == name)


def online(world, name, owner, on=None):
    """The group is online on that node, as every node that is on sees it."""
    for node in [on] if on else [each for each in world.nodes.values() if each.on()]:
        def look(node=node):
            group = group_of(node, name)
            if (group["owner"], group["state"]) != (owner, "online"):
                raise LabError(f"{node.name} sees {group['state']} on {group['owner']}: " + "; ".join(f"{r['name']} {r['state']} {r['message'] or ''}" for r in group["resources"]))
            return True
        wait_for(f"group {name} online on {owner}", look, limit=90, every=0.1)


def owner_of(world):
    return group_of(next(each for each in world.nodes.values() if each.on()), world.example.group)["owner"]


def move(world, example, to):
    done = world["alpha"].run(["clusterctl", "move", example.group, "--to", to])
    online(world, example.group, to)
    return done.stdout.strip().splitlines()[-1]


# ---- the steps

def start(world):
    for node in world.nodes.values():
        node.boot()
    world["alpha"].run(["clusterctl", "quorum", "init", "/dev/quorum", "--cluster", world.cluster_name])
    for node in world.nodes.values():
        node.systemctl("enable", "-q", "--now", "clusterd")
    if world.example.main and world.name == "postgresql":  # its agent's role isn't there yet: it is made as soon as the server runs
        wait_for("PostgreSQL to run", lambda: world["alpha"].run(["sh", "-c", "psql -h /var/run/postgresql -U postgres -c 'select 1'"], check=False).returncode == 0, limit=90)
    if hasattr(world.example, "begin") and world.name == "postgresql":
        world.example.begin(world, world["alpha"])
    online(world, world.example.group, "alpha")
    if hasattr(world.example, "begin") and world.name != "postgresql":
        world.example.begin(world, world["alpha"])
    print(world["alpha"].run(["clusterctl", "status"]).stdout.rstrip())
    told = [f"{r['name']}: {r['message']}" for group in world["alpha"].status()["groups"] for r in group["resources"] if r["message"]]
    expect(not told, "nothing to tell of any resource", told)
    client = Client(world.example.question)
    say(f"without any fault the client waits at most {client.stop()} ms")


def kill(world):
    if not world.example.main:
        return say("nothing of it is a process of its own")
    unit, resource = world.example.main
    node = world[owner_of(world)]
    client = Client(world.example.question)
    pid = node.systemctl("show", unit, "-p", "MainPID", "--value").stdout.strip()
    if pid == "0":  # a unit that forks and doesn't say what its main process is
        pid = node.run(["sh", "-c", f"head -1 /sys/fs/cgroup$(systemctl show {unit} -p ControlGroup --value)/cgroup.procs"]).stdout.strip()
    node.run(["kill", "-9", pid])
    wait_for("its failure to be told", lambda: any(each.get("CLUSTER_RESOURCE") == resource and "failed:" in str(each["MESSAGE"]) for each in node.journal_objects()), limit=60, every=0.1)
    online(world, world.example.group, node.name)
    world.blackouts["kill -9"] = client.stop()
    said = [str(each["MESSAGE"]) for each in node.journal_objects() if each.get("CLUSTER_RESOURCE") == resource and "failed:" in str(each["MESSAGE"])]
    expect("ended by signal 9 (Killed); restarted here" in said[-1], "what ended it, and what is done", said)
    say(said[-1])
    world["alpha"].run(["clusterctl", "reset", world.example.group])


def fault(world):
    say((world.example.fault.__doc__ or "").strip())
    world.example.fault(world, world[owner_of(world)])


def move_away_and_back(world):
    there = world.other(owner_of(world))
    for to in (there, world.other(there)):
        client = Client(world.example.question)
        said = move(world, world.example, to)
        world.blackouts["move"] = max(world.blackouts.get("move", 0), client.stop())
        say(said)


def power_cut(world):
    node = world[owner_of(world)]
    client = Client(world.example.question)
    world.example.cut(node) if hasattr(world.example, "cut") else node.power_cut()
    online(world, world.example.group, world.other(node.name))
    world.blackouts["power cut"] = client.stop()
    node.boot()
    wait_active(node)
    online(world, world.example.group, world.other(node.name))


def figures(world):
    if hasattr(world.example, "after"):
        world.example.after(world)
    if world.name == "print-server":
        world.example.prints("at the end")
    print(f"   EXAMPLE {world.name}: the client's longest wait, ms: " + ", ".join(f"{what} {ms}" for what, ms in world.blackouts.items()), flush=True)


STEPS = [
    ("the example is brought online", start),
    ("kill -9 of its main process", kill),
    ("a fault of its kind", fault),
    ("a move there and back", move_away_and_back),
    ("power cut of the active node", power_cut),
    ("what the client saw", figures),
]
