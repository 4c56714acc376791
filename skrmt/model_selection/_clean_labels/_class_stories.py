"""Stories of K classes and their labels: clean accuracy, averaged over what explains the labels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, softmax

from ...utils._intervals import SHARED_FITS, Z95
from ._label_evidence import class_posterior, estimate_prior, label_likelihood
from ._left_out import gone_with
from ._noisy_labels import NoisyLabels
from ._record import Stories, both_ends
from ._unmixing import unmixed_accuracy

_SHRUNK = 2.0
"""Slope of labels on scores from which scores are stretched: links are tried around slope 1."""

_TINY = 1e-12
"""Smallest probability of which a logarithm is taken."""

_RATES = (0.03, 0.06, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45)
"""Rates of wrong labels of the noisy stories: a few hundred rows cannot tell neighbours apart."""

_MASSES = {"clean": 0.5, "uniform": 0.3, "pairs": 0.15, "both": 0.05}
"""Prior of each kind of story: right labels first, then the noise of fewest parameters."""

_DECAY = 0.3
"""Rate of wrong labels by which the prior of a noisy story falls by e: most labels are right."""

_TEMPER = 0.5
"""Share of the evidence that is believed: posteriors are only nearly logistic in the scores."""

_CANONICAL_SHRINKAGE = 0.8
"""Part of the squared canonical correlations that counts: at most five times the ridge's slope."""

_LARGEST_CANONICAL = 0.95
"""Largest squared canonical correlation: unmixing more noise than there is finds more than 1."""

_LEAST_CONTRAST = 0.05
"""Contrast of label and class below which unmixing fades: it would multiply errors by 20."""

_SLOPE_SPREAD = 0.5
"""Prior s.d. of the log-slope of the link, which is 0 for Gaussian classes."""

_OFFSET_SPREAD = 0.5
"""Prior s.d. of the log-odds that the link adds to a class, which are 0 for Gaussian classes."""

_LONGEST_STEP = 2.0
"""Most that leaving a row out moves a parameter: the first-order step holds for small ones."""

_LEAST_LIKELIHOOD = 1e-6
"""Smallest likelihood of a label: one impossible row does not decide between stories."""

_CONFIDENCE = 4
"""Power of the posterior by which rows count for a class: sure rows show its wrong labels."""

_HOPELESS = 10.0
"""Loss of log-posterior after which higher rates are not tried: exp(-10) of the mass."""

_NEGLIGIBLE = 1e-3
"""Posterior below which a story is left out of the averages."""

_MODEL_ERROR = 0.25
"""Standard error of the accuracy per rate of wrong labels: real noise has no story's shape."""


class _Rows(NamedTuple):
    """Held-out scores, labels as codes and one-hot, weights of sum `size`, parts left out.

    Scores lie in memory class by class, and so does what is computed of them: sums over few
    classes then run over many rows.
    """

    scores: np.ndarray
    observed: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    part: np.ndarray
    folds: np.ndarray | None

    @property
    def shares(self):
        """Share of each row in the weight, (n,)."""
        return self.weights / self.weights.sum()


class _Story(NamedTuple):
    """One noise of the labels, with the link that was fitted to it.

    `likelihood` is given where rows have their own; `shared` (n, K) says where the wrong label of
    a class is shown by other rows than the one judged.
    """

    noise: np.ndarray
    prior: np.ndarray
    log_mass: float
    rate: float
    likelihood: np.ndarray | None = None
    shared: np.ndarray | None = None
    parameters: np.ndarray | None = None
    evidence: float = 0.0


class _Link(NamedTuple):
    """Linear log-posterior of the classes, and that of each row from a link that left it out."""

    directions: np.ndarray
    offsets: np.ndarray
    logits: np.ndarray


