"""The units: how they start the program, and how long it may take to end."""

import re

from common import DEPLOY, drained, expect


def units():
    return sorted((DEPLOY / "systemd").glob("*.service"))


def unit_settings(unit):
    text = unit.read_text()
    env = dict(line.split("=", 1) for line in re.findall(r"^Environment=(.+)$", text, re.M))
    return re.search(r"^ExecStart=/usr/local/bin/holdfast (.+)$", text, re.M)[1].split(), env


def check_systemd():
    names = [u.stem for u in units()]
    expect(names == ["holdfast-intake", "holdfast-migrate", "holdfast-worker@"], f"the units are {names}")
    for unit in units():
        arguments, env = unit_settings(unit)
        if arguments != ["migrate"]:
            stop = int(re.search(r"^TimeoutStopSec=(\d+)$", unit.read_text(), re.M)[1])
            expect(stop > drained(env), f"{unit.name} may take {drained(env)} s to end, and has {stop}")
