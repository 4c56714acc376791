"""Reports as pages of HTML and as figures."""

import math
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib import pyplot, rcParams

from skrmt.model_selection._page import report_page
from skrmt.model_selection._page._charts import fit_scale, log_ticks, ticks
from skrmt.model_selection._page._style import DARK, LIGHT, style_sheet
from skrmt.model_selection._page._values import confusion, interval, metric_name, number
from skrmt.model_selection._report_display import ReportDisplay

NAN = math.nan
VOID = {"meta", "br", "wbr"}
HOSTILE = "<script>alert('x')</script>\" onload=\"x & 'y'\x00\ud800"
METRICS = {
    "accuracy": [0.93, 0.91, 0.95],
    "roc_auc": [0.98, 0.97, 0.99],
    "neg_log_loss": [-0.21, -0.25, -0.18],
    "matthews_corrcoef": [-0.01, -0.1, 0.1],
}
CHECKS = [
    {"name": "Signal", "status": "ok", "text": "The interval is above a constant guess."},
    {"name": "Theory", "status": "caution", "text": "`model_fit_pvalue_` is nan: give more rows."},
    {"name": "Order", "status": "refused", "text": "Rows are in the order of time: pass `groups`."},
]
NOISE = {
    "rates": [0.1, 0.05, NAN],
    "observed": 0.82,
    "clean": 0.89,
    "clean_interval": [0.82, 0.93],
    "if_clean": 0.82,
    "if_noisy": 0.915,
    "probability": 0.62,
    "retrained": 0.921,
}
UNKNOWN = {
    "score": NAN,
    "interval": [NAN, NAN],
    "observed_score": NAN,
    "observed_interval": [NAN, NAN],
    "baseline": NAN,
    "regime": "too_few_rows",
    "scores": {"accuracy": [NAN] * 3, "roc_auc": [NAN] * 3},
    "forecast": None,
    "forecast_note": "`theoretical_score_interval_` is nan.",
    "summary": "Predicted accuracy on fresh rows: nan (95 % interval nan to nan).",
}


def forecast(score, n_samples):
    sizes = np.geomspace(n_samples / 8, 10 * n_samples, 40)
    scores = score - 0.5 / np.sqrt(sizes)
    columns = {"n_samples": sizes, "score": scores, "lower": scores - 0.02, "upper": scores + 0.02}
    return {name: column.tolist() for name, column in columns.items()}


def classifier(n_classes=3, **changes):
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.ones(n_classes**2)).reshape(n_classes, n_classes)
    return {
        "estimator": "LogisticRegression(C=0.1)",
        "kind": "classifier",
        "scoring": "accuracy",
        "score": 0.93,
        "interval": [0.91, 0.95],
        "baseline": 0.5,
        "observed_score": 0.85,
        "observed_interval": [0.82, 0.88],
        "regime": "detected",
        "n_samples": 300,
        "n_effective_samples": 250.5,
        "n_features": 20,
        "scores_kind": "newton",
        "n_fits": 1,
        "scores": METRICS,
        "classes": [f"class {k}" for k in range(n_classes)],
        "confusion": shares.tolist(),
        "points": None,
        "forecast": forecast(0.93, 250.5),
        "forecast_note": None,
        "noise": NOISE,
        "checks": CHECKS,
        "summary": "Predicted accuracy on fresh rows: 0.930.",
    } | changes


def regressor(**changes):
    points = np.random.default_rng(0).normal(size=(400, 2)).tolist()
    scores = {"r2": [0.5, 0.4, 0.6], "neg_mean_squared_error": [-3000.0, -3400.0, -2600.0]}
    kind = {"kind": "regressor", "scoring": "r2", "scores_kind": "exact", "scores": scores}
    none = {"classes": None, "confusion": None, "noise": None, "points": points}
    return classifier(
        **(kind | none | {"score": 0.5, "interval": [0.4, 0.6], "baseline": 0.0} | changes)
    )


