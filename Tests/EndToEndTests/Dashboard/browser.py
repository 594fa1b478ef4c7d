"""A browser that looks at the dashboard, and a client that submits jobs."""
import json
import os
import shutil
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

BASE = os.environ["DASHBOARD"]
PATIENCE = 120


class DashboardTest(unittest.TestCase):
    """Each test has a browser of its own; what its console says at the end must be nothing."""

    token = os.environ.get("DASHBOARD_TOKEN")

    def setUp(self):
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        # A container has no user namespaces and a small /dev/shm; the pages are our own.
        for argument in ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-proxy-server",
                         "--window-size=1300,1000", "--lang=en"]:
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        self.browser.set_page_load_timeout(PATIENCE)
        self.addCleanup(self.browser.quit)

    def tearDown(self):
        self.assertEqual(self.console(), [])

    def console(self):
        """What the browser has complained of since it was asked last: errors, refused contents, and warnings."""
        return [entry["message"] for entry in self.browser.get_log("browser")]

    def open(self, path):
        self.browser.get(BASE + path)

    def all(self, selector):
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        return self.eventually(f"there is {selector}", lambda: next(iter(self.all(selector)), None))

    def text(self, selector):
        return self.one(selector).text

    def eventually(self, what, condition):
        """What `condition` gives, once that is something."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                value = condition()
            except StaleElementReferenceException:
                value = None
            if value:
                return value
            if time.monotonic() > end:
                shown = self.browser.find_element(By.TAG_NAME, "body").text
                self.fail(f"never: {what}; console: {self.console()}; shown: {shown[:2000]}")
            time.sleep(0.1)

    def see(self, selector, text):
        """Waits until a part of the page has a text in it."""
        self.eventually(f"{selector} says {text}", lambda: any(text in part.text for part in self.all(selector)))

    def bar(self, *parts):
        """Waits for a bar or a mark of a timeline whose name has all these parts."""
        return self.eventually(f"a bar is called {parts}", lambda: next(
            (bar for bar in self.all(".plot .content a")
             if all(part in (bar.get_attribute("aria-label") or "") for part in parts)), None))

    # The API, as any client has it.

    def call(self, method, path, body=None):
        headers = {"content-type": "application/json"} if body is not None else {}
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(BASE + path, data=data, method=method, headers=headers)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=PATIENCE) as answer:
            return json.load(answer)

    def submit(self, key, duration=0, **fields):
        return self.call("POST", "/v1/jobs", {"key": key, "value": "v", "durationMs": duration, **fields})["id"]

    def submit_failing(self, key):
        """A job that takes longer than it may, and has one attempt, whose hold is recorded before it is over."""
        return self.submit(key, 60_000, timeoutMs=1000, maxAttempts=1)

    def state(self, job):
        return self.call("GET", f"/v1/jobs/{job}")["state"]

    def until_state(self, job, state):
        self.eventually(f"job {job} is {state}", lambda: self.state(job) == state)


def path_of(key):
    return "/keys/" + urllib.parse.quote(key, safe="")