def class_stories(scores, labels: NoisyLabels, *, evidence=None, fixed=False, group=None):
    """Average the decision, and its accuracy on right labels, over stories of the labels.

    Ridge scores S of one-hot labels hold the discriminants of Gaussian classes. For noise T,
    ``S - pi T = T' (R - pi)`` with R the scores of right labels, and
    ``C = cov(label, S) = T' cov(class, R) T``. The discriminants are ``(Pi - C_R)^-1 (R - pi)`` by
    Woodbury's identity. A softmax with one slope and K offsets links them to the classes. Each row
    is judged by ``theta - H^-1 g``, the link with the row's gradient g left out.
    """
    shares = labels.shares_of_rows
    one_hot = np.eye(labels.n_classes)[labels.observed]
    if labels.known_by_row:
        # What was regressed is then the posterior of the class given the label.
        one_hot = class_posterior(labels.likelihood, labels.implied_prior())
    scores, one_hot = np.asfortranarray(scores), np.asfortranarray(one_hot)
    rows = _Rows(scores, labels.observed, one_hot, labels.size * shares, labels.part, group)
    known = evidence is None or evidence is scores
    if known:
        evidence = None
    else:
        evidence = _stretched(rows._replace(scores=np.asfortranarray(evidence)))[0]
    rows, stretch = _stretched(rows)
    best = rows if evidence is None else evidence
    if labels.likelihood is None:
        stories = _possible_stories(best, labels.prior)
    else:
        likelihood = labels.likelihood if labels.known_by_row else None
        stories = [_known_story(best, labels.noise_matrix, likelihood, labels.prior)]
    posterior = softmax([story.log_mass + _TEMPER * story.evidence for story in stories])
    kept = [k for k, mass in enumerate(posterior) if mass > _NEGLIGIBLE or k == 0]
    stories, posterior = [stories[k] for k in kept], posterior[kept] / posterior[kept].sum()
    found = _averaged(rows, best, stories, posterior, labels, fixed)
    return found._replace(directions=stretch * found.directions)


def _stretched(rows):
    """Return rows whose scores a large penalty has not shrunk to nothing, and the factor."""
    if not np.ptp(rows.scores, axis=0).any():
        return rows, 1.0
    centred = rows.scores - rows.shares @ rows.scores
    power = rows.shares @ (centred**2).sum(1)
    slope = rows.shares @ (centred * rows.labels).sum(1) / max(power, 1e-300)
    factor = max(float(slope) / _SHRUNK, 1.0)
    return rows._replace(scores=factor * rows.scores), factor


def _averaged(rows, best, stories, posterior, labels, fixed):
    """Return the averages of decision, noise, labels and accuracy over stories."""
    links = [_fit(rows, story)[1] for story in stories]
    directions, offsets, logits = _decision(rows, links, posterior, fixed)
    predicted = logits.argmax(1)
    label_posterior, claims = np.zeros_like(rows.labels), []
    for story, link, mass in zip(stories, links, posterior, strict=True):
        held_out = link if best.scores is rows.scores else _fit(best, story)[1]
        right, accuracy = _judgement(best, story, held_out, predicted)
        label_posterior += mass * right
        claims.append(accuracy)
    accuracies = np.array(claims)
    noise = np.tensordot(posterior, [story.noise for story in stories], axes=1)
    if labels.known_by_row:
        noise = labels.average_noise(label_posterior)
    rates = np.array([story.rate for story in stories])
    interval = _interval(accuracies, _errors(accuracies, rates, labels.size), posterior)
    known = labels.likelihood is not None
    std = np.zeros(labels.n_classes)
    if known:
        noisy = float(not labels.is_clean)
        ends = [np.nan, accuracies[0]] if noisy else [accuracies[0], np.nan]
    else:
        noisy = float(posterior[1:].sum())
        if_noisy = posterior[1:] @ accuracies[1:] / noisy if noisy > 0 else np.nan
        right = np.array([np.diag(story.noise) for story in stories])
        std = np.sqrt(posterior @ (right - np.diag(noise)) ** 2)
        ends = [accuracies[0], if_noisy]
    prior = np.array([story.prior for story in stories]).T @ posterior
    return Stories(
        directions=directions,
        offsets=offsets,
        noise_matrix=noise,
        noise_rates_std=std,
        noise_probability=noisy,
        prior=prior if labels.prior is None else labels.prior,
        label_posterior=label_posterior,
        accuracy=float(posterior @ accuracies),
        interval=interval if known else both_ends(interval, ends, noisy),
        accuracy_if_clean=float(ends[0]),
        accuracy_if_noisy=float(ends[1]),
        predicted=predicted,
    )


