"""Optuna's side of a search: which trials were asked for, kept in an SQLite file; needs the extra `search`.

with opened(folder) as study:
    for number, point in asked(study, space, "tpe", 9): …

A trial's random numbers follow from its place alone, so that a search that was killed asks for the same trials.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenfold.errors import RecipeError, RunError
from tenfold.experiments.spaces import Range, Space
from tenfold.experiments.terms import Method

if TYPE_CHECKING:
    import optuna

FILE = "optuna.db"
PATIENCE = 10.0
"""Seconds to wait for another process that writes to the file."""
ROUND = 9
"""Trials asked for at a time; after the first of them TPE has something to go by."""


@contextmanager
def opened(folder: Path) -> "Iterator[optuna.Study]":
    """The study in that folder, for this process alone. RecipeError without Optuna, RunError for a file of no use."""
    try:
        import optuna
        from filelock import FileLock, Timeout
        from sqlalchemy import URL
    except ImportError as error:
        raise RecipeError(
            f"--search needs Optuna, and it cannot be imported: {error}.", "Install it: pip install 'tenfold[search]'"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    file = (folder / FILE).resolve()
    lock = FileLock(folder / "search.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise RunError(f"Another process runs this search in {folder}.", "Wait for it, or stop it.") from None
    try:
        with explained(file):
            arguments = {"connect_args": {"timeout": PATIENCE}}
            url = URL.create("sqlite", database=str(file)).render_as_string()
            storage = optuna.storages.RDBStorage(url, engine_kwargs=arguments)
            try:
                yield optuna.create_study(
                    storage=storage, study_name="search", direction="maximize", load_if_exists=True
                )
            finally:
                storage.remove_session()
                storage.engine.dispose()
    finally:
        lock.release()


@contextmanager
def explained(file: Path) -> Iterator[None]:
    """Turn what SQLite says of a locked or damaged file into a RunError."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, StorageInternalError, AssertionError, RuntimeError) as error:
        said = f"{error} {error.__cause__ or ''}"
        if "locked" in said:
            raise RunError(
                f"{file} is locked by another program.", "Close what has it open; the same command continues."
            ) from None
        if isinstance(error, SQLAlchemyError | StorageInternalError):
            raise RunError(
                f"{file} cannot be used as the store of a search: {said.splitlines()[0]}",
                "The trained runs lie beside it and are whole. Move the file away: the same command asks for the same "
                "first trials again, and finds their runs.",
            ) from None
        raise


def asked(study: "optuna.Study", space: Space, method: Method, count: int) -> list[tuple[int, dict[str, Any]]]:
    """Number and point of the first `count` trials; those that the study lacks are asked for."""
    import optuna

    running = optuna.trial.TrialState.RUNNING
    for trial in study.get_trials(deepcopy=False):
        if trial.state == running and trial.params.keys() != space.keys():  # killed while it was asked for
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    known = [(t.number, t.params) for t in study.get_trials(deepcopy=False) if t.params.keys() == space.keys()]
    distributions = {option: distribution(dimension) for option, dimension in space.items()}
    while len(known) < count:
        place = len(known)
        sampler = optuna.samplers.TPESampler(seed=place, n_startup_trials=ROUND, constant_liar=True)
        study.sampler = sampler if method == "tpe" else optuna.samplers.RandomSampler(seed=place)
        new = study.ask(distributions)
        known.append((new.number, new.params))
    return [(number, {option: point[option] for option in space}) for number, point in known[:count]]


def distribution(dimension: Any) -> "optuna.distributions.BaseDistribution":
    """Optuna's word for a range or a list of values."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if not isinstance(dimension, Range):
        return CategoricalDistribution(dimension.values)
    if dimension.whole:
        return IntDistribution(int(dimension.low), int(dimension.high), log=dimension.logarithmic)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.logarithmic)


def tell(study: "optuna.Study", number: int, accuracy: float) -> None:
    """What a trial reached, where that was not told before."""
    study.tell(number, accuracy, skip_if_finished=True)
