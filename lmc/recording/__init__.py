"""What the networks compute on data, kept as moments."""

from lmc.recording.batchnorm import reestimate
from lmc.recording.evaluation import evaluate
from lmc.recording.maps import LinearMap, Maps, linear_maps
from lmc.recording.moments import Moments, MomentStream, features, patches, record, sample

__all__ = [
    "LinearMap",
    "Maps",
    "MomentStream",
    "Moments",
    "evaluate",
    "features",
    "linear_maps",
    "patches",
    "record",
    "reestimate",
    "sample",
]