def _decision(rows, links, posterior, fixed):
    """Return the mean link: its linear part, its constants, and the log-posteriors of the rows."""
    directions, offsets, logits = (
        sum(mass * value for mass, value in zip(posterior, values, strict=True))
        for values in zip(*links, strict=True)
    )
    if not np.ptp(rows.scores, axis=0).any():
        # One decision for all rows: what a row adds to it would only show which label it has.
        logits = rows.scores @ directions.T + offsets
    if not fixed:
        return directions, offsets, logits
    # The scores decide; the mean slope makes them log-posteriors.
    slope = max(np.trace(directions) / (len(directions) - 1), _TINY)
    return slope * np.eye(len(directions)), 0.0 * offsets, rows.scores


def _judgement(rows, story, link, predicted):
    """Return what a story says of the rows: their classes (n, K), and the accuracy.

    The accuracy is the mean of that under the link and of the unmixed count.
    """
    clean, likelihood = _shares(link.logits), _likelihood(rows, story)
    linked = float(rows.shares @ clean[np.arange(len(clean)), predicted])
    by_label = class_posterior(likelihood, story.prior)
    counted = unmixed_accuracy(predicted, by_label, story.prior, rows.weights, rows.part).accuracy
    accuracy = 0.5 * (linked + counted) if np.isfinite(counted) else linked
    return class_posterior(clean * likelihood, np.ones_like(story.prior)), accuracy


def _errors(accuracies, rates, size):
    """Return the standard errors of accuracies: of rows with right labels, and of the stories."""
    spread = np.maximum(accuracies * (1.0 - accuracies), 1.0 / size)
    spread = spread / (size * np.maximum(1.0 - rates, 0.1))
    return np.sqrt(SHARED_FITS**2 * spread + (_MODEL_ERROR * rates) ** 2)


def _interval(centres, errors, masses):
    """Return the 2.5 % and 97.5 % quantiles of a mixture of normal laws, within [0, 1]."""
    reach = 2 * Z95 * errors.max()
    points = np.linspace(centres.min() - reach, centres.max() + reach, 2001)
    below = ndtr((points[:, None] - centres) / errors) @ masses
    return np.clip(np.interp([0.025, 0.975], below, points), 0.0, 1.0)


def _known_story(rows, noise, likelihood, prior):
    """Return the story of labels whose noise is known, as a matrix or per row."""
    seen = label_likelihood(rows.observed, noise) if likelihood is None else likelihood
    prior = _smoothed(estimate_prior(seen, rows.weights) if prior is None else prior, rows)
    if noise is None:
        joint = class_posterior(seen, prior).T @ (rows.shares[:, None] * rows.labels) + _TINY
        noise = joint / joint.sum(1, keepdims=True)
    noise = np.asarray(noise, dtype=float)
    return _Story(noise, prior, 0.0, 1.0 - float(prior @ np.diag(noise)), likelihood)


def _smoothed(prior, rows):
    """Return frequencies with half a row added to each class."""
    prior = prior + 0.5 / rows.weights.sum()
    return prior / prior.sum()


def _possible_stories(rows, prior):
    """Return clean labels, and noise of each kind and rate, with the evidence of each."""
    one_hot = np.eye(rows.scores.shape[1])
    clean = _story(rows, prior, "clean", 0.0, one_hot)
    clean, link = _fit(rows, clean)
    uniform = (1.0 - one_hot) / (len(one_hot) - 1)
    kinds = {"uniform": (uniform, None)}
    if len(one_hot) > 2:
        partner, shared = _partners(rows, _shares(link.logits))
        kinds["pairs"] = one_hot[partner], shared
        kinds["both"] = 0.5 * (one_hot[partner] + uniform), shared
    stories = [clean]
    for kind, (wrong, shared) in kinds.items():
        parameters, top = clean.parameters, clean.evidence - _HOPELESS / _TEMPER
        for rate in _RATES:
            story = _story(rows, prior, kind, rate, wrong, shared)
            story = _fit(rows, story._replace(parameters=parameters))[0]
            stories.append(story)
            parameters, top = story.parameters, max(top, story.evidence)
            if _TEMPER * (top - story.evidence) > _HOPELESS:
                break
    return stories


