"""The order of the gallery: that of the questions on the landing page."""

from pathlib import Path

ORDER = (
    "plot_generalization_report",
    "plot_noisy_labels_digits",
    "plot_noisy_labels_theory",
    "plot_synthetic_mix_digits",
    "plot_model_collapse",
    "plot_tensor_deflation",
    "plot_nested_clustering",
    "plot_encoder_matching",
    "plot_matching_text",
    "plot_preference",
    "plot_staged_sgd",
)


class QuestionOrder:
    """Sort key of sphinx-gallery; pages without a place come last, by name."""

    def __init__(self, src_dir):
        self.src_dir = src_dir

    def __call__(self, filename):
        name = Path(filename).stem
        place = ORDER.index(name) if name in ORDER else len(ORDER)
        return f"{place:02d} {name}"
