"""The report of a run in a real browser shows every item, every link works, and the network is not used."""

import json
import re
import shutil
import subprocess
import sys
from base64 import b64decode
from html import unescape
from pathlib import Path
from urllib.parse import unquote

import matplotlib
import pytest
from matplotlib.figure import Figure

from gest.paper.tables.html import write_text
from gest.paper.tables.paper_comparison import paper_comparison_markdown
from gest.paper.verdicts import compare_with_paper, explain_incomparable
from gest.pl.save import save

matplotlib.use("Agg")
ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--virtual-time-budget=120000"),
    "--host-resolver-rules=MAP * ~NOTFOUND",  # offline
)
# Runs before the report's own scripts, and records every error.
LISTEN = """<script>
const trouble = [];
addEventListener("error", event => trouble.push(event.message || `${event.target.tagName} not loaded`), true);
addEventListener("unhandledrejection", event => trouble.push(String(event.reason)));
console.error = (...output) => trouble.push(output.join(" "));
</script>"""
# Clicks on everything, and replaces the page by a record of what was shown.
WALK = """<script>
const pause = () => new Promise(done => setTimeout(done, 50));
const shown = () => {
    const image = document.querySelector("#app img[src^='data:image/png']"), frame = document.querySelector("iframe");
    return image ? image.naturalWidth > 0 : Boolean(frame && frame.src.startsWith("data:text/html"));
};
const front = async () => { app.setView({content: "rulegraph", navbarMode: "menu"}); await pause(); };
async function walk() {
    await pause();
    const seen = {front: document.querySelector("#app").innerText, items: [], categories: {}, links: []};
    const links = () => [...document.querySelectorAll(".contents a")];
    for (const label of links().map(link => link.innerText)) {
        await front();
        links().find(link => link.innerText === label).click();
        await pause();
        seen.items.push([label, shown(), document.querySelector("nav").innerText]);
        seen.links.push(...[...document.querySelectorAll("a[href]")].map(link => link.getAttribute("href")));
    }
    await front();
    const menu = [...document.querySelectorAll("nav a")].map(link => link.innerText.trim());
    for (const name of menu.filter(name => name in categories)) {
        await front();
        [...document.querySelectorAll("nav a")].find(link => link.innerText.trim() === name).click();
        await pause();
        seen.categories[name] = [];
        for (const row of [...document.querySelectorAll("nav tbody tr")]) {
            row.querySelector("a").click();
            await pause();
            seen.categories[name].push([row.cells[0].innerText, shown()]);
        }
    }
    for (const name of ["Workflow", "Statistics", "About"]) {
        await front();
        [...document.querySelectorAll("nav a")].find(link => link.innerText.trim() === name).click();
        await pause();
    }
    const loaded = performance.getEntriesByType("resource").map(entry => entry.name);
    const asked = loaded.filter(name => !name.startsWith("data:"));
    document.documentElement.innerHTML = "<pre></pre>";
    document.querySelector("pre").innerText = btoa(encodeURIComponent(JSON.stringify({...seen, asked, trouble})));
}
addEventListener("load", () => walk().catch(error => { document.title = `failed: ${error.stack}`; }));
</script>"""

pytestmark = [
    pytest.mark.workflow,
    pytest.mark.skipif(CHROMIUM is None, reason="REPORT NOT OPENED: chromium not found (apt-get install chromium)"),
]


@pytest.fixture(scope="module")
def report(tmp_path_factory, values):
    """Return the report of a toy run whose files are placeholders, except for the comparison on the front page."""
    folder = tmp_path_factory.mktemp("run")
    for name in ("Snakefile", "workflow", "config", "profiles", "envs", "toy"):
        (folder / name).symlink_to(ROOT / name)

    def snakemake(*arguments):
        command = [sys.executable, "-m", "snakemake", "--profile", "toy", *arguments]
        completed = subprocess.run(command, cwd=folder, text=True, capture_output=True, check=False)
        assert completed.returncode == 0, completed.stderr
        return completed.stdout + completed.stderr

    for name in re.findall(r"^(results/\S+|\.venvs/\S+)\t", snakemake("--summary"), flags=re.M):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".png":
            figure = Figure(figsize=(1, 1))
            save(figure, path)
        elif path.suffix == ".html":
            write_text(f"{path.stem}\n\n| a | b |\n|---|---|\n| 1 | 2 |\n", path.with_suffix(".md"), path)
        elif path.suffix:
            path.touch()
        else:
            path.mkdir()
    tables = folder / "results/toy/tables"
    why_not = explain_incomparable("toy", simulated=True)
    text = paper_comparison_markdown(compare_with_paper(values, values, why_not=why_not), run="toy", why_not=why_not)
    write_text(text, tables / "paper_comparison.md", tables / "paper_comparison.html")
    snakemake("--touch", "--forceall")
    output = snakemake("--report", "report.html")
    assert not re.search("WARNING/|ERROR/", output), output
    return folder / "report.html"


