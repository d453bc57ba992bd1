#!/usr/bin/env bash
# clusterd as a systemd service, for real: boots two containers with systemd over this machine's own files, installs clusterd in them
# as `cmake --install` does, and plays what happens to a service: start, reload, a killed worker, stop, power cut, a hung guard.
#
#   sudo tests/system/containers.sh [--services | --fileserver | --example NAME | --examples] [--bin DIR] [--logs DIR]
#     --services   resources that are systemd units, instead: start, move, failures, power cut, and the guard's hold on them
#     --fileserver shares of Samba and nfs-ganesha, instead: clients read during moves, faults and a power cut
#     --example NAME   config/examples/NAME.xml, instead: brought online with the software it is about, broken, moved, its node without power;
#                  --examples: all of those that have a test, one after the other (about 30 s each)
#     --bin DIR    bin/ of a build tree              (build/release/bin)
#     --logs DIR   the nodes' journals, if it fails  (a new directory in /tmp)
#
# Exit: 0 all seen, 1 something was not as expected, 2 usage, 77 this machine can't do it. About a minute. Everything it makes is its
# own: a mount and a network namespace that end with it, and cgroups, loop devices and a directory that it removes.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

for argument; do
  [[ $argument != -h && $argument != --help ]] || { sed -n '2,14s/^# \{0,1\}//p' "$0"; exit 0; }
done
if [[ $EUID -ne 0 ]]; then
  echo "containers: it boots containers, which takes root: run 'sudo tests/system/containers.sh'." >&2
  exit 1
fi
for program in systemd-nspawn nginx nsenter unshare losetup ip smbd smbclient ganesha.nfsd nfs-cat psql xfs_io redis-server haproxy cupsd lp named dig; do
  command -v "$program" >/dev/null || { echo "containers: SKIPPED: $program is missing: run 'sudo packaging/install-deps'." >&2; exit 77; }
done
[[ -x /lib/systemd/systemd ]] || { echo "containers: SKIPPED: systemd is missing: run 'sudo packaging/install-deps'." >&2; exit 77; }
[[ -x /usr/lib/ocf/resource.d/heartbeat/pgsql ]] || { echo "containers: SKIPPED: resource-agents is missing: run 'sudo packaging/install-deps'." >&2; exit 77; }

exec unshare --mount --net --propagation private /usr/bin/python3 -B "$here/containers.py" "$@"
