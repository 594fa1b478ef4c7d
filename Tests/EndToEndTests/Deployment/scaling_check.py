"""What says how many workers there are."""

import re

from common import expect, problems, read
from manifests import objects


def check_scaling(path, made):
    """Scalers name a Deployment that leaves the number to them, and stay within what PostgreSQL bears."""
    replicas = {o["metadata"]["name"]: o["spec"].get("replicas") for o, _, _ in made if o["kind"] == "Deployment"}
    intakes = sum(replicas[name] for name in replicas if name.startswith("intake"))
    for o in objects(path, "ScaledObject") + objects(path, "HorizontalPodAutoscaler"):
        spec, name = o["spec"], o["spec"]["scaleTargetRef"]["name"]
        expect(name in replicas and replicas[name] is None, f"{o['kind']} {name} and the Deployment both say how many")
        most, least = (spec.get(f"{bound}ReplicaCount", spec.get(f"{bound}Replicas")) for bound in ("max", "min"))
        expect(least >= 1, "no worker would be left for what only a worker does")
        listened = re.search(r"max_connections=(\d+)", read("deploy/kubernetes/overlays/trial/postgres.yaml"))[1]
        expect(most * 10 + intakes * 4 <= int(listened) - 10, f"{most} workers open too many connections")
        for trigger in spec.get("triggers", []):
            needed = {"host", "port", "userName", "dbName", "sslmode", "query", "targetQueryValue"}
            expect(set(trigger["metadata"]) == needed, f"the trigger has {set(trigger['metadata'])}")
            known = [t["metadata"]["name"] for t in objects(path, "TriggerAuthentication")]
            expect(trigger["authenticationRef"]["name"] in known, "the trigger's authentication is missing")


def print_query(path):
    print(objects(path, "ScaledObject")[0]["spec"]["triggers"][0]["metadata"]["query"])


def check_keda(path):
    from cloudcoil.models.keda import v1alpha1

    found = [o for o in objects(path) if o["apiVersion"].startswith("keda.sh/")]
    expect(sorted(o["kind"] for o in found) == ["ScaledObject", "TriggerAuthentication"], "KEDA's objects are missing")
    for o in found:
        try:
            getattr(v1alpha1, o["kind"]).model_validate(o, extra="forbid")
        except ValueError as error:
            problems.append(str(error))
