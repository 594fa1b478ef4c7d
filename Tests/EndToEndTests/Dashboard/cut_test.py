"""The dashboard before a worker is cut off from two of three lock nodes, while it is, and once it is not."""
import os
import unittest

from browser import DashboardTest, path_of

LINES = [f"line-{number}" for number in range(8)]
CUT_OFF = os.environ["CUT_OFF"].split(",")


class CutTest(DashboardTest):
    def submit_lines(self, value):
        for round in range(5):
            for key in LINES:
                self.call("POST", "/v1/jobs", {"key": key, "value": f"{value} {round}", "durationMs": 20})

    def value(self, key):
        return self.call("GET", "/v1" + path_of(key))["value"]


class Before(CutTest):
    def test_all_is_well(self):
        # Long enough to be cut off in the midst of it, and its lock short enough to be lost soon.
        self.submit("held", 20_000, lockTtlMs=2_000)
        self.submit_lines("before")
        self.open("/")
        self.see("#quorum", "3 of 3 vote, 2 needed")
        self.see("#workers", "cut-off")
        self.assertNotIn("no vote from", self.text("#workers"))


class During(CutTest):
    def test_it_is_seen_and_jobs_go_on(self):
        self.submit_lines("during")
        self.open("/")
        # The intake reaches them all: what only a worker misses is said of that worker.
        self.see("#quorum", "3 of 3 vote, 2 needed")
        self.see("#workers", f"no vote from {', '.join(CUT_OFF)}")
        self.assertEqual(self.text("#workers").count("no vote from"), 1)
        for key in LINES:
            self.eventually(f"{key} is done", lambda: self.value(key) == "during 4")
        job = self.call("GET", "/v1/jobs?key=held")["jobs"][0]["id"]
        self.open(f"/jobs/{job}")
        self.see("#timeline, #events, main", "lost")
        self.submit_lines("late")


class After(CutTest):
    def test_all_is_well_again(self):
        self.open("/")
        self.see("#workers", "cut-off")
        self.eventually("the nodes vote for it", lambda: "no vote from" not in self.text("#workers"))
        for key in LINES:
            self.eventually(f"{key} is done", lambda: self.value(key) == "late 4")
        self.eventually("the long one is done", lambda: self.value("held") == "v")


if __name__ == "__main__":
    unittest.main(verbosity=2)
