"""All rules about images, labels, splits and their loaders, and what is chosen on them."""

from tenfold.checks.script.augmentation import AUGMENTATION
from tenfold.checks.script.beside import BESIDE
from tenfold.checks.script.blurred import BLURRED
from tenfold.checks.script.collecting import COLLECTING
from tenfold.checks.script.copies import OVERLAP
from tenfold.checks.script.graded import GRADED
from tenfold.checks.script.kin import KIN
from tenfold.checks.script.labels import CLASSES, LABELS
from tenfold.checks.script.layout import LAYOUT
from tenfold.checks.script.mixup import MIXED
from tenfold.checks.script.normalisation import SCALE
from tenfold.checks.script.orders import ORDERS
from tenfold.checks.script.parts import PARTS
from tenfold.checks.script.repeating import REPEATING
from tenfold.checks.script.selection import SELECTION
from tenfold.checks.script.splits import ORDER
from tenfold.checks.script.stopping import STOPPING
from tenfold.checks.script.storing import STORING
from tenfold.checks.script.told import TOLD
from tenfold.checks.script.views import VIEWS

RULES = (
    *LAYOUT,
    *SCALE,
    *LABELS,
    *MIXED,
    *VIEWS,
    *OVERLAP,
    *KIN,
    *BESIDE,
    *STORING,
    *AUGMENTATION,
    *REPEATING,
    *CLASSES,
    *TOLD,
    *GRADED,
    *BLURRED,
    *COLLECTING,
    *ORDERS,
    *ORDER,
    *SELECTION,
    *STOPPING,
    *PARTS,
)
