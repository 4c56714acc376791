"""
The learning curve of an estimator of scikit-learn
==================================================

How accurate will a ridge classifier be on fresh images, and how much would more of them help? A report on 150
images predicts both. Accuracies on the other images, which it has not seen, are measured beside.
"""

# %%
# Digits below five against the others
# ------------------------------------

import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import train_test_split

from skrmt.model_selection import ForecastDisplay, GeneralizationReport

X, y = load_digits(return_X_y=True)
X, y = X / 16.0, y >= 5
model = RidgeClassifier(alpha=5.0)
X_train, X_rest, y_train, y_rest = train_test_split(X, y, train_size=150, random_state=0)
report = GeneralizationReport(model).fit(X_train, y_train)
print(report.summary())

# %%
# The forecast, and what is measured
# ----------------------------------
#
# The line and its band follow from the 150 images alone. No plane separates these classes well: more images
# help slowly. Squares are accuracies on images that no fit has seen.

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
    report, values=np.geomspace(30, 1500, 40), measured=(sizes, np.array(scores))
)
print(f"Rows for an accuracy of 85 %: {report.required(0.85):.0f}")

# %%
# With wrong labels
# -----------------
#
# What would the same classifier reach if one label in five were wrong?

worse = report.forecast(n_samples=[150, 1500], noise_rates=0.2)
print("150 rows: {:.3f}, 1500 rows: {:.3f}".format(*worse.score))
