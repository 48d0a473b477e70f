"""The catalogue: datasets, benchmarks and models as data, read from YAML and checked key by key."""

from moodbench.catalog.benchmark import BenchmarkSpec
from moodbench.catalog.dataset import LABEL_RULES, ArchiveSpec, DatasetSpec, ListSpec
from moodbench.catalog.load import Catalog, load_catalog
from moodbench.catalog.model import PRETEXT_TASKS, HeadSpec, ModelSpec

__all__ = [
    "LABEL_RULES",
    "PRETEXT_TASKS",
    "ArchiveSpec",
    "BenchmarkSpec",
    "Catalog",
    "DatasetSpec",
    "HeadSpec",
    "ListSpec",
    "ModelSpec",
    "load_catalog",
]
