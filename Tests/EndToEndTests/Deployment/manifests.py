"""The objects of a rendered overlay, and what selects what."""

import re
from pathlib import Path

import yaml
from common import expect

COMPONENT = "app.kubernetes.io/component"


def objects(path, kind=None):
    return [o for o in yaml.safe_load_all(Path(path).read_text()) if kind in (None, o["kind"])]


def pods(path):
    """Each thing that makes pods, with its pods' labels and specification."""
    for o in objects(path):
        template = o.get("spec", {}).get("template") if o["kind"] in ("Deployment", "StatefulSet", "Job") else None
        if template:
            yield o, template["metadata"]["labels"], template["spec"]


def containers(pod):
    return pod.get("initContainers", []) + pod["containers"]


def is_ours(container):
    return re.fullmatch(r"(.*/)?holdfast:.+", container["image"]) is not None


def environment(container):
    return {e["name"]: e.get("value", "") for e in container.get("env", [])}


def selects(selector, labels):
    matches = all(labels.get(k) == v for k, v in selector.get("matchLabels", {}).items())
    for e in selector.get("matchExpressions", []):
        expect(e["operator"] == "In", f"operator {e['operator']} is not known here")
        matches = matches and labels.get(e["key"]) in e["values"]
    return matches
