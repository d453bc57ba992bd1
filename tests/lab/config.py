"""The files the lab's nodes are started with: cluster.xml and nginx.conf. Called by world.py. The same paths are right on both nodes,
since each sees a directory of its own at /run/lab and its view of the quorum disk at /run/quorum."""

NODES = ("alpha", "beta")
SERVICE_NET, HEARTBEAT_NET = "10.77.0", "10.78.0"
SERVICE_NET6 = "fd77:"
ADDRESS, ADDRESS6 = f"{SERVICE_NET}.100", f"{SERVICE_NET6}:100"
SAMPLES_FROM, SAMPLES_FROM6 = f"{SERVICE_NET}.200", f"{SERVICE_NET6}:200"
CLIENT_HOST = 9


def mac(host):
    return f"02:77:00:00:00:{host:02x}"


def cluster_xml(*, timing="default", quorum=True, ipv6=False, failback="never", restart_limit=3, preferred="alpha", health=True,
                failover_limit=None, extra=""):
    """One group, `web`: an address (IPv6: a second one) and nginx on it."""
    links = "\n".join(
        f'  <node name="{name}"> <link address="{HEARTBEAT_NET}.{i}"/> <link address="{SERVICE_NET}.{i}"/> </node>'
        for i, name in enumerate(NODES, 1))
    disk = '  <quorum disk="/run/quorum"/>\n' if quorum else ""
    address6 = f'    <ip-address name="web-ip6" address="{ADDRESS6}/64" interface="eth0"/>\n' if ipv6 else ""
    depends = "web-ip web-ip6" if ipv6 else "web-ip"
    limit = f' failover-limit="{failover_limit}"' if failover_limit is not None else ""
    check = f'      <health type="http" url="http://{ADDRESS}/healthz" every="1s" timeout="1s" failures="2"/>\n' if health else ""
    return f"""<cluster name="lab" version="1">
{links}
{disk}  <timing profile="{timing}"/>
  <group name="web" preferred="{preferred}" failback="{failback}"{limit}>
    <ip-address name="web-ip" address="{ADDRESS}/24" interface="eth0"/>
{address6}    <process name="web-server" command="/usr/sbin/nginx -e stderr -p /run/lab/nginx/ -c nginx.conf" depends="{depends}"
             stop-signal="QUIT" stop-timeout="3s" ready="tcp:80">
{check}      <restart limit="{restart_limit}" period="15min"/>
    </process>
  </group>
{extra}</cluster>
"""


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
