"""Kubernetes' objects fit each other, and the program."""

import re

from common import drained, expect, read
from manifests import COMPONENT, containers, environment, is_ours, objects, pods, selects
from scaling_check import check_scaling


def check_pod(o, pod, maps):
    name = f"{o['kind']} {o['metadata']['name']}"
    security = pod.get("securityContext", {})
    expect(security.get("runAsNonRoot") and security.get("runAsUser", 0) > 0, f"{name} may run as root")
    expect(security.get("seccompProfile") == {"type": "RuntimeDefault"}, f"{name} has no seccomp profile")
    expect(pod.get("automountServiceAccountToken") is False, f"{name} has a token of the cluster")
    for c in containers(pod):
        where = f"{name}, container {c['name']}"
        own = c.get("securityContext", {})
        expect(own.get("readOnlyRootFilesystem"), f"{where}: its root can be written to")
        expect(own.get("allowPrivilegeEscalation") is False, f"{where}: it may gain privileges")
        expect(own.get("capabilities") == {"drop": ["ALL"]}, f"{where}: it has capabilities")
        resources = c.get("resources", {})
        expect({"cpu", "memory"} <= set(resources.get("requests", {})), f"{where}: it requests no resources")
        expect("memory" in resources.get("limits", {}), f"{where}: its memory has no limit")
        for e in c.get("env", []):
            source = e.get("valueFrom", {})
            if key := source.get("configMapKeyRef"):
                expect(key["key"] in maps.get(key["name"], {}), f"{where}: there is no {key['key']} in {key['name']}")
            if "PASSWORD" in e["name"] or e["name"] == "REDISCLI_AUTH":
                expect("secretKeyRef" in source, f"{where}: {e['name']} is not from a Secret")
                key = source.get("secretKeyRef", {}).get("key")
                expect(f"--from-literal={key}=" in read("deploy/README.md"), f"the README makes no secret {key}")
        ports = {p["name"]: p["containerPort"] for p in c.get("ports", [])}
        if o["kind"] != "Job":
            for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
                expect(kind in c, f"{where}: it has no {kind}")
                probe = c.get(kind, {})
                port = (probe.get("httpGet") or probe.get("tcpSocket") or {}).get("port")
                expect(port is None or port in ports, f"{where}: {kind} asks the port {port}, which it does not have")
        if is_ours(c):
            env = environment(c)
            for setting, port in (("HOLDFAST_INTAKE_PORT", "http"), ("HOLDFAST_WORKER_HEALTH_PORT", "health")):
                if setting in env or port in ports:
                    expect(int(env.get(setting, 0)) == ports.get(port), f"{where}: {setting} is not the port {port}")
            if o["kind"] == "Deployment":
                grace = pod.get("terminationGracePeriodSeconds", 30)
                expect(grace > drained(env), f"{where}: it may take {drained(env)} s to end, and has {grace}")
                paths = [c[p]["httpGet"]["path"] for p in ("livenessProbe", "readinessProbe")]
                expect(paths == ["/healthz", "/readyz"], f"{where}: its probes ask {paths}")
        mounted = {m["name"] for m in c.get("volumeMounts", [])}
        claimed = {v["metadata"]["name"] for v in o["spec"].get("volumeClaimTemplates", [])}
        given = claimed | {v["name"] for v in pod.get("volumes", [])}
        expect(mounted <= given, f"{where}: it mounts {mounted - given}, which there is not")
    for v in pod.get("volumes", []):
        if "configMap" in v:
            expect(v["configMap"]["name"] in maps, f"{name}: there is no ConfigMap {v['configMap']['name']}")


