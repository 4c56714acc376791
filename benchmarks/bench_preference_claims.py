"""What PreferencePolicy claims of fresh pairs: real choices, repeated responses, persons, noise.

Takes a folder with ``choices/choices.npz``; the environment variable SKRMT_DATA by default. Draws
have fixed seeds. Runs on versions without `new_items_accuracy_` and `noise_pvalue_`, too.
"""

import argparse
import os
import warnings
from pathlib import Path

import numpy as np
from _table import machine, pm, print_table
from scipy.special import expit
from threadpoolctl import threadpool_limits

from skrmt.exceptions import TheoryWarning
from skrmt.preference import PreferencePolicy

SETS = ("ketchup", "tuna", "travel_mode")
HEADER = ("pairs", "draws", "claimed less true", "mean error", "covered", "width")


def row(name, found):
    """Return a row of a table from (claimed, low, high, true) of each draw."""
    claimed, low, high, true = np.transpose(found)
    error = claimed - true
    inside = (low <= true) & (true <= high)
    return (
        name,
        len(found),
        pm(error),
        pm(np.abs(error)),
        f"{inside.mean():.3f} ± {inside.std() / np.sqrt(len(found)):.3f}",
        f"{np.mean(high - low):.3f}",
    )


def claims(policy, new=False):
    """Return what a fit claims and its interval, of new responses if wanted."""
    name = "new_items_accuracy_" if new else "theoretical_accuracy_"
    bounds = getattr(policy, name[:-1] + "_interval_", (np.nan, np.nan))
    return getattr(policy, name, np.nan), *bounds


def choice_rows(folder, loss, draws, n=300):
    """Yield claims on real choices, of 300 rows and of persons with about as many."""
    data = np.load(folder / "choices" / "choices.npz")
    for name in SETS:
        X, y, group = (data[f"{name}_{part}"] for part in ("X", "y", "group"))
        for by_person in (False, True):
            found = []
            for seed in range(draws):
                rng = np.random.default_rng(seed)
                unit = group if by_person else np.arange(len(y))
                names, sizes = np.unique(unit, return_counts=True)
                order = rng.permutation(len(names))
                last = int(np.searchsorted(np.cumsum(sizes[order]), n))
                train = np.isin(unit, names[order[: last + 1]])
                groups = group[train] if by_person else None
                policy = PreferencePolicy(loss).fit(X[train], y[train], groups=groups)
                true = np.mean((policy.decision_function(X[~train]) > 0) == (y[~train] == 1))
                found.append((*claims(policy), true))
            yield row(f"{name}, {loss}, {'persons' if by_person else 'rows'} at random", found)


