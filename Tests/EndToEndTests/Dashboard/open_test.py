"""The dashboard of an intake that lets anyone in, with workers."""
import re
import unittest
import urllib.error
import urllib.parse
import urllib.request

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from browser import BASE, DashboardTest, path_of

#: A key that is a script wherever it is taken for markup.
EVIL = "<img src=x onerror=\"window.broken = 1\">'\"&</script>"


class Overview(DashboardTest):
    def test_it_shows_queues_nodes_workers_and_what_runs(self):
        running = self.submit("overview", 600_000)
        behind = self.submit("overview")
        self.open("/")
        self.see("#live", "live")
        self.see("#quorum", "3 of 3 vote, 2 needed")
        self.assertEqual(len(self.all("#nodes .lamp.voting")), 3)
        self.see("#workers", "worker-1")
        self.see("#workers", "last beat")
        self.bar(f"Job {running} on overview", "held by worker-")
        self.bar(f"Job {behind} on overview", "waited in line")
        self.see("#queues", "default")
        self.eventually("one runs", lambda: int(self.text('[data-figure="running"]')) >= 1)
        self.eventually("one waits", lambda: int(self.text('[data-figure="waiting"]')) >= 1)
        self.call("POST", f"/v1/jobs/{running}/cancel")
        self.until_state(behind, "succeeded")
        self.eventually("what has finished is counted", lambda: re.search(
            r": [1-9]\d* jobs?,", self.one(".spark").get_attribute("aria-label") or ""))

    def test_a_queue_is_paused_and_resumed(self):
        first = self.submit("paused", queue="nightly")
        self.open("/")
        self.one('button[aria-label="Pause queue nightly"]').click()
        self.see("#notices", "Queue nightly is paused")
        self.see("#queues", "paused")
        queues = self.call("GET", "/v1/queues")["queues"]
        self.assertEqual([queue["paused"] for queue in queues if queue["name"] == "nightly"], [True])
        self.one('button[aria-label="Resume queue nightly"]').click()
        self.see("#notices", "Queue nightly is resumed")
        queues = self.call("GET", "/v1/queues")["queues"]
        self.assertEqual([queue["paused"] for queue in queues if queue["name"] == "nightly"], [False])
        self.call("POST", f"/v1/jobs/{first}/cancel")


class Connections(DashboardTest):
    def listeners(self):
        with urllib.request.urlopen(BASE + "/metrics") as answer:
            return int(re.search(r"^holdfast_event_listeners (\d+)", answer.read().decode(), re.MULTILINE)[1])

    def test_any_number_of_tabs_can_be_open(self):
        # A browser has six connections for all of its tabs: one that is not looked at holds none.
        for job in [self.submit("tabs") for _ in range(8)]:
            self.browser.switch_to.new_window("tab")
            self.open(f"/jobs/{job}")
            self.see("#state", "succeeded")
        self.eventually("only this tab listens", lambda: self.listeners() == 1)

    def test_a_page_that_is_looked_at_again_catches_up(self):
        self.open("/timeline")
        self.see("#live", "live")
        self.eventually("it listens", lambda: self.listeners() == 1)
        page = self.browser.current_window_handle
        self.browser.switch_to.new_window("tab")
        self.eventually("it does not", lambda: self.listeners() == 0)
        job = self.submit("unseen")
        self.until_state(job, "succeeded")
        self.browser.switch_to.window(page)
        self.bar(f"Job {job} on unseen", "was held by", "succeeded")
        self.see("#live", "live")


