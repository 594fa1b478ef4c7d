"""The dashboard of an intake that asks for tokens."""
import os
import unittest

from selenium.webdriver.common.by import By

from browser import DashboardTest


class Guarded(DashboardTest):
    def enter(self, token):
        dialog = self.one("#token-dialog[open]")
        dialog.find_element(By.ID, "token").send_keys(token)
        dialog.find_element(By.CSS_SELECTOR, "[type=submit]").click()

    def tearDown(self):
        # That requests without a good token were refused, and nothing else. They may be several at once, the last of
        # which is answered after the page has asked for a token.
        for line in self.console():
            self.assertRegex(line, r"status of 40[13]")

    def test_a_page_asks_for_a_token_once_and_forgets_it_when_told(self):
        job = self.submit("guarded")
        self.open(f"/jobs/{job}")
        self.see("#token-reason", "lets in who has a token")
        self.assertNotIn("guarded", self.browser.page_source)
        self.enter("hft_1_wrong")
        self.see("#token-reason", "The token is not good here")
        self.enter(os.environ["READER"])
        self.see("#facts", "guarded")
        self.open("/timeline?span=300")
        self.bar(f"Job {job} on guarded")
        self.see("#live", "live")
        self.assertEqual(self.all("#token-dialog[open]"), [])
        kept = self.browser.execute_script("return [sessionStorage.length, localStorage.length, document.cookie]")
        self.assertEqual(kept, [1, 0, ""])
        self.one("#token-button").click()
        self.one("#token-dialog[open]")
        self.assertEqual(self.browser.execute_script("return sessionStorage.length"), 0)
        self.one("#token-cancel").click()
        self.see("#live", "token needed")

    def test_what_is_to_be_done_needs_the_scope_for_it(self):
        job = self.submit("guarded", 600_000)
        self.open(f"/jobs/{job}")
        self.enter(os.environ["READER"])
        self.see("#state", "running")
        self.one("#cancel").click()
        self.see("#token-reason", "The token has not the scope operate")
        self.one("#token-cancel").click()
        self.see("#notices", "The token has not the scope operate")
        self.assertEqual(self.state(job), "running")
        self.one("#cancel").click()
        self.enter(os.environ["OPERATOR"])
        self.see("#state", "cancelled")


if __name__ == "__main__":
    unittest.main(verbosity=2)
