"""The classes of `moodbench.detectors` for type checkers, made by `make docs`; do not edit."""

from moodbench.detectors.estimator import ScoreDetector as ScoreDetector
from moodbench.detectors.made import class_of as of
from moodbench.detectors.sample import example as example

__all__ = ["ScoreDetector", "example", "of"]

class Entropy(ScoreDetector):
    def __init__(
        self,
        *,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class MSP(ScoreDetector):
    def __init__(
        self,
        *,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class DoctorAlpha(ScoreDetector):
    def __init__(
        self,
        *,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class ProbabilityMargin(ScoreDetector):
    def __init__(
        self,
        *,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class KLMatching(ScoreDetector):
    def __init__(
        self,
        *,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class GEN(ScoreDetector):
    def __init__(
        self,
        *,
        gamma: float = ...,
        top: int = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class OpenMax(ScoreDetector):
    def __init__(
        self,
        *,
        tail: int = ...,
        alpha: int = ...,
        distance: str = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class TemperatureScaling(ScoreDetector):
    def __init__(
        self,
        *,
        temperature: float = ...,
        rows: int = ...,
        seed: int = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class ODIN0(ScoreDetector):
    def __init__(
        self,
        *,
        temperature: float = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class KLToUniform(ScoreDetector):
    def __init__(
        self,
        *,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class Energy(ScoreDetector):
    def __init__(
        self,
        *,
        temperature: float = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class StandardizedMaxLogit(ScoreDetector):
    def __init__(
        self,
        *,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class IgeoodLogit(ScoreDetector):
    def __init__(
        self,
        *,
        temperature: float = ...,
        reduce: str = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class MaxLogit(ScoreDetector):
    def __init__(
        self,
        *,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class Margin(ScoreDetector):
    def __init__(
        self,
        *,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class ExCeL(ScoreDetector):
    def __init__(
        self,
        *,
        alpha: float = ...,
        upper: float = ...,
        reward: float = ...,
        ranks: int = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class LogitGap(ScoreDetector):
    def __init__(
        self,
        *,
        top: int = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class LocalOutlierFactor(ScoreDetector):
    def __init__(
        self,
        *,
        k: int = ...,
        rows: int = ...,
        seed: int = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class OneClassSVM(ScoreDetector):
    def __init__(
        self,
        *,
        nu: float = ...,
        rows: int = ...,
        seed: int = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class Constant(ScoreDetector):
    def __init__(
        self,
        *,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class Random(ScoreDetector):
    def __init__(
        self,
        *,
        seed: int = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class IsolationForest(ScoreDetector):
    def __init__(
        self,
        *,
        trees: int = ...,
        rows: int = ...,
        seed: int = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class Mahalanobis(ScoreDetector):
    def __init__(
        self,
        *,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class NormL2(ScoreDetector):
    def __init__(
        self,
        *,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class RelativeMahalanobis(ScoreDetector):
    def __init__(
        self,
        *,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class RandomProjectionDepth(ScoreDetector):
    def __init__(
        self,
        *,
        directions: int = ...,
        seed: int = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class SSD(ScoreDetector):
    def __init__(
        self,
        *,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class KNN(ScoreDetector):
    def __init__(
        self,
        *,
        k: int = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class KNNCoreset(ScoreDetector):
    def __init__(
        self,
        *,
        coreset: float = ...,
        k: int = ...,
        rows: int = ...,
        seed: int = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class Residual(ScoreDetector):
    def __init__(
        self,
        *,
        dim: int = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class CosMax(ScoreDetector):
    def __init__(
        self,
        *,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class CosineClass(ScoreDetector):
    def __init__(
        self,
        *,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class Euclid(ScoreDetector):
    def __init__(
        self,
        *,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class GaussLedoitWolf(ScoreDetector):
    def __init__(
        self,
        *,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class TiedMixture(ScoreDetector):
    def __init__(
        self,
        *,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class HEAT(ScoreDetector):
    def __init__(
        self,
        *,
        temperature: float = ...,
        hidden: int = ...,
        layers: int = ...,
        steps: int = ...,
        epochs: int = ...,
        batch: int = ...,
        rate: float = ...,
        rows: int = ...,
        seed: int = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class KMeansDistance(ScoreDetector):
    def __init__(
        self,
        *,
        clusters: int = ...,
        rows: int = ...,
        seed: int = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class Linf(ScoreDetector):
    def __init__(
        self,
        *,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class MeanL1(ScoreDetector):
    def __init__(
        self,
        *,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class MeanShifted(ScoreDetector):
    def __init__(
        self,
        *,
        k: int = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class NegativeAwareNorm(ScoreDetector):
    def __init__(
        self,
        *,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class NormL1(ScoreDetector):
    def __init__(
        self,
        *,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class Projection(ScoreDetector):
    def __init__(
        self,
        *,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class ClassGaussianDensity(ScoreDetector):
    def __init__(
        self,
        *,
        shrinkage: float = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class RelativeCosine(ScoreDetector):
    def __init__(
        self,
        *,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class WDiscOOD(ScoreDetector):
    def __init__(
        self,
        *,
        dim: int = ...,
        weight: float = ...,
        unit: bool = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class COMBOOD(ScoreDetector):
    def __init__(
        self,
        *,
        k: int = ...,
        rows: int = ...,
        seed: int = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class Conformance(ScoreDetector):
    def __init__(
        self,
        *,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class ConjNorm(ScoreDetector):
    def __init__(
        self,
        *,
        p: float = ...,
        temperature: float = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class CoP(ScoreDetector):
    def __init__(
        self,
        *,
        explained: float = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class CoRP(ScoreDetector):
    def __init__(
        self,
        *,
        explained: float = ...,
        gamma: float = ...,
        dimensions: int = ...,
        seed: int = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class PCARecon(ScoreDetector):
    def __init__(
        self,
        *,
        explained: float = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class VarianceNorm(ScoreDetector):
    def __init__(
        self,
        *,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class CFOOD(ScoreDetector):
    def __init__(
        self,
        *,
        k: float = ...,
        rows: int = ...,
        seed: int = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class GradPCA(ScoreDetector):
    def __init__(
        self,
        *,
        explained: float = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class MahalanobisPlusPlus(ScoreDetector):
    def __init__(
        self,
        *,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class RelativeMahalanobisPlusPlus(ScoreDetector):
    def __init__(
        self,
        *,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class CosineHead(ScoreDetector):
    def __init__(
        self,
        *,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class EnergyReAct(ScoreDetector):
    def __init__(
        self,
        *,
        quantile: float = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class GradNorm(ScoreDetector):
    def __init__(
        self,
        *,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class PNML(ScoreDetector):
    def __init__(
        self,
        *,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class BATS(ScoreDetector):
    def __init__(
        self,
        *,
        lam: float = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class DICE(ScoreDetector):
    def __init__(
        self,
        *,
        percentile: float = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class DICEReAct(ScoreDetector):
    def __init__(
        self,
        *,
        percentile: float = ...,
        quantile: float = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class MCM(ScoreDetector):
    def __init__(
        self,
        *,
        temperature: float = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class SIRC(ScoreDetector):
    def __init__(
        self,
        *,
        first: str = ...,
        second: str = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class ViM(ScoreDetector):
    def __init__(
        self,
        *,
        dim: int = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class ASHB(ScoreDetector):
    def __init__(
        self,
        *,
        percentile: float = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class ASHP(ScoreDetector):
    def __init__(
        self,
        *,
        percentile: float = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class ASHS(ScoreDetector):
    def __init__(
        self,
        *,
        percentile: float = ...,
        relu: bool = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class HEATEnergy(ScoreDetector):
    def __init__(
        self,
        *,
        temperature: float = ...,
        hidden: int = ...,
        layers: int = ...,
        steps: int = ...,
        epochs: int = ...,
        batch: int = ...,
        rate: float = ...,
        rows: int = ...,
        seed: int = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class HE(ScoreDetector):
    def __init__(
        self,
        *,
        beta: float = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class NNGuide(ScoreDetector):
    def __init__(
        self,
        *,
        k: int = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class ProjectionClass(ScoreDetector):
    def __init__(
        self,
        *,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class Relation(ScoreDetector):
    def __init__(
        self,
        *,
        power: float = ...,
        threshold: float = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class SHE(ScoreDetector):
    def __init__(
        self,
        *,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class VRA(ScoreDetector):
    def __init__(
        self,
        *,
        low: float = ...,
        high: float = ...,
        absolute: bool = ...,
        rows: int = ...,
        seed: int = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class BFAct(ScoreDetector):
    def __init__(
        self,
        *,
        quantile: float = ...,
        order: int = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class CEA(ScoreDetector):
    def __init__(
        self,
        *,
        quantile: float = ...,
        gamma: float = ...,
        caution: float = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class CoPFused(ScoreDetector):
    def __init__(
        self,
        *,
        explained: float = ...,
        confidence: str = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class FDBD(ScoreDetector):
    def __init__(
        self,
        *,
        centred: bool = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class LTS(ScoreDetector):
    def __init__(
        self,
        *,
        percentile: float = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class NACLast(ScoreDetector):
    def __init__(
        self,
        *,
        steepness: float = ...,
        points: int = ...,
        share: float = ...,
        rows: int = ...,
        seed: int = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class NECO(ScoreDetector):
    def __init__(
        self,
        *,
        dim: int = ...,
        explained: float = ...,
        logit: bool = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class OptFS(ScoreDetector):
    def __init__(
        self,
        *,
        bins: int = ...,
        tail: float = ...,
        energy: bool = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class SCALE(ScoreDetector):
    def __init__(
        self,
        *,
        percentile: float = ...,
        relu: bool = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class WeiPer(ScoreDetector):
    def __init__(
        self,
        *,
        repeats: int = ...,
        distance: float = ...,
        seed: int = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class WeiPerKLD(ScoreDetector):
    def __init__(
        self,
        *,
        repeats: int = ...,
        distance: float = ...,
        bins: int = ...,
        smoothing: int = ...,
        smoothing_perturbed: int = ...,
        lambda_1: float = ...,
        lambda_2: float = ...,
        rows: int = ...,
        seed: int = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class ActSub(ScoreDetector):
    def __init__(
        self,
        *,
        percentile: float = ...,
        lam: float = ...,
        k: int = ...,
        decisive: int = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class CADRef(ScoreDetector):
    def __init__(
        self,
        *,
        confidence: str = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class CARef(ScoreDetector):
    def __init__(
        self,
        *,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class GROOD(ScoreDetector):
    def __init__(
        self,
        *,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class NCI(ScoreDetector):
    def __init__(
        self,
        *,
        alpha: float = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class ORA(ScoreDetector):
    def __init__(
        self,
        *,
        aggregation: str = ...,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...

class RAS(ScoreDetector):
    def __init__(
        self,
        *,
        device: str = ...,
        threads: int | None = ...,
    ) -> None: ...
