"""
Any estimator on fresh rows, in your metric
===========================================

A report is fitted to training rows alone, and predicts what the estimator reaches on rows it has not seen, in every
metric, and what more rows would bring. All of it is measured beside on other rows.
"""

# %%
# A pipeline on images of digits
# ------------------------------
#
# 300 of the 1797 images train. The pipeline selects pixels by their relation to the targets: each fold of the report
# selects them anew, so that the selection counts for nothing in its favour.

import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import SelectKBest, VarianceThreshold
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import get_scorer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from skrmt.model_selection import ForecastDisplay, GeneralizationReport

X, y = load_digits(return_X_y=True, as_frame=True)
parts = train_test_split(X, y, train_size=300, random_state=0)
X_train, X_rest, y_train, y_rest = parts
forest = RandomForestClassifier(50, random_state=0)
model = make_pipeline(VarianceThreshold(), SelectKBest(k=30), forest)
report = GeneralizationReport(model, scoring="f1_macro").fit(X_train, y_train)
print(report.summary())

# %%
# In every metric
# ---------------
#
# Scores, the bounds of their 95 % intervals and the score of a constant guess, beside the score on the other rows.

table = report.to_frame()
fitted = report.estimator_
table["measured"] = [
    get_scorer(name)(fitted, X_rest, y_rest) for name in table.index
]
table.round(3)

# %%
# The page
# --------
#
# In a notebook a report shows itself as this page; `report.to_html("report.html")` writes it to a file.

report

# %%
# The figure
# ----------
#
# The same in four panels of matplotlib.

report.plot()

# %%
# The forecast, and what is measured
# ----------------------------------
#
# Linear estimators have a theory of more rows, and the curve takes no further fit. A ridge classifier separates digits
# below five from the others: no plane does that well, and more images help slowly. The line and its band follow from 150
# images alone; squares are accuracies on images that no fit has seen, of ten other draws of the training rows. The line
# is high here and the squares are within its band: 150 images leave that much to chance.

X, y = load_digits(return_X_y=True)
X, y = X / 16.0, y >= 5
model = RidgeClassifier(alpha=5.0)
X_train, X_rest, y_train, y_rest = train_test_split(
    X, y, train_size=150, random_state=0
)
report = GeneralizationReport(model).fit(X_train, y_train)

sizes = np.array([40, 75, 150, 300, 600, 1200])
scores = []
for n in sizes:
    folds = []
    for seed in range(10):
        order = np.random.default_rng(seed).permutation(len(y))
        fitted = clone(model).fit(X[order[:n]], y[order[:n]])
        folds.append(fitted.score(X[order[n:]], y[order[n:]]))
    scores.append(folds)

ForecastDisplay.from_estimator(
    report,
    values=np.geomspace(30, 1500, 40),
    measured=(sizes, np.array(scores)),
)
low, high = report.required_interval(0.85)
print(
    f"Rows for an accuracy of 85 %: {report.required(0.85):.0f}, {low:.0f} to "
    f"{high:.0f}"
)

# %%
# With wrong labels
# -----------------
#
# What would the same classifier reach if one label in five were wrong?

worse = report.forecast(n_samples=[150, 1500], noise_rates=0.2)
print("150 rows: {:.3f}, 1500 rows: {:.3f}".format(*worse.score))