def check_lock_nodes(path):
    nodes = [(o, labels, pod) for o, labels, pod in pods(path) if labels.get(COMPONENT) == "lock"]
    expect(len(nodes) == 3, f"{len(nodes)} lock nodes")
    services = {s["metadata"]["name"] for s in objects(path, "Service")}
    for o, _, pod in nodes:
        name = o["metadata"]["name"]
        expect(o["kind"] == "StatefulSet" and o["spec"]["replicas"] == 1, f"{name} is no set of its own")
        expect(o["spec"]["updateStrategy"] == {"type": "OnDelete"}, f"{name} is updated with the others")
        expect(o["spec"]["serviceName"] in services, f"{name} has no service")
        if "trial" in str(path):
            continue  # On one machine.
        terms = pod["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        for other, labels, _ in nodes:
            terms = [t for t in terms if t["topologyKey"] == "kubernetes.io/hostname"]
            apart = any(selects(t["labelSelector"], labels) for t in terms)
            expect(apart, f"{name} may be on the machine of {other['metadata']['name']}")
    budgets = [b["spec"] for b in objects(path, "PodDisruptionBudget")]
    for component, count in (("lock", 3), ("intake", 2), ("worker", 1)):
        found = [
            [o for o, labels, _ in pods(path) if selects(b["selector"], labels)]
            for b in budgets
            if selects(b["selector"], {COMPONENT: component})
        ]
        expect([len(f) for f in found] == [count], f"the disruption budget of {component} is about {found}")


def check_scraping(o, labels, pod):
    """Who scrapes finds intakes and workers by their annotations, at a port where they listen."""
    notes = o["spec"]["template"]["metadata"].get("annotations", {})
    wanted = labels.get(COMPONENT) in ("intake", "worker")
    expect(("prometheus.io/scrape" in notes) == wanted, f"{o['metadata']['name']} is scraped, or not, by mistake")
    if wanted:
        ports = {str(p["containerPort"]) for c in pod["containers"] for p in c["ports"]}
        expect(notes["prometheus.io/port"] in ports, f"{o['metadata']['name']} is scraped where nobody listens")
        expect(notes["prometheus.io/path"] == "/metrics", f"{o['metadata']['name']} is scraped at another path")


def check_kubernetes(path):
    maps = {m["metadata"]["name"]: m["data"] for m in objects(path, "ConfigMap")}
    made = list(pods(path))
    for o, labels, pod in made:
        check_pod(o, pod, maps)
        check_scraping(o, labels, pod)
        if "selector" in o["spec"]:
            expect(selects(o["spec"]["selector"], labels), f"{o['metadata']['name']} does not select its pods")
            others = [p["metadata"]["name"] for p, l, _ in made if p is not o and selects(o["spec"]["selector"], l)]
            expect(not others, f"{o['metadata']['name']} selects the pods of {others}")
    node_ports = {}
    for s in objects(path, "Service"):
        name = s["metadata"]["name"]
        behind = [pod for _, labels, pod in made if selects({"matchLabels": s["spec"]["selector"]}, labels)]
        expect(len(behind) == 1, f"{len(behind)} stand behind the service {name}")
        for port in s["spec"]["ports"]:
            names = {p["name"]: p["containerPort"] for pod in behind for c in pod["containers"] for p in c["ports"]}
            expect(names.get(port["targetPort"]) == port["port"], f"the port of service {name} is none of its pods")
            if "nodePort" in port:
                node_ports[name] = port["nodePort"]
    expect(node_ports == {"intake-1": 30001, "intake-2": 30002}, f"the node ports are {node_ports}")
    check_lock_nodes(path)
    # Whom the parts call.
    services = {s["metadata"]["name"]: s["spec"]["ports"][0]["port"] for s in objects(path, "Service")}
    for o, _, pod in made:
        for c in filter(is_ours, containers(pod)):
            env = environment(c)
            nodes = env.get("HOLDFAST_LOCK_NODES", "") + env.get("HOLDFAST_VALUE_NODE", "")
            called = re.findall(r"@([\w-]+):(\d+)", nodes)
            expect(len(called) == (0 if o["kind"] == "Job" else 4), f"{c['name']} knows the nodes {called}")
            for host, port in called:
                expect(services.get(host) == int(port), f"{c['name']} calls {host}:{port}, which there is not")
    for n in objects(path, "NetworkPolicy"):
        name, spec = n["metadata"]["name"], n["spec"]
        about = [pod for _, labels, pod in made if selects(spec["podSelector"], labels)]
        expect(about, f"the network policy {name} is about nobody")
        open_ports = {p["containerPort"] for pod in about for c in pod["containers"] for p in c.get("ports", [])}
        for rule in spec.get("ingress", []):
            for port in rule["ports"]:
                expect(port["port"] in open_ports, f"the policy {name} opens {port['port']}, where nobody listens")
    check_scaling(path, made)
