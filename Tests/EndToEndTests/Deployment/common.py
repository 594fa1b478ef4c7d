"""What the checks share: the repository, what is wrong, and how long a part takes to end."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
DEPLOY = ROOT / "deploy"
problems = []


def expect(condition, problem):
    if not condition:
        problems.append(problem)


def read(path):
    return (ROOT / path).read_text()


# How long a part may take after its drain's limit, before it gives up.
CANCELLATION = int(
    re.search(
        r"maximumCancellationDuration = \.seconds\((\d+)\)", read("Sources/Command/Services/ServiceRunner.swift")
    )[1]
)


def drained(env):
    """The longest that a part takes to end."""
    if "HOLDFAST_WORKER_DRAIN_SECONDS" in env:
        drain = int(env["HOLDFAST_WORKER_DRAIN_SECONDS"])
        # An attempt of the built-in task: its duration, and its grace.
        expect(drain > 10 + 30, f"a worker drains for {drain} s, and a task may run for 40 s")
        return drain + CANCELLATION
    delay = int(env.get("HOLDFAST_INTAKE_DRAIN_DELAY_SECONDS", 0))
    return delay + int(env["HOLDFAST_INTAKE_DRAIN_SECONDS"]) + CANCELLATION
