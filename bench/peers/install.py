"""Installs the peers, each into a virtual environment of its own, in the versions of requirements/NAME.txt.

    python bench/peers/install.py                 all of them, about 10 minutes and 7 GiB
    python bench/peers/install.py flax skorch     some of them
    python bench/peers/install.py --envs PATH     elsewhere than bench/peers/.envs (tell bench/ratios.py the same)

What is installed as its requirements say is left alone; a changed requirements file makes its environment anew.
Every file pins all packages, also the indirect ones. torch is installed first and alone, so that the CPU build on
offer is taken, and no other package can replace it: each file names its version.
"""

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ENVIRONMENTS = HERE / ".envs"
PEERS = tuple(sorted(file.stem for file in (HERE / "requirements").glob("*.txt")))


def requirements(peer: str) -> Path:
    """The file that pins a peer's packages."""
    return HERE / "requirements" / f"{peer}.txt"


def interpreter(envs: Path, peer: str) -> Path:
    """The Python of a peer's environment."""
    return envs / peer / "bin" / "python"


def stamp(envs: Path, peer: str) -> Path:
    """A copy of the requirements that the environment was made from; written last."""
    return envs / peer / ".installed"


def installed(envs: Path, peer: str) -> bool:
    """Whether the environment is finished and of these requirements."""
    kept = stamp(envs, peer)
    return kept.is_file() and kept.read_text() == requirements(peer).read_text()


def install(envs: Path, peer: str) -> None:
    """Make the environment of one peer."""
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(envs / peer)], check=True)
    wanted = requirements(peer).read_text()
    for torch in (line for line in wanted.splitlines() if line.startswith("torch==")):
        pip(envs, peer, torch)
    pip(envs, peer, "--requirement", str(requirements(peer)))
    stamp(envs, peer).write_text(wanted)


def pip(envs: Path, peer: str, *what: str) -> None:
    """Install into a peer's environment."""
    command = [str(interpreter(envs, peer)), "-m", "pip", "install", "-qq", "--disable-pip-version-check", *what]
    subprocess.run(command, check=True)


def main() -> None:
    """Install what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peers", nargs="*", default=list(PEERS), metavar="PEER", help=f"of {', '.join(PEERS)}")
    parser.add_argument("--envs", type=Path, default=ENVIRONMENTS, help="where the environments are")
    chosen = parser.parse_args()
    unknown = sorted(set(chosen.peers) - set(PEERS))
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}; the peers are {', '.join(PEERS)}")
    for peer in chosen.peers:
        if installed(chosen.envs, peer):
            print(f"{peer}: installed already", flush=True)
        else:
            print(f"{peer}: installing …", flush=True)
            install(chosen.envs, peer)


if __name__ == "__main__":
    main()