TWO = {"noise": NOISE | {"rates": [0.1, 0.05]}}
REPORTS = {
    "classifier": classifier(),
    "two classes": classifier(2, noise=None, observed_score=0.93, observed_interval=[0.91, 0.95]),
    "many classes": classifier(200, noise=NOISE | {"rates": [0.1] * 200}),
    "hostile": classifier(2, **TWO, classes=[HOSTILE, "_" * 10_000], estimator=HOSTILE * 1000),
    "loss": classifier(scoring="neg_log_loss", score=-0.2, interval=[-0.3, -0.1], baseline=-0.69),
    "unknown": classifier(**UNKNOWN),
    "unknown noise": classifier(
        noise=dict.fromkeys(NOISE, NAN) | {"rates": [NAN] * 3, "clean_interval": [NAN, NAN]}
    ),
    "only score": classifier(scores={"accuracy": [0.93, 0.91, 0.95]}, confusion=None, checks=[]),
    "no rows of a class": classifier(2, **TWO, confusion=[[0.9, 0.1], [0.0, 0.0]]),
    "no interval": classifier(interval=[NAN, NAN], baseline=NAN),
    "no band": classifier(
        forecast=forecast(0.93, 250) | {"lower": [NAN] * 40, "upper": [NAN] * 40}
    ),
    "infinite loss": classifier(baseline=-math.inf, scores={"neg_log_loss": [-math.inf, NAN, NAN]}),
    "regressor": regressor(),
    "no forecast": regressor(forecast=None, forecast_note="There is no theory."),
    "no points": regressor(points=[[NAN, 1.0]]),
    "constant points": regressor(points=[[2.0, 2.0]] * 3),
}
every_report = pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS.keys())


class Balanced(HTMLParser):
    """Fails where a tag closes another one than the last opened."""

    def __init__(self):
        super().__init__()
        self.open, self.words, self.headings = [], [], []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        if re.fullmatch(r"h\d", tag):
            self.headings.append(int(tag[1]))

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)


def read(page):
    parser = Balanced()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser


@every_report
@pytest.mark.parametrize("whole", [True, False])
def test_pages_are_well_formed_small_and_load_nothing(report, whole):
    page = report_page(report, whole=whole)
    read(page)
    ElementTree.fromstring(page if whole else f"<body>{page}</body>")
    assert len(page.encode()) <= 100_000
    for word in ("<script", "http", "url(", "@import", "<link", "src=", "<img", " id="):
        assert word not in page.lower()


@every_report
def test_no_number_is_nan(report):
    page = report_page(report, whole=True)
    assert not re.search(r"\bnan\b|\binf\b", page, re.IGNORECASE)


def test_unknown_is_in_words():
    text = " ".join(read(report_page(REPORTS["unknown"], whole=True)).words)
    assert text.count("not known") >= 5
    assert "Too few rows" in text


def test_whole_document_and_fragment():
    document = report_page(classifier(), whole=True)
    assert document.startswith("<!DOCTYPE html>")
    assert 'name="viewport" content="width=device-width' in document
    assert "prefers-color-scheme: dark" in document
    fragment = report_page(classifier(), whole=False)
    assert fragment.startswith("<style>")
    assert not re.search(r"<(html|head|body|main)\b", fragment)
    assert read(document).headings == [1] + [2] * 5
    assert read(fragment).headings == [3] + [4] * 5


def test_rules_of_a_fragment_are_scoped():
    sheet = re.sub(r"@media[^{]*\{((?:[^{}]*\{[^{}]*\})*)\s*\}", r"\1", style_sheet(whole=False))
    rules = re.findall(r"([^{}]+)\{[^{}]*\}", sheet)
    assert len(rules) > 60
    parts = [part for rule in rules for part in re.sub(r":is\(.*?\)", "", rule).split(",")]
    assert [part for part in parts if ".skrmt-report" not in part] == []


def test_hostile_names_are_text():
    page = report_page(REPORTS["hostile"], whole=True)
    assert "onload=" in page
    for element in ElementTree.fromstring(page).iter():
        assert "onload" not in element.attrib
        assert element.tag != "script"
    assert "&lt;script&gt;" in page
    page.encode()


class Recorder(dict):
    """Remembers the keys that are read."""

    def __init__(self, content, read):
        super().__init__(content)
        self.read = read

    def __getitem__(self, key):
        self.read.add(key)
        value = super().__getitem__(key)
        return Recorder(value, self.read) if isinstance(value, dict) else value


def test_every_entry_is_shown():
    read = set()
    for report in (classifier(), regressor(), REPORTS["no forecast"]):
        report_page(Recorder(report, read), whole=True)
    assert set(classifier()) | set(NOISE) | set(forecast(0.9, 10)) == read


def test_the_numbers():
    text = " ".join(read(report_page(classifier(), whole=True)).words)
    for words in ("0.930", "0.910 to 0.950", "constant guess 0.500", "0.820 to 0.880"):
        assert words in text
    for words in ("250 independent", "1 fit", "by one Newton step", "0.921", "0.915", "62\u00a0%"):
        assert words in text
    assert "would add 0.031" in text
    assert "1 of 3 checks passed" in text
    for word in ("OK", "Caution", "Refused"):
        assert word in text


def test_losses_keep_the_name_and_the_sign_of_scikit_learn():
    text = "".join(read(report_page(REPORTS["loss"], whole=True)).words)
    assert "−0.200" in text
    assert "neg_log_loss" in text
    assert "Log loss, without the sign: 0.200 (0.100 to 0.300); of a constant guess: 0.690" in text


