"""What the networks compute on data, kept as moments."""

from lmc.recording.batchnorm import reestimate
from lmc.recording.evaluation import evaluate
from lmc.recording.moments import Moments, MomentStream, features, patches, record, sample

__all__ = ["MomentStream", "Moments", "evaluate", "features", "patches", "record", "reestimate", "sample"]
