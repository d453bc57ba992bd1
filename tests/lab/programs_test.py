"""Does the build target lab-programs, all that packaging/demo builds, make every program that the lab wants? NINJA BUILD-DIRECTORY."""
import subprocess
import sys

from runner import DAEMONS, OWN_PROGRAMS

ninja, build = sys.argv[1:]
commands = subprocess.run([ninja, "-C", build, "-t", "commands", "lab-programs"], check=True, stdout=subprocess.PIPE, text=True).stdout.split()
missing = [name for name in OWN_PROGRAMS + DAEMONS if f"bin/{name}" not in commands]
if missing:
    sys.exit(f"tests/lab/CMakeLists.txt: lab-programs doesn't make {', '.join(missing)}: add the target that does")