def _story(rows, prior, kind, rate, wrong, shared=None):
    """Return the story of labels that are wrong at a rate, with wrong labels drawn from `wrong`."""
    noise = (1.0 - rate) * np.eye(len(wrong)) + rate * wrong
    masses = np.exp(-np.array(_RATES) / _DECAY)
    mass = _MASSES[kind] * (np.exp(-rate / _DECAY) / masses.sum() if rate > 0 else 1.0)
    prior = estimate_prior(noise.T, rows.shares @ rows.labels) if prior is None else prior
    return _Story(noise, _smoothed(prior, rows), float(np.log(mass)), rate, shared=shared)


def _partners(rows, clean):
    """Return the class that each is most taken for, and where (n, K) other rows alone show it."""
    votes = rows.weights[:, None] * clean**_CONFIDENCE
    counts = votes.T @ rows.labels
    np.fill_diagonal(counts, -1.0)
    partner = counts.argmax(1)
    lead = np.diff(np.partition(counts, -2, axis=1)[:, -2:], axis=1)[:, 0]
    own = rows.part[:, None] * votes * (rows.observed[:, None] == partner)
    return partner, own < lead


def _likelihood(rows, story):
    """Return the likelihood of each label under each true class."""
    if story.likelihood is not None:
        return story.likelihood
    return np.take(story.noise, rows.observed, axis=1).T


def _judged(rows, story, likelihood):
    """Return the likelihood of each label under noise that other rows alone show."""
    if story.shared is not None:
        elsewhere = np.where(np.eye(len(story.noise)) > 0, np.inf, story.noise).min(1)
        likelihood = np.where(story.shared, likelihood, elsewhere)
    return np.maximum(likelihood, _LEAST_LIKELIHOOD)


def _discriminants(rows, story):
    """Return the discriminants of Gaussian classes, linear and constant, without the prior."""
    contrast = story.noise.T @ story.noise + _LEAST_CONTRAST**2 * np.eye(len(story.prior))
    unmix = np.linalg.solve(contrast, story.noise.T)
    centre = rows.shares @ rows.scores
    moment = (rows.shares[:, None] * (rows.labels - rows.shares @ rows.labels)).T
    moment = unmix.T @ (moment @ (rows.scores - centre)) @ unmix
    root = 1.0 / np.sqrt(story.prior)
    squares, vectors = np.linalg.eigh(0.5 * root[:, None] * (moment + moment.T) * root)
    squares = _CANONICAL_SHRINKAGE * np.clip(squares, 0.0, _LARGEST_CANONICAL)
    directions = (root[:, None] * ((vectors / (1.0 - squares)) @ vectors.T) * root) @ unmix.T
    energy = root**2 * (vectors**2 @ (squares / (1.0 - squares)))
    return directions, -0.5 * energy - directions @ centre


def _fit(rows, story):
    """Fit the link of a story; return the story with its evidence, and the link."""
    directions, offsets = _discriminants(rows, story)
    directions, offsets = directions - directions.mean(0), offsets - offsets.mean()
    values = (directions @ rows.scores.T + offsets[:, None]).T
    likelihood = _likelihood(rows, story)
    base = np.log(story.prior)
    x, gradients, information = _maximise(rows, story, values, base, likelihood)
    # Stories are judged by rows left out plainly: kept frequencies would spare the richer ones.
    plain = _together(rows.part[:, None] * gradients, rows.folds)
    judged = np.log(_judged(rows, story, likelihood))
    logits = _moved(x, information, plain, base, values)
    seen = _log_sums(logits + judged) - _log_sums(logits)
    gone = gone_with(gradients, rows.observed, rows.weights, rows.part, rows.folds)
    logits = _moved(x, information, gone, base, values)
    slope = np.exp(x[0])
    link = _Link(slope * directions, slope * offsets + base + x[1:], logits)
    return story._replace(parameters=x, evidence=float(rows.weights @ seen)), link