class Timeline(DashboardTest):
    def test_it_moves_as_things_happen_and_a_click_opens_the_job(self):
        self.open("/timeline")
        self.see("#live", "live")
        first = self.submit("moves", 600_000)
        second = self.submit("moves", 600_000)
        held = self.bar(f"Job {first} on moves", "held by worker-", "votes granted")
        self.bar(f"Job {second} on moves", "waited in line")
        width = held.find_element(By.CSS_SELECTOR, ".bar").size["width"]
        self.eventually("the bar grows", lambda: held.find_element(By.CSS_SELECTOR, ".bar").size["width"] > width + 1)
        self.see(".label", "1 waiting")
        self.see("#legend", "worker-")
        self.call("POST", f"/v1/jobs/{first}/cancel")
        self.bar(f"Job {first} on moves", "was held by", "cancelled")
        self.bar(f"Job {second} on moves", "held by")
        self.see("#events", "released")
        self.bar(f"Job {second} on moves", "held by").click()
        self.see("#title", f"Job {second}")
        self.call("POST", f"/v1/jobs/{second}/cancel")

    def test_it_goes_back_in_time_and_forward_to_what_is_live(self):
        job = self.submit("past")
        self.until_state(job, "succeeded")
        at = self.call("GET", f"/v1/jobs/{job}")["finishedAt"]
        # As of a link that somebody was sent: what was later is not there.
        self.open(f"/timeline?until={at[:23]}Z&span=300")
        self.assertEqual(self.one("#go-live").get_attribute("aria-pressed"), "false")
        self.bar(f"Job {job} on past", "was held")
        later = self.submit("past")
        self.until_state(later, "succeeded")
        self.assertFalse([bar for bar in self.all(".content a") if f"Job {later} " in bar.get_attribute("aria-label")])
        self.one('[data-do="back"]').click()
        self.one("#go-live").click()
        self.assertEqual(self.one("#go-live").get_attribute("aria-pressed"), "true")
        self.bar(f"Job {later} on past", "was held")
        self.eventually("the address is that of now", lambda: "until" not in self.browser.current_url)
        self.one("#filter").send_keys("no such key")
        self.see("#timeline .empty", "Nothing has happened")

    def test_it_is_dragged_and_turned_by_the_wheel(self):
        job = self.submit("dragged")
        self.until_state(job, "succeeded")
        self.open("/timeline?keys=dragged&span=300")
        bar = self.bar(f"Job {job} on dragged", "was held")
        # It begins on the bar: what is dragged is not clicked. There is nothing after now.
        ActionChains(self.browser).move_to_element(bar).click_and_hold().move_by_offset(-200, 0).release().perform()
        self.assertEqual(self.one("#go-live").get_attribute("aria-pressed"), "true")
        plot = self.one(".plot")
        ActionChains(self.browser).move_to_element(plot).click_and_hold().move_by_offset(200, 0).release().perform()
        self.assertEqual(self.one("#go-live").get_attribute("aria-pressed"), "false")
        dragged = self.eventually("the address says until when", self.until)
        ActionChains(self.browser).scroll_from_origin(ScrollOrigin.from_element(plot), -100, 0).perform()
        self.eventually("the wheel has turned it", lambda: self.until() < dragged)

    def until(self):
        """Until when the address asks for."""
        address = urllib.parse.urlsplit(self.browser.current_url)
        self.assertEqual(address.path, "/timeline")
        return urllib.parse.parse_qs(address.query).get("until", [""])[0]

    def test_what_happened_while_the_connection_was_away_is_caught_up_with(self):
        self.browser.execute_cdp_cmd("Network.enable", {})
        self.browser.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["*/v1/events*"]})
        self.open("/timeline?keys=away&span=300")
        self.see("#live", "away")
        self.see("#timeline .empty", "Nothing has happened")
        job = self.submit("away")
        self.until_state(job, "succeeded")
        self.browser.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})
        self.bar(f"Job {job} on away", "was held")
        self.see("#live", "live")
        for line in self.console():
            self.assertIn("ERR_BLOCKED_BY_CLIENT", line)

    def test_a_failure_is_told_apart(self):
        job = self.submit_failing("fails")
        self.until_state(job, "failed")
        self.open("/timeline?span=300")
        bar = self.bar(f"Job {job} on fails", "overrun")
        self.assertIn("overrun", bar.get_attribute("class"))

    def test_keys_do_what_the_pointer_does(self):
        job = self.submit("keyboard")
        self.until_state(job, "succeeded")
        self.open("/timeline?keys=keyboard&span=300")
        self.bar(f"Job {job} on keyboard", "was held")
        body = self.browser.find_element(By.TAG_NAME, "body")
        body.send_keys(Keys.TAB)
        self.assertEqual(self.browser.switch_to.active_element.text, "Skip to the content")
        for _ in range(40):
            self.browser.switch_to.active_element.send_keys(Keys.TAB)
            if "plot" in (self.browser.switch_to.active_element.get_attribute("class") or ""):
                break
        plot = self.browser.switch_to.active_element
        self.assertIn("hold", plot.get_attribute("aria-label"))
        plot.send_keys(Keys.ARROW_LEFT)
        self.assertEqual(self.one("#go-live").get_attribute("aria-pressed"), "false")
        plot.send_keys("l")
        self.assertEqual(self.one("#go-live").get_attribute("aria-pressed"), "true")
        plot.send_keys("-")
        self.assertEqual(self.one("#span").get_attribute("value"), "900")
        # From the last one up.
        plot.send_keys(Keys.ARROW_UP)
        focused = self.browser.switch_to.active_element
        self.assertIn(f"Job {job} on keyboard", focused.get_attribute("aria-label"))
        self.assertEqual(self.text("#detail"), focused.get_attribute("aria-label"))
        focused.send_keys(Keys.ENTER)
        self.see("#title", f"Job {job}")


