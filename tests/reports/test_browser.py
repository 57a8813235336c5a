"""A real browser shows the page: headless Chromium, where there is one."""

import shutil
import subprocess

import pytest

from tenfold.reports import page

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
PROBE = """<script>addEventListener("load", () => {
  document.body.dataset.widths = [...document.images].map(image => image.naturalWidth).join();
  document.body.dataset.overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
})</script></body>"""


@pytest.fixture
def chromium(tmp_path):
    """Runs Chromium on a page; returns what it prints."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no chromium on this machine: the report was not opened in a browser")

    def run(path, *flags):
        command = [found, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", *flags, path.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def report(maker):
    run = maker.run()
    maker.open_test(run, pictured=True)
    return page.write_report(run)


def test_the_page_is_drawn_in_light_and_dark(report, chromium, look, tmp_path):
    light, dark = tmp_path / "light.png", tmp_path / "dark.png"
    chromium(report, f"--screenshot={light}", "--window-size=1100,3000")
    chromium(report, f"--screenshot={dark}", "--window-size=1100,3000", "--blink-settings=preferredColorScheme=0")
    assert look(light.read_bytes()).mean() > 200
    assert look(dark.read_bytes()).mean() < 100


def test_the_headline_is_there_every_image_is_decoded_and_a_narrow_page_does_not_scroll_sideways(
    report, chromium, tmp_path
):
    probed = tmp_path / "probed.html"
    text = report.read_text(encoding="utf-8")
    assert POLICY in text
    probed.write_text(text.replace(POLICY, "").replace("</body>", PROBE), encoding="utf-8")
    document = chromium(probed, "--dump-dom", "--window-size=500,900")
    assert "best validation accuracy, epoch 15 of 30" in document
    widths = document.split('data-widths="')[1].split('"')[0].split(",")
    assert len(widths) == 5
    assert all(int(width) > 400 for width in widths)
    assert 'data-overflow="0"' in document
