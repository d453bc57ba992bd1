"""The files the lab's nodes are started with: cluster.xml and nginx.conf; and what belongs to which resource of them. Called by world.py. The same paths are right on both nodes,
since each sees a directory of its own at /run/lab and its view of the quorum disk at /run/quorum."""

NODES = ("alpha", "beta")
SERVICE_NET, HEARTBEAT_NET = "10.77.0", "10.78.0"
SERVICE_NET6 = "fd77:"
ADDRESS, ADDRESS6 = f"{SERVICE_NET}.100", f"{SERVICE_NET6}:100"
MAIL_ADDRESS, MAIL_PORT, ECHO_PORT = f"{SERVICE_NET}.101", 81, 82
CACHE_ADDRESS = f"{SERVICE_NET}.102"
SAMPLES_FROM, SAMPLES_FROM6 = f"{SERVICE_NET}.200", f"{SERVICE_NET6}:200"
CLIENT_HOST = 9


def mac(host):
    return f"02:77:00:00:00:{host:02x}"


def cluster_xml(*, timing="default", quorum=True, ipv6=False, failback="never", restart_limit=3, preferred="alpha", health=True,
                failover_limit=None, start_delay=None, announce=None, permit=None, echo=False, mail=False, version=1, extra=""):
    """One group, `web`: an address (IPv6: a second one) and nginx on it. start_delay: and a dummy that comes online so slowly; echo: and
    a server that answers TCP and UDP with what it got. mail: a second group, an address and such a server, preferred on beta."""
    links = "\n".join(
        f'  <node name="{name}"> <link address="{HEARTBEAT_NET}.{i}"/> <link address="{SERVICE_NET}.{i}"/> </node>'
        for i, name in enumerate(NODES, 1))
    disk = '  <quorum disk="/run/quorum"/>\n' if quorum else ""
    repeated = f' announce="{announce}"' if announce is not None else ""
    address6 = f'    <ip-address name="web-ip6" address="{ADDRESS6}/64" interface="eth0"{repeated}/>\n' if ipv6 else ""
    depends = "web-ip web-ip6" if ipv6 else "web-ip"
    limit = f' failover-limit="{failover_limit}"' if failover_limit is not None else ""
    check = f'      <health type="http" url="http://{ADDRESS}/healthz" every="1s" timeout="1s" failures="2"/>\n' if health else ""
    own_permit = f' permit="{permit}"' if permit else ""
    more = f'    <dummy name="web-slow" start-delay="{start_delay}" depends="web-server"/>\n' if start_delay else ""
    if echo:
        more += server("web-echo", ADDRESS, ECHO_PORT, "web-ip")
    if mail:
        extra += (f'  <group name="mail" preferred="beta">\n    <ip-address name="mail-ip" address="{MAIL_ADDRESS}/24" interface="eth0"/>\n'
                  + server("mail-server", MAIL_ADDRESS, MAIL_PORT, "mail-ip") + "  </group>\n")
    return f"""<cluster name="lab" version="{version}">
{links}
{disk}  <timing profile="{timing}"{own_permit}/>
  <group name="web" preferred="{preferred}" failback="{failback}"{limit}>
    <ip-address name="web-ip" address="{ADDRESS}/24" interface="eth0"{repeated}/>
{address6}    <process name="web-server" command="/usr/sbin/nginx -e stderr -p /run/lab/nginx/ -c nginx.conf" depends="{depends}"
             stop-signal="QUIT" stop-timeout="3s" ready="tcp:80">
{check}      <restart limit="{restart_limit}" period="15min"/>
    </process>
{more}  </group>
{extra}</cluster>
"""


def server(resource, address, port, depends):
    return f'    <process name="{resource}" command="/usr/bin/python3 -B /run/lab/echo.py {resource} {address} {port}" depends="{depends}" ready="tcp:{port}"/>\n'


def cluster_addresses(groups):
    """address -> resource, of those in a status's groups."""
    known = {"web-ip": ADDRESS, "web-ip6": ADDRESS6, "mail-ip": MAIL_ADDRESS, "cache-ip": CACHE_ADDRESS}
    return {known[each["name"]]: each["name"] for group in groups for each in group["resources"] if each["name"] in known}


def resource_of(process):
    """Whose process it is; None: nobody's."""
    if process.name == "nginx":
        return "web-server"
    if process.name in ("redis-server", "redis-check-rdb"):  # one file of several names
        return "cache-server"
    if "/run/lab/batch.sh" in process.arguments:
        return "batch-job"
    if "/run/lab/echo.py" in process.arguments:
        return process.arguments[process.arguments.index("/run/lab/echo.py") + 1]
    return None


def is_master(process):
    return bool(process.arguments) and process.arguments[0].startswith("nginx: master")


ECHO = '''"""Answers a request for a page with the node's name, whatever else comes by TCP or UDP with itself. echo.py RESOURCE ADDRESS PORT"""
import asyncio
import socket
import sys

ADDRESS, PORT = sys.argv[2], int(sys.argv[3])


class Udp(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, who):
        self.transport.sendto(data, who)


async def serve(reader, writer):
    try:
        while data := await reader.read(4096):
            page = data.startswith(b"GET ")
            writer.write(b"HTTP/1.0 200 OK\\r\\n\\r\\n" + socket.gethostname().encode() if page else data)
            await writer.drain()
            if page:
                break
    except OSError:
        pass
    finally:
        writer.close()


async def main():
    await asyncio.get_running_loop().create_datagram_endpoint(Udp, local_addr=(ADDRESS, PORT))  # else it would answer from another
    async with await asyncio.start_server(serve, "0.0.0.0", PORT) as server:
        await server.serve_forever()


asyncio.run(main())
'''


def nginx_conf(node):
    """Every page is the node's name. /healthz is 500 while /run/lab/unhealthy exists."""
    temporary = "".join(f"    {kind}_temp_path /run/lab/nginx/tmp;\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    return f"""daemon off;
user root;
worker_processes 1;
pid /run/lab/nginx/nginx.pid;
error_log stderr;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    keepalive_timeout 0;
    default_type text/plain;
{temporary}    server {{
        listen 80 backlog=4096;
        listen [::]:80 ipv6only=on backlog=4096;
        location = /healthz {{
            if (-f /run/lab/unhealthy) {{ return 500; }}
            return 200 "ok\\n";
        }}
        location / {{ return 200 "{node}\\n"; }}
    }}
}}
"""