class Jobs(DashboardTest):
    def test_a_job_says_why_it_waits_runs_and_is_cancelled(self):
        first = self.submit("job", 600_000)
        second = self.submit("job", metadata={"customer": 7})
        self.open(f"/jobs/{second}")
        self.see("#state", "queued")
        self.see("#causes", "1 job is ahead of it")
        self.see("#metadata-text", '"customer": 7')
        self.one(f'#causes a[href="/jobs/{first}"]').click()
        self.see("#state", "running")
        self.see("#events", "acquired")
        # Of that event alone: the hold may have been extended since.
        votes = self.eventually("its votes are shown", lambda: [len(row.find_elements(By.CSS_SELECTOR, ".vote.granted"))
                                                                for row in self.all("#events tr") if "acquired" in row.text])
        self.assertEqual(votes, [3])
        self.one("#cancel").click()
        self.see("#notices", f"Job {first} is to be cancelled")
        self.see("#state", "cancelled")
        self.until_state(first, "cancelled")
        self.bar(f"Job {first} on job", "cancelled")
        self.until_state(second, "succeeded")

    def test_a_failed_job_says_why_and_is_retried(self):
        job = self.submit_failing("again")
        self.until_state(job, "failed")
        self.open(f"/jobs/{job}")
        self.see("#error-text", "took longer than an attempt may")
        self.see("#attempts", "overrun")
        self.one("#retry").click()
        self.see("#notices", f"Job {job} runs again")
        self.eventually("there is another attempt", lambda: len(self.all("#attempts tr")) == 2)

    def test_what_is_not_there_is_said(self):
        self.open("/jobs/999999999")
        self.see("#missing", "There is no job 999999999")
        self.assertTrue(any("404" in line for line in self.console()))

    def test_many_failed_jobs_are_retried(self):
        jobs = [self.submit_failing(f"many-{number}") for number in range(6)]
        for job in jobs:
            self.until_state(job, "failed")
        self.open("/failed")
        for job in jobs[1:]:
            self.one(f'input[aria-label="Job {job}"]').click()
        self.assertEqual(self.text("#retry"), "Retry 5 jobs")
        self.one("#retry").click()
        self.see("#notices", "5 jobs will run again")
        for job in jobs[1:]:
            self.eventually(f"job {job} runs again", lambda: self.call("GET", f"/v1/jobs/{job}/timeline")["attempts"][1:])
        self.assertEqual(len(self.call("GET", f"/v1/jobs/{jobs[0]}/timeline")["attempts"]), 1)


class Search(DashboardTest):
    def search(self, text):
        field = self.one(".find input")
        field.clear()
        field.send_keys(text + Keys.ENTER)

    def test_it_finds_a_job_a_key_and_both(self):
        job = self.submit("needle/with a slash")
        self.until_state(job, "succeeded")
        self.open("/")
        self.search("needle/with a slash")
        self.eventually("the key's page is there", lambda: path_of("needle/with a slash") in self.browser.current_url)
        self.see("#title", "needle/with a slash")
        self.see("#value", "v")
        self.see("#events", "released")
        self.search(str(job))
        self.eventually("the job's page is there", lambda: self.browser.current_url.endswith(f"/jobs/{job}"))
        # The number of a job, and the name of a key.
        named = self.submit(str(job))
        self.search(str(job))
        self.see("#job-found", "needle/with a slash")
        self.see("#jobs", str(named))
        self.console()
        self.search("nothing of this name")
        self.see("#nothing", "There is no job of this number")


