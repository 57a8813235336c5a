"""All rules about images, labels, splits and their loaders."""

from tenfold.checks.script.augmentation import AUGMENTATION
from tenfold.checks.script.labels import CLASSES, LABELS
from tenfold.checks.script.normalisation import SCALE
from tenfold.checks.script.splits import ORDER, OVERLAP

RULES = (*SCALE, *LABELS, *OVERLAP, *AUGMENTATION, *CLASSES, *ORDER)