@pytest.fixture(scope="module")
def seen(report):
    """Return the record of what a browser shows when everything is clicked."""
    walked = report.with_name("walked.html")
    start, _, end = report.read_text().rpartition("</body>")
    walked.write_text(start.replace("<head>", "<head>" + LISTEN, 1) + WALK + "</body>" + end)
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={report.parent}/browser", "--dump-dom", walked.as_uri()]
    completed = subprocess.run(command, text=True, capture_output=True, timeout=600, check=True)
    packed = re.search(r"<pre>(\S+)</pre>", completed.stdout)
    assert packed, re.search(r"<title>.*?</title>", completed.stdout, flags=re.S)
    return json.loads(unquote(b64decode(packed[1]).decode()))


@pytest.fixture(scope="module")
def results(report):
    """Return the results in the report, by path."""
    return json.loads(re.search(r"var results = (\{.*\});", report.read_text())[1])


@pytest.mark.slow
def test_nothing_goes_wrong_in_the_browser(seen):
    assert seen["trouble"] == []


def test_nothing_is_asked_of_the_network(seen, results):
    assert seen["asked"] == []
    for path, result in results.items():
        if path.endswith(".html"):
            page = b64decode(result["data_uri"].partition("base64,")[2]).decode()
            assert not re.search(r"src=|href=|url\(|@import|<script", page), path


def test_the_front_page_says_that_toy_data_are_not_compared(seen):
    front = seen["front"]
    assert "nothing in it is a result" in front
    assert "The paper against reproduction, run toy" in front
    numbers = [int(n) for n in re.findall(r"^(?:Table|Figure) .*\t(\d+)(?:\t–){4}\t\1$", front, flags=re.M)]
    assert sum(numbers) == front.count("not comparable: toy data") == 179
    assert front.count("reproduced") == front.count("differs") == 1, "but for the heads of columns"


def test_every_link_shows_its_item_and_its_caption(seen, results):
    captions = {
        result["labels"]["item"]: unescape(re.sub("<.*?>", "", result["caption"])) for result in results.values()
    }
    assert {label for label, *_ in seen["items"]} == captions.keys()
    for label, shown, navbar in seen["items"]:
        assert shown, label
        assert " ".join(captions[label].split()[:8]) in " ".join(navbar.split()), label
    assert {link.partition(":")[0] for link in seen["links"] if not link.startswith("#")} <= {"javascript", "data"}


def test_the_menu_leads_to_every_item_in_the_papers_order(seen, results):
    assert list(seen["categories"]) == [
        *("0 Overview", "3 Model", "4.1 Unseen cells", "4.2 Niche clustering", "4.3 Niche annotation"),
        *("4.4 Perturbation", "5 Ablations", "A.1 Data", "A.2 Iterative generation"),
    ]
    rows = [row for rows in seen["categories"].values() for row in rows]
    assert len(rows) == len(results)
    assert all(shown for _, shown in rows)


def test_every_table_and_figure_of_the_paper_is_in_the_report(results):
    labels = " ".join(result["labels"]["item"] for result in results.values())
    tables = [f"Table {n}" for n in ("1", "2", "3", "4", "A.1", "A.2", "A.3", "A.4")]
    for item in [*tables, "Figure 2c", "Figure 4", "Figure 5", *(f"Figure A.{n}" for n in range(1, 11))]:
        assert f"{item}:" in labels, item
