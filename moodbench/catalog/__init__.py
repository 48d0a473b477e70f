"""The catalogue: datasets, benchmarks and models as data, read from YAML and checked key by key."""

from moodbench.catalog.benchmark import BenchmarkSpec
from moodbench.catalog.dataset import FEATURES_ONLY, LABEL_RULES, ArchiveSpec, DatasetSpec, ListSpec, label_rule
from moodbench.catalog.image import IMAGE_KEYS, check_image
from moodbench.catalog.load import Catalog, load_catalog
from moodbench.catalog.model import PRETEXT_TASKS, TUNINGS, HeadSpec, ModelSpec
from moodbench.catalog.seen import Exposure, pixels_of, seen_by

__all__ = [
    "FEATURES_ONLY",
    "IMAGE_KEYS",
    "LABEL_RULES",
    "PRETEXT_TASKS",
    "TUNINGS",
    "ArchiveSpec",
    "BenchmarkSpec",
    "Catalog",
    "DatasetSpec",
    "Exposure",
    "HeadSpec",
    "ListSpec",
    "ModelSpec",
    "check_image",
    "label_rule",
    "load_catalog",
    "pixels_of",
    "seen_by",
]
