"""Who is compared in bench/ratios.py, and one training of one of them in a process of its own."""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from peers.install import installed, interpreter
from tenfold.errors import RunError

SCRIPTS = Path(__file__).parent / "peers"


@dataclass(frozen=True)
class Contender:
    """A script in bench/peers/, and what it runs in."""

    name: str
    script: str
    precisions: tuple[str, ...] = ("fp32", "bf16")
    variables: Mapping[str, str] = field(default_factory=dict)
    share: float = 1.0
    """Of the images that it trains on: less where an epoch would take minutes."""


TENFOLD = Contender("tenfold", "tenfold_itself.py", ("auto",))
PLAIN = Contender("plain", "plain_pytorch.py")
PEERS = (
    Contender("lightning", "lightning_batched.py"),
    Contender("skorch", "skorch_net.py"),
    Contender("keras-tensorflow", "keras_fit.py", variables={"KERAS_BACKEND": "tensorflow"}),
    Contender("keras-jax", "keras_fit.py", variables={"KERAS_BACKEND": "jax"}, share=0.25),
    Contender("flax", "flax_jitted.py", share=0.25),
)


def python_of(contender: Contender, envs: Path) -> str:
    """The Python that runs it: this one for tenfold, else that of its own environment."""
    return sys.executable if contender is TENFOLD else str(interpreter(envs, contender.name))


def check_installed(contenders: tuple[Contender, ...], envs: Path) -> None:
    """RunError where an environment is missing or of other requirements."""
    missing = [c.name for c in contenders if c is not TENFOLD and not installed(envs, c.name)]
    if missing:
        told = f"Not installed, or in other versions: {', '.join(missing)}."
        raise RunError(told, f"python bench/peers/install.py {' '.join(missing)}")


def train(contender: Contender, chosen: argparse.Namespace, **options: Any) -> dict[str, Any] | None:
    """One training in its own process: its line of figures; None if it failed, said on stderr.

    chosen: the common arguments data, envs, cache and limit. options: those of the script.
    """
    words = [f"--{name}={value}" for name, value in {"data": chosen.data, **options}.items()]
    command = [python_of(contender, chosen.envs), str(SCRIPTS / contender.script), *words]
    environment = os.environ | contender.variables | {"TENFOLD_CACHE": chosen.cache}
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=chosen.limit)
    except subprocess.TimeoutExpired:
        sys.stderr.write(f"{contender.name} took longer than {chosen.limit} s and was stopped\n")
        return None
    if done.returncode:
        sys.stderr.write(f"{contender.name} failed:\n{done.stderr[-2000:]}\n")
        return None
    return dict(json.loads(done.stdout.splitlines()[-1]))