def test_no_forecast_gives_the_reason():
    text = "".join(read(report_page(REPORTS["no forecast"], whole=True)).words)
    assert "There is no theory." in text
    assert "rows at hand" not in text


def test_sections_without_content_are_left_out():
    text = "".join(read(report_page(regressor(), whole=True)).words)
    assert "What cleaning" not in text
    assert "Which classes" not in text
    assert "Predictions and targets" in text
    assert "Other metrics" not in report_page(REPORTS["only score"], whole=True)


def test_every_chart_has_a_name():
    charts = re.findall(
        r"<svg class=[^>]*>(?:<title>.*?</title>)?", report_page(classifier(), whole=True)
    )
    assert len(charts) > 5
    for chart in charts:
        assert 'role="img"' in chart
        assert "<title>" in chart


def test_the_most_frequent_classes_are_shown():
    report = classifier(200)
    found = confusion(report)
    totals = np.sum(report["confusion"], axis=1)
    largest = np.sort(np.argsort(-totals)[:12])
    assert found.names == [f"class {k}" for k in largest]
    np.testing.assert_allclose(np.sum(found.shares, axis=1), 1.0)
    assert found.share_left_out == pytest.approx(1 - totals[largest].sum())
    text = "".join(read(report_page(report, whole=True)).words)
    assert "the other 188, with" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "0.500"), (-12.345, "−12.35"), (123.45, "123.5"), (-3004.2, "−3,004")]
    + [(1.2e-5, "1.2e−05"), (-math.inf, "−∞"), (NAN, "not known"), (None, "not known")],
)
def test_numbers(value, text):
    assert number(value) == text


def test_intervals_and_names():
    assert interval([0.1, 0.2]) == "0.100 to 0.200"
    assert interval([0.1, NAN]) == "not known"
    names = ["neg_log_loss", "r2", "roc_auc_ovr", "f1_macro", "balanced_accuracy"]
    words = ["Log loss", "R²", "ROC AUC one versus rest", "F1 macro", "Balanced accuracy"]
    assert [metric_name(name) for name in names] == words


def test_ticks():
    assert [label for _, label in ticks(0.83, 0.97, 5)] == ["0.85", "0.90", "0.95"]
    assert [label for _, label in ticks(-0.3, 0.0, 5)] == ["−0.3", "−0.2", "−0.1", "0.0"]
    assert [label for _, label in log_ticks(30.0, 3000.0)][:3] == ["50", "100", "200"]
    assert fit_scale([0.9, 0.99, NAN]).high == 1.0
    assert fit_scale([]).low < fit_scale([]).high


def luminance(colour):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return np.dot([0.2126, 0.7152, 0.0722], linear)


def contrast(first, second):
    dark, light = sorted([luminance(first), luminance(second)])
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_contrast_of_text(theme):
    found = re.findall(r"--(\w+): #(\w{6})", theme)
    colours = {name: [int(code[k : k + 2], 16) / 255 for k in (0, 2, 4)] for name, code in found}
    for name in ("ink", "soft", "blue", "ok", "caution", "refused"):
        assert contrast(colours[name], colours["paper"]) >= 4.5
    heat = np.array(re.search(r"--heat: (\d+) (\d+) (\d+)", theme).groups(), dtype=float) / 255
    assert contrast(colours["ink"], (heat + colours["paper"]) / 2) >= 4.5


@pytest.mark.parametrize(
    "name", ["many classes", "hostile", "unknown", "loss", "only score", "regressor", "no points"]
)
def test_display_draws_four_panels(name):
    before = dict(rcParams)
    display = ReportDisplay(REPORTS[name]).plot()
    display.figure_.draw_without_rendering()
    assert dict(rcParams) == before
    assert len(display.axes_) == 4
    assert all(axes.figure is display.figure_ for axes in display.axes_)


def test_display_on_axes_given():
    _, axes = pyplot.subplots(1, 4)
    display = ReportDisplay(classifier()).plot(ax=axes)
    assert display.axes_[3] is axes[3]
    assert len(pyplot.get_fignums()) == 1
    with pytest.raises(ValueError, match="four axes"):
        ReportDisplay(classifier()).plot(ax=axes[0])


def test_display_of_a_report():
    class Report:
        def to_dict(self):
            return regressor()

    display = ReportDisplay.from_estimator(Report())
    assert display.axes_[0].get_title(loc="center") == "R² 0.500"
    with pytest.raises(TypeError, match="of type list"):
        ReportDisplay.from_estimator([])
    with pytest.raises(TypeError, match="fitted GeneralizationReport"):
        ReportDisplay.from_estimator(Report)