def bound_rows(folder, draws, n=300):
    """Yield how far about 300 choices are from all others, for a policy that judges neither group.

    The policy is fitted to a third of the persons, who are not counted: what a claim errs by if it
    knows the policy of fresh persons, and has to count its choices on those at hand.
    """
    data = np.load(folder / "choices" / "choices.npz")
    for name in SETS:
        X, y, group = (data[f"{name}_{part}"] for part in ("X", "y", "group"))
        names, sizes = np.unique(group, return_counts=True)
        errors = []
        for seed in range(draws):
            order = np.random.default_rng(seed).permutation(len(names))
            fitted, rest = np.split(order, [len(names) // 3])
            last = int(np.searchsorted(np.cumsum(sizes[rest]), n))
            rows = [np.isin(group, names[k]) for k in (fitted, rest[: last + 1], rest[last + 1 :])]
            policy = PreferencePolicy().fit(X[rows[0]], y[rows[0]], groups=group[rows[0]])
            right = (policy.decision_function(X) > 0) == (y == 1)
            errors.append(right[rows[1]].mean() - right[rows[2]].mean())
        yield name, len(errors), pm(np.array(errors)), pm(np.abs(errors))


def item_rows(loss, draws, first=0):
    """Yield claims on 600 pairs of 40 responses, by known responses and by new ones."""
    for p, effect, popular in ((6, 0, 0), (20, 0, 0), (6, 0.7, 0), (20, 0.7, 0), (20, 0.7, 1)):
        known, new = [], []
        for seed in range(first, first + draws):
            rng = np.random.default_rng(seed)
            taste = rng.standard_normal(p)
            taste *= 1.5 / np.linalg.norm(taste)
            share = np.arange(1.0, 41.0) ** (-0.7 * popular)
            X, fresh = rng.standard_normal((40, p)), rng.standard_normal((1000, p))
            worth = X @ taste + effect * rng.standard_normal(40)
            fresh_worth = fresh @ taste + effect * rng.standard_normal(1000)
            pairs = rng.choice(40, (2, 700), p=share / share.sum())
            a, b = pairs[:, pairs[0] != pairs[1]][:, :600]
            won = rng.random(len(a)) < expit(worth[a] - worth[b])
            policy = PreferencePolicy(loss).fit_pairs(
                X[np.where(won, a, b)], X[np.where(won, b, a)]
            )
            known.append((*claims(policy), realised(policy, X, worth, share)))
            new.append((*claims(policy, True), realised(policy, fresh, fresh_worth)))
        what = f"{p} features, effect {effect}{', popular' * popular}, {loss}"
        yield row(f"{what}: known responses", known)
        yield row(f"{what}: new responses", new)


def realised(policy, X, worth, share=None):
    """Return the share of pairs of responses, drawn with shares, that are ranked as chosen."""
    score = X @ policy.coef_
    right = expit(np.where(score[:, None] > score, 1, -1) * (worth[:, None] - worth))
    share = np.ones(len(X)) if share is None else share
    mass = np.outer(share, share)
    np.fill_diagonal(mass, 0.0)
    return float((mass * right).sum() / mass.sum())


def person_rows(loss, draws):
    """Yield claims on 60 persons with 10 pairs each, whose tastes differ."""
    for p, spread in ((5, 0.3), (5, 1.0), (20, 0.5)):
        found = []
        for seed in range(draws):
            rng = np.random.default_rng(seed)

            def draw(persons, k, rng=rng, p=p, spread=spread):
                group = np.repeat(np.arange(persons), k)
                taste = 1.0 / np.sqrt(p) + spread * rng.standard_normal((persons, p))
                X = rng.standard_normal((len(group), p))
                return X, rng.random(len(group)) < expit((X * taste[group]).sum(axis=1)), group

            X, y, group = draw(60, 10)
            policy = PreferencePolicy(loss).fit(X, y, groups=group)
            fresh, chosen, _ = draw(20_000, 1)
            found.append((*claims(policy), np.mean(policy.predict(fresh) == chosen)))
        yield row(f"{p} features, tastes differ by {spread}, {loss}", found)


def noise_rows(loss, draws):
    """Yield how often 1/2 is in the interval of pairs without any preference."""
    for n, p in ((10, 3), (30, 5), (100, 10), (300, 20), (1000, 20)):
        found, pvalues = [], []
        for seed in range(draws):
            X = np.random.default_rng(seed).standard_normal((n, p))
            policy = PreferencePolicy(loss).fit(X, np.arange(n) % 2)
            found.append((*claims(policy), 0.5))
            pvalues.append(getattr(policy, "noise_pvalue_", np.nan))
        yield *row(f"{n} x {p}, {loss}", found), f"{np.mean(np.array(pvalues) < 0.01):.3f}"


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", default=os.environ.get("SKRMT_DATA"))
    parser.add_argument("--draws", type=int, default=40, help="draws of each setting")
    parser.add_argument("--first", type=int, default=0, help="seed of the first draw of responses")
    parser.add_argument("--loss", default="ipo", help="the loss")
    options = parser.parse_args()
    print(machine())
    warnings.simplefilter("ignore", TheoryWarning)
    with threadpool_limits(1):
        if options.folder:
            rows = choice_rows(Path(options.folder), options.loss, options.draws)
            print_table("Real choices, about 300 pairs", HEADER, rows)
            rows = bound_rows(Path(options.folder), options.draws)
            header = ("persons left out", "draws", "counted less true", "mean error")
            print_table("Best count of about 300 choices", header, rows)
        rows = item_rows(options.loss, options.draws, options.first)
        print_table("600 pairs of 40 responses", HEADER, rows)
        rows = person_rows(options.loss, options.draws)
        print_table("60 persons with 10 pairs each, persons left out", HEADER, rows)
        rows = noise_rows(options.loss, options.draws)
        print_table("Preferences of coins", (*HEADER, "p < .01"), rows)


if __name__ == "__main__":
    main()
