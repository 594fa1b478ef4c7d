"""What the timeline shows of a worker that was frozen past its time, and of a node that is gone."""
import os
import unittest

from browser import DashboardTest


class AfterFaults(DashboardTest):
    def test_the_rescue_and_the_refusal_are_marked(self):
        job = os.environ["JOB"]
        self.open("/timeline?span=300")
        self.bar(f"Job {job} on frozen", "was put back in line")
        self.bar(f"Job {job} on frozen", "was refused")
        first = self.bar(f"Job {job} on frozen, attempt 1", "was held by")
        second = self.bar(f"Job {job} on frozen, attempt 2", "was held by", "succeeded")
        # One after the other, on the picture too.
        self.assertLess(first.rect["x"] + first.rect["width"], second.rect["x"] + 6)
        self.open(f"/jobs/{job}")
        self.see("#attempts", "refused")
        self.see("#attempts", "succeeded")

    def test_a_node_that_is_gone_is_said(self):
        self.open("/")
        self.see("#quorum", "2 of 3 vote, 2 needed")
        self.see("#nodes", "not connected")


if __name__ == "__main__":
    unittest.main(verbosity=2)
