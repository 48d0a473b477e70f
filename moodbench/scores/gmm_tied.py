"""The density of ID train as a mixture of one Gaussian a class, all with the same covariance."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block, log_sum_exp
from moodbench.scores.machinery.gaussian import ClassGaussians, fit_class_gaussians, squared_distance
from moodbench.scores.machinery.vectorised import row_argmax


@SCORES.register("gmm_tied")
@dataclass
class TiedMixture(Score):
    """``log sum_k pi_k exp(-1/2 (x - mu_k)^T Sigma^+ (x - mu_k))``: the log density, but for a constant.

    pi_k = n_k / N and mu_k are share and mean of the ID train rows with true label k, Sigma the pooled covariance about
    the class means (divided by N). Classes without rows are left out.

    Attributes
    ----------
    classes_ : ClassGaussians
        The K classes that have rows.
    log_shares_ : (K,) float32 or float64
        log pi_k.

    References
    ----------
    Lee et al., A Simple Unified Framework for Detecting Out-of-Distribution Samples and Adversarial Attacks,
    NeurIPS 2018, arXiv 1807.03888: the generative classifier of section 2.1, scored by its density as in Lafon et al.,
    ICML 2023, arXiv 2305.16966. Difference: OpenOOD's gmm fits a mixture without labels to reduced features.
    """

    title = "Tied Gaussian mixture"
    family = "feature"
    needs = frozenset({"labels"})
    paper = "Lafon et al., ICML 2023, arXiv 2305.16966"
    year = 2023

    def fit(self, train: Train) -> Fit:
        moment, self.classes_ = yield from fit_class_gaussians(train)
        self.log_shares_ = (self.classes_.counts / moment.count).log().to(self.classes_.means.dtype)
        self.note_ = self.classes_.note

    def score(self, block: Block) -> Tensor:
        return log_density(self.classes_, self.log_shares_, block)


def log_density(classes: ClassGaussians, log_shares: Tensor, block: Block) -> Tensor:
    """Return the log density of a mixture of classes with these shares (K,), but for a constant, (B,) float64."""
    terms = classes.halves(block) + log_shares
    # the largest term directly, because the expanded square cancels in float32; the others relative to it
    nearest = row_argmax(terms)
    terms.sub_(terms.gather(1, nearest[:, None]))
    distance = squared_distance(classes.whitener.rows(block), classes.means, nearest)
    return log_shares[nearest] - distance / 2 + log_sum_exp(terms)
