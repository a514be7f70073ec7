"""Which kind of defect lies at which pixels, learned from masks: beside tokens, for thin lines: README.md."""
# ruff: noqa: F401

from .network import PixelNet, beside, keep, load, read
from .training import NONE, crops, label_map, loss, teach, train
