"""Ideas for a better AA-CLIP, each a plug-in: tried in chapter 13, kept out of the method.

Special: one file for each of S1's ten areas; importing them registers their ideas in IDEAS.
"""

# isort: off (the ideas register in the order of the areas)
from . import fusion as fusion
from . import multiscale as multiscale
from . import placement as placement
from . import pooling as pooling
from . import precision as precision
from . import prompts as prompts
from . import scaling as scaling
from . import schedules as schedules
from . import shapes as shapes
from .plug import IDEAS as IDEAS
from .plug import Idea as Idea
from .plug import Plugged as Plugged
from .plug import idea as idea
from .plug import two_stages as two_stages
from .separation import contrastive as contrastive
from .separation import info_nce as info_nce
from .separation import map_top as map_top
from .separation import triplet as triplet
