"""Where the observer is hung in; each wrapper is in the file of what it wraps."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from tempfile import TemporaryDirectory

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ChainedScheduler, LRScheduler, ReduceLROnPlateau, SequentialLR
from torch.utils.data import DataLoader

from tenfold.checks.script.functions import note
from tenfold.checks.script.journal import listening, noted
from tenfold.checks.script.loaders import iterated, loader_made, removed
from tenfold.checks.script.nets import born, called, mode_set, module_back, module_moved
from tenfold.checks.script.observe import Observer
from tenfold.checks.script.steps import (
    backward,
    cleared,
    clipped,
    loaded,
    optimizer_made,
    scheduler_made,
    unwrapped,
)


@contextmanager
def watching(observer: Observer) -> Iterator[None]:
    """Inside this block the observer sees everything."""
    with ExitStack() as stack:
        for owner, name, wrap in (
            (nn.Module, "__init__", born),
            (nn.Module, "__call__", called),
            (nn.Module, "train", mode_set),
            (nn.Module, "to", module_moved),
            (nn.Module, "cuda", module_moved),
            (nn.Module, "cpu", module_back),
            (nn.Module, "zero_grad", cleared),
            (nn.utils, "clip_grad_norm_", clipped),
            (nn.utils, "clip_grad_value_", clipped),
            (nn.Module, "load_state_dict", loaded),
            (torch.autograd, "backward", backward),
            (Optimizer, "__init__", optimizer_made),
            (Optimizer, "zero_grad", cleared),
            (Optimizer, "load_state_dict", loaded),
            (LRScheduler, "__init__", scheduler_made),
            (ReduceLROnPlateau, "__init__", scheduler_made),  # these do not call their parent's
            (SequentialLR, "__init__", scheduler_made),
            (ChainedScheduler, "__init__", scheduler_made),
            (DataLoader, "__init__", loader_made),
            (DataLoader, "__iter__", iterated),
            (TemporaryDirectory, "cleanup", removed),
        ):
            original = getattr(owner, name)
            setattr(owner, name, wrap(observer, original))
            stack.callback(setattr, owner, name, original)
        stack.callback(unwrapped, observer)
        stack.enter_context(listening(observer))
        observer.told, observer.told_of_data = note, noted
        stack.enter_context(observer)
        yield
