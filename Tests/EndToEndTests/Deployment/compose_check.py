"""Compose's services: ports, health checks, disks and deadlines."""

import re

import yaml
from common import DEPLOY, drained, expect, read


def compose_services():
    return yaml.safe_load(read("deploy/compose.yaml"))["services"]


def check_compose():
    services = compose_services()
    ours = {n: s for n, s in services.items() if s["image"].startswith("${IMAGE:-holdfast")}
    expect(sorted(ours) == ["intake-1", "intake-2", "migrate", "worker"], f"Holdfast's services are {sorted(ours)}")
    published = [p.split(":")[-2:] for s in services.values() for p in s.get("ports", [])]
    expect(published == [["30001", "3000"], ["30002", "3000"]], f"published are {published}")
    for name, s in services.items():
        expect(s["read_only"] and s["cap_drop"] == ["ALL"], f"{name} is not contained")
        expect(name in ours or s.get("user") == "999:999", f"{name} may be root")
        for other in s.get("depends_on", {}):
            expect(other in services, f"{name} waits for {other}, which there is not")
        for mount in s.get("volumes", []):
            source = mount.split(":")[0]
            if source.startswith("./"):
                expect((DEPLOY / source).is_file(), f"{name} mounts {source}, which there is not")
        if name not in ("migrate", "logins"):
            expect("memory" in s["deploy"]["resources"]["limits"], f"the memory of {name} has no limit")
            expect("healthcheck" in s, f"{name} has no health check")
    for name, s in ours.items():
        if name == "migrate":
            continue
        env = s["environment"]
        asked = re.search(r"/dev/tcp/127\.0\.0\.1/(\d+) .*GET (/\w+) ", s["healthcheck"]["test"][3]).groups()
        port = env.get("HOLDFAST_INTAKE_PORT") or env["HOLDFAST_WORKER_HEALTH_PORT"]
        expect(asked == (port, "/readyz"), f"the health check of {name} asks {asked}")
        grace = int(s["stop_grace_period"].removesuffix("s"))
        expect(grace > drained(env), f"{name} may take {drained(env)} s to end, and has {grace}")
        called = re.findall(r"@([\w-]+):6379", env["HOLDFAST_LOCK_NODES"] + env["HOLDFAST_VALUE_NODE"])
        expect(called == ["lock-1", "lock-2", "lock-3", "value"], f"{name} calls {called}")
        expect(set(called) <= set(s["depends_on"]), f"{name} does not wait for its nodes")
    for name in ("lock-1", "lock-2", "lock-3", "value"):
        expect(f"{name}:/data" in services[name]["volumes"], f"{name} has no disk of its own")
