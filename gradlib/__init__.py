"""gradlib: measure, predict and show how gradients vanish, explode, and are kept alive."""

from gradlib import jacobian, paths, theory, through_time, training
from gradlib.explore import explore
from gradlib.flow import Flow, dead_units, gradient_flow
from gradlib.initialize import initialize
from gradlib.nets import MLP
from gradlib.plot import assert_agrees
from gradlib.prose import number, say, table
from gradlib.setup import setup

__version__ = "0.1.0"
