"""What the files of deploy/ must say, beyond what schemas ask for. Prints what is wrong, and exits with 1 then.

check.py kubernetes RENDERED.yaml   the objects of one overlay fit each other, and the program
check.py keda RENDERED.yaml         KEDA's objects have the fields that KEDA has, and no others
check.py query RENDERED.yaml        prints how KEDA counts lines
check.py compose                    services, ports, health checks and deadlines
check.py systemd                    deadlines, and how the units are started
check.py names PROGRAM              commands, flags and settings that are named exist
check.py settings kubernetes RENDERED.yaml | compose | systemd
                                    how each part is started, as JSON
"""

import json
import re
import sys

from common import problems
from compose_check import check_compose, compose_services
from kubernetes_check import check_kubernetes
from manifests import containers, environment, is_ours, pods
from names_check import check_names
from scaling_check import check_keda, print_query
from systemd_check import check_systemd, unit_settings, units


def settings(kind, path=None):
    """How each part is started: what the program is given, by its command."""
    if kind == "kubernetes":
        parts = [(c["args"], environment(c)) for _, _, pod in pods(path) for c in filter(is_ours, containers(pod))]
    elif kind == "compose":
        services = compose_services().values()
        parts = [(s["command"], s["environment"]) for s in services if s["image"].startswith("${IMAGE:-holdfast")]
    else:
        parts = [unit_settings(unit) for unit in units()]
    result = {}
    for arguments, env in parts:
        # What stands for a secret, or comes from elsewhere, is for those who start it.
        env = {n: re.sub(r"^\$\{\w+:-(\w+)\}$", r"\1", v) for n, v in env.items() if n.startswith("HOLDFAST_")}
        result[arguments[0]] = {"arguments": arguments, "environment": {n: v for n, v in env.items() if v}}
    print(json.dumps(result))


what, rest = sys.argv[1], sys.argv[2:]
{
    "kubernetes": check_kubernetes,
    "keda": check_keda,
    "query": print_query,
    "compose": check_compose,
    "systemd": check_systemd,
    "names": check_names,
    "settings": settings,
}[what](*rest)
for problem in problems:
    print(problem)
sys.exit(1 if problems else 0)