def _moved(x, information, gone, base, values):
    """Return the log-posterior of each row by the link without what goes with it."""
    steps = -(np.linalg.inv(information) @ gone.T).T
    longest = np.maximum(steps.max(1), -steps.min(1))
    steps *= np.minimum(1.0, _LONGEST_STEP / np.maximum(longest, _TINY))[:, None]
    logits = np.exp(x[0] + steps[:, :1]) * values
    logits += steps[:, 1:]
    logits += base + x[1:]
    return logits


def _shares(logits):
    """Return the probabilities of the classes, in the order of memory of the logits."""
    shares = logits - logits.max(axis=1, keepdims=True)
    np.exp(shares, out=shares)
    shares /= shares.sum(axis=1, keepdims=True)
    return shares


def _log_sums(logits):
    """Return the logarithms of sums of exponentials over the classes."""
    top = logits.max(axis=1)
    return top + np.log(np.exp(logits - top[:, None]).sum(axis=1))


def _maximise(rows, story, values, base, likelihood, *, n_iter=20):
    """Return log-slope and offsets by Newton's method, gradients of the rows, information."""
    x = np.zeros(len(base) + 1) if story.parameters is None else story.parameters
    precision = np.full(len(x), _OFFSET_SPREAD**-2)
    precision[0] = _SLOPE_SPREAD**-2

    def state(x):
        logits = np.exp(x[0]) * values
        logits += base + x[1:]
        clean = _shares(logits)
        joint = np.multiply(clean, likelihood, out=logits)
        seen = np.maximum(joint.sum(1), _TINY)
        joint /= seen[:, None]
        return rows.weights @ np.log(seen) - 0.5 * precision @ x**2, clean, joint

    value, clean, labelled = state(x)
    for _ in range(n_iter):
        gradients = _gradients(rows, x, values, labelled - clean)
        information = _information(rows, x, values, clean, labelled, gradients, precision)
        step = np.linalg.solve(information, gradients.sum(0) - precision * x)
        step /= max(1.0, np.abs(step).max() / 2.0)
        for _ in range(5):
            updated = state(x + step)
            if updated[0] >= value:
                break
            step = step / 3.0
        else:
            break
        gain, x = updated[0] - value, x + step
        value, clean, labelled = updated
        # A hundredth of a unit of log-likelihood changes no story's weight.
        if gain < 0.01:
            break
    gradients = _gradients(rows, x, values, labelled - clean)
    return x, gradients, _information(rows, x, values, clean, labelled, gradients, precision)


def _gradients(rows, x, values, excess):
    """Return the gradient of each row's log-likelihood in log-slope and offsets."""
    gradients = np.empty((1 + values.shape[1], len(values))).T
    np.multiply(rows.weights[:, None], excess, out=gradients[:, 1:])
    gradients[:, 0] = np.exp(x[0]) * (gradients[:, 1:] * values).sum(1)
    return gradients


def _information(rows, x, values, clean, labelled, gradients, precision):
    """Return the information: of the classes, less what the labels do not show of them."""
    full = _class_information(rows, x, values, clean) + np.diag(precision)
    observed = full - _class_information(rows, x, values, labelled)
    # The slope is an exponential: its second derivative is that of the logits once more.
    observed[0, 0] -= gradients[:, 0].sum()
    try:
        np.linalg.cholesky(observed - 0.5 * precision.min() * np.eye(len(x)))
    except np.linalg.LinAlgError:
        # Where the log-likelihood is not concave, the information of the classes bounds it.
        return full
    return observed


def _class_information(rows, x, values, shares):
    """Return the information in log-slope and offsets of classes with the given shares."""
    slope, weights = np.exp(x[0]), rows.weights
    felt = shares * values
    mean = felt.sum(1)
    information = np.empty((len(x), len(x)))
    information[1:, 1:] = np.diag(weights @ shares) - shares.T @ (weights[:, None] * shares)
    crossed = weights @ felt - (weights * mean) @ shares
    information[0, 1:] = information[1:, 0] = slope * crossed
    felt *= values
    information[0, 0] = slope**2 * ((weights @ felt).sum() - weights @ mean**2)
    return information


def _together(gradients, folds):
    """Return for each row the gradient of all rows that go out with it."""
    if folds is None:
        return gradients
    sums = np.zeros((folds.max() + 1, gradients.shape[1]))
    np.add.at(sums, folds, gradients)
    return sums[folds]