class Safety(DashboardTest):
    def test_what_clients_say_is_text_on_every_page(self):
        job = self.call("POST", "/v1/jobs", {
            "key": EVIL, "value": EVIL, "durationMs": 60_000, "timeoutMs": 1, "maxAttempts": 1, "metadata": {EVIL: EVIL},
            "queue": "<b>evil</b>"})["id"]
        self.call("POST", f"/v1/jobs/{job}/cancel")
        run = self.call("POST", "/v1/jobs", {"key": EVIL, "value": EVIL, "durationMs": 1})["id"]
        self.until_state(run, "succeeded")
        self.submit("k", queue="<b>evil</b>", runAt="2100-01-01T00:00:00Z")
        quoted = EVIL
        for path, place in [("/", "#queues"), ("/timeline", ".label"), (f"/jobs/{run}", "#value"), (path_of(EVIL), "#title"),
                            (f"/jobs/{job}", "#metadata-text")]:
            self.open(path)
            self.see(place, "<b>evil</b>" if path == "/" else '\\"window' if "metadata" in place else quoted)
            self.assertEqual(self.all("main img, main b, main script"), [], path)
            self.assertIsNone(self.browser.execute_script("return window.broken ?? null"))

    def test_nothing_but_its_own_files_is_loaded(self):
        with urllib.request.urlopen(BASE + "/") as answer:
            policy = answer.headers["content-security-policy"]
        self.assertEqual(policy, "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
                         "img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
                         "require-trusted-types-for 'script'")
        for path in ["/", "/timeline", "/failed", "/search?q=x", "/jobs/1", "/keys/a"]:
            with urllib.request.urlopen(BASE + path) as answer:
                self.assertEqual(answer.headers["content-security-policy"], policy)
                page = answer.read().decode()
            self.assertNotRegex(page, r"<script(?![^>]*\ssrc=\"\.{1,2}/dashboard/)|<style|\sstyle=|\son[a-z]+=")
        self.open("/timeline")
        self.see("#live", "live")
        hosts = self.browser.execute_script(
            "return [...new Set(performance.getEntriesByType('resource').map((entry) => new URL(entry.name).origin))]")
        self.assertEqual(hosts, [BASE])
        # A script in the page itself, as one that was slipped in would be.
        refused = self.browser.execute_script("""
            try { document.body.insertAdjacentHTML("beforeend", "<b>slipped in</b>"); return null } catch (error) { return error.name }""")
        self.assertEqual(refused, "TypeError")
        self.browser.execute_script("""
            const image = document.createElement("img"); image.src = "http://127.0.0.2:9/x.png"; document.body.append(image)""")
        self.eventually("the browser has refused it", lambda: any("Content Security Policy" in line for line in self.console()))
        self.console()

    def test_a_file_that_the_browser_has_is_not_sent_again(self):
        with urllib.request.urlopen(BASE + "/dashboard/plot.js") as answer:
            tag = answer.headers["etag"]
        request = urllib.request.Request(BASE + "/dashboard/plot.js", headers={"if-none-match": tag})
        with self.assertRaises(urllib.error.HTTPError) as answer:
            urllib.request.urlopen(request)
        self.assertEqual(answer.exception.code, 304)
        answer.exception.close()


class Windows(DashboardTest):
    def test_a_phone_shows_all_pages_without_going_sideways(self):
        failed = self.submit_failing("a-key-of-a-rather-long-name:" + "x" * 200)
        self.until_state(failed, "failed")
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True})
        for path, place, text in [
            ("/", "#quorum", "vote"), ("/timeline", "#events", "acquired"), (f"/jobs/{failed}", "#events", "acquired"),
            (path_of("a-key-of-a-rather-long-name:" + "x" * 200), "#events", "acquired"), ("/failed", "#jobs", str(failed)),
            ("/search?q=nothing+of+this+name", "#nothing", "There is no job"),
        ]:
            self.open(path)
            self.see(place, text)
            wide = self.browser.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
            self.assertEqual(wide, [360, 360], path)

    def test_light_and_dark_can_be_read(self):
        for scheme in ["light", "dark"]:
            self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {
                "features": [{"name": "prefers-color-scheme", "value": scheme}]})
            self.open("/")
            self.see("#live", "live")
            for selector in ["main", ".tile h2", "small", ".badge", ".bar nav a", "thead th"]:
                ratio = self.browser.execute_script(CONTRAST, self.one(selector))
                self.assertGreaterEqual(ratio, 4.5, f"{selector} in {scheme}")


#: The contrast of a text with what is behind it. Source: WCAG 2.2, relative luminance.
CONTRAST = """
    const parts = (color) => color.match(/[\\d.]+/g).map(Number);
    const luminance = (color) => { const [r, g, b] = parts(color).slice(0, 3).map((value) => {
        const part = value / 255; return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4 });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b };
    let node = arguments[0];
    const text = luminance(getComputedStyle(node).color);
    while (node && (parts(getComputedStyle(node).backgroundColor)[3] ?? 1) === 0) node = node.parentElement;
    const ground = luminance(getComputedStyle(node ?? document.documentElement).backgroundColor);
    return (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05);
"""


if __name__ == "__main__":
    unittest.main(verbosity=2)
