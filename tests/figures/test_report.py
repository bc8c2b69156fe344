"""The page of a report: nothing from outside, every text escaped, readable on a phone and in the dark."""

from __future__ import annotations

import dataclasses
import html
import json
import re
import shutil
import subprocess
import typing
from html.parser import HTMLParser

import pytest

from lmc.core.schema import frame
from lmc.figures import barriers
from lmc.figures import report as page

HOSTILE = "<script>alert('x')</script>\"&</style>"


class Reader(HTMLParser):
    """Tags, attributes and text of a page, as a browser would see them."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text.append(data)


def hostile(kind: typing.Any) -> typing.Any:
    """A value of a type annotation, with ``HOSTILE`` wherever a text may be."""
    if kind is str:
        return HOSTILE
    if kind in (float, int, bool):
        return kind(0)
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind, vars(page) | {"Markup": str})
        return kind(**{field.name: hostile(hints[field.name]) for field in dataclasses.fields(kind)})
    origin, inside = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        return tuple(map(hostile, inside))
    if inside and type(None) not in inside:
        return [hostile(inside[0])] * 2
    return hostile(inside[0])


@pytest.fixture(scope="module")
def figure():
    rows = [
        {"experiment_a": HOSTILE, "experiment_b": HOSTILE, "seed_a": pair, "seed_b": pair + 1}
        | {"epoch_a": 0, "epoch_b": 0, "match": match, "split": "test", "loss_barrier": 0.1 * pair}
        for pair in (0, 2, 4)
        for match in ("none", "activation")
    ]
    return barriers.draw(frame("barrier", rows))


@pytest.fixture(scope="module")
def written(figure):
    made = hostile(page.Page)
    pictures = [page.inline(figure, HOSTILE, number) for number in range(2)]
    values = [("n", 2.0), ("b", 10.0), ("a", 1.0), ("c", float("nan"))]
    wide = [page.Header(f"a rather long heading {number}", True, "low") for number in range(12)]
    rows = [[page.entry(name), *[page.entry(value)] * 12] for name, value in values]
    table = page.Sheet("values", [page.Header("name"), *wide], rows)
    return page.write(dataclasses.replace(made, figures=pictures, tables=[table, *made.tables]))


def test_no_name_becomes_markup(written):
    read = Reader(written)
    assert [tag for tag, _ in read.tags].count("script") == 1
    assert [tag for tag, _ in read.tags].count("style") == 3  # the page's own, and one a figure
    assert not [name for _, attributes in read.tags for name in attributes if name.startswith("on")]
    assert "".join(read.text).count(HOSTILE) > 20
    assert not re.search(r"<script>alert", written)


def test_nothing_is_loaded(written):
    read = Reader(written)
    loading = ("src", "href", "xlink:href", "data", "action", "poster", "srcset")
    for _, attributes in read.tags:
        for name in loading:
            assert (attributes.get(name) or "#").startswith(("#", "data:")), attributes
    assert all(found.startswith("#") for found in re.findall(r"url\(['\"]?([^)]*)", written))
    assert "http://" not in written
    assert "https://" not in written
    assert "@import" not in written
    policy = next(attributes for tag, attributes in read.tags if "http-equiv" in attributes)
    assert "default-src 'none'" in str(policy["content"])


def test_tables_can_be_sorted_by_button(written):
    read = Reader(written)
    tags = [tag for tag, _ in read.tags]
    assert tags.count("th") == tags.count("button")
    assert 'data-sort="10.0"' in written


def test_figures_take_the_colours_of_the_page(figure):
    svg = str(page.inline(figure, "a", 7).svg)
    assert "currentColor" in svg
    assert "#000000" not in svg
    assert "<!--" not in svg
    assert set(re.findall(r'\bid="(\w+?)-', svg)) == {"f7"}
    defined = set(re.findall(r'\bid="([^"]+)"', svg))
    used = set(re.findall(r'(?:url\(#|href="#)([^")]+)', svg))
    assert used <= defined


PROBE = """<script>
const heads = [...document.querySelector("#tables table.sortable").tHead.rows[0].cells];
const column = () => [...heads[1].closest("table").tBodies[0].rows].map((row) => row.cells[1].textContent.trim());
const button = heads[1].querySelector("button");
button.focus();
const focused = document.activeElement === button;
button.click(); const up = column(), order = heads[1].getAttribute("aria-sort");
button.click(); const down = column();
const colours = [".note", ".verdict", ".ends", "td", "h2", "nav a", "li.fails > b"].map((each) => {
  const found = document.querySelector(each);
  return found && getComputedStyle(found).color;
});
parent.postMessage(JSON.stringify({
  inner: innerWidth, client: document.documentElement.clientWidth, scroll: document.documentElement.scrollWidth,
  focused, up, down, order, colours, ground: getComputedStyle(document.body).backgroundColor,
}), "*");
</script></body>"""
FRAMES = """<body><pre id="found"></pre><script>
const found = [];
onmessage = (message) => {
  found.push(JSON.parse(message.data));
  document.getElementById("found").textContent = JSON.stringify(found);
};
</script><iframe src="page.html" style="width:390px;height:800px"></iframe>
<iframe src="page.html" style="width:1280px;height:800px"></iframe></body>"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_in_a_browser(written, tmp_path, dark):
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium on this machine; Debian's package chromium has it")
    (tmp_path / "page.html").write_text(written.replace("</body>", PROBE))
    (tmp_path / "frames.html").write_text(FRAMES)
    words = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    words += ["--blink-settings=preferredColorScheme=0"] if dark else []
    words += ["--virtual-time-budget=8000", "--dump-dom", f"file://{tmp_path / 'frames.html'}"]
    done = subprocess.run([browser, *words], capture_output=True, text=True, timeout=120)
    shown = json.loads(html.unescape(re.findall(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)[0]))
    assert sorted(each["inner"] for each in shown) == [390, 1280]
    for each in shown:
        assert each["scroll"] <= each["client"]
        assert each["focused"]
        assert (each["up"], each["order"]) == (["1", "2", "10", "–"], "ascending")
        assert each["down"] == ["10", "2", "1", "–"]
        ground = luminance(each["ground"])
        assert (ground < 0.05) is dark
        for colour in filter(None, each["colours"]):
            light, shade = sorted((luminance(colour), ground), reverse=True)
            assert (light + 0.05) / (shade + 0.05) >= 4.5, colour


def luminance(colour):
    """Relative luminance of ``rgb(r, g, b)`` (WCAG 2.2)."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
