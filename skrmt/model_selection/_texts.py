"""Why a report predicts nothing, or should be doubted."""

TOO_FEW_ROWS = (
    "There are fewer than ten effective rows (`n_effective_samples_`): nothing is predicted. Give "
    "more rows."
)
UNDETECTED = (
    "Neither the held-out score nor the ranks of rows are better than those of a constant guess "
    "(`theoretical_score_interval_` reaches it, or is nan): the features show no signal. Give more "
    "rows or other features."
)
MISFIT = (
    "Theory and held-out scores disagree (`model_fit_pvalue_`): leverages differ between rows, or "
    "scores are not Gaussian within classes. `theoretical_score_` is counted on held-out scores."
)
AMBIGUOUS = (
    "Wrong labels and overlapping classes explain the held-out scores equally "
    "(`clean_accuracy_.noise_probability`): the interval of the accuracy contains both. Give "
    "noise_rates if they are known."
)
OF_REGIME = {
    "too_few_rows": TOO_FEW_ROWS,
    "undetected": UNDETECTED,
    "misfit": MISFIT,
    "ambiguous": AMBIGUOUS,
}
KINDS = {
    "exact": "Rows are held out in closed form, exactly.",
    "newton": "Rows are held out by one Newton step per row, to first order.",
    "folds": "Rows are held out of the whole estimator by folds.",
}
