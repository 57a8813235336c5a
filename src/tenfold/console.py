"""What a person sees in the terminal: a live bar, one line an epoch, tables. Without a terminal, lines only."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from tenfold.datasets.dataset import Progress as ShowProgress
from tenfold.datasets.dataset import silent
from tenfold.runs import Epoch, Run
from tenfold.training.loop import seconds_left
from tenfold.training.setup import Setup


def duration(seconds: float) -> str:
    """65.2 → '1:05'."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def epoch_line(row: Epoch, epochs: int, left: float | None, best: bool) -> str:
    """One epoch in one line."""
    parts = [
        f"epoch {row.epoch:>{len(str(epochs))}}/{epochs}",
        f"train {row.train_loss:.4f} {row.train_accuracy:7.2%} ({row.train_correct:,}/{row.train_total:,})",
    ]
    if row.val_accuracy is not None:
        parts.append(f"val {row.val_loss:.4f} {row.val_accuracy:7.2%} ({row.val_correct:,}/{row.val_total:,})")
    parts += [f"lr {row.lr:g}", f"{row.images_per_second:,.0f} images/s"]
    if left:
        parts.append(f"{duration(left)} left")
    if best and row.val_accuracy is not None:
        parts.append("best")
    return "  ".join(parts)


class Screen:
    """Prints for a run, unless quiet; everything said also goes to the run's log.txt once there is one."""

    def __init__(self, quiet: bool = False) -> None:
        self.console = Console(quiet=quiet, highlight=False, soft_wrap=True)
        self.run: Run | None = None
        self.said: list[str] = []
        self.bar: Progress | None = None
        self.task: TaskID | None = None

    def say(self, line: str, style: str | None = None) -> None:
        """Print a line and log it. It is text, not markup: names of files and classes may hold brackets."""
        self.console.print(line, style=style, markup=False)
        if self.run is not None:
            self.run.log(line)
        else:
            self.said.append(line)

    def attach(self, run: Run) -> None:
        """From now on write into the run's log.txt, beginning with what was said so far."""
        self.run = run
        for line in self.said:
            run.log(line)

    @contextmanager
    def training(self, setup: Setup) -> Iterator[None]:
        """The live bar of a training, where there is a terminal."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[now]}"),
        )
        self.bar = Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal)
        self.task = self.bar.add_task("", total=setup.loader.steps, now="")
        with self.bar:
            yield
        self.bar = None

    def step(self, setup: Setup) -> None:
        """Move the bar; a bar that nobody sees costs nothing."""
        if self.bar is None or self.task is None or self.bar.disable:
            return
        at = setup.state.progress
        left = seconds_left(setup)
        now = f"loss {at.loss_sum / at.seen:.4f} {at.correct / at.seen:.2%}  {at.seen / at.seconds:,.0f} images/s"
        if left is not None:
            now += f"  {duration(left)} left"
        what = f"epoch {at.epoch + 1}/{setup.recipe.epochs}"
        self.bar.update(self.task, completed=at.step, description=what, now=now)

    def epoch(self, setup: Setup, row: Epoch, best: bool) -> None:
        """The epoch's line."""
        self.say(epoch_line(row, setup.recipe.epochs, seconds_left(setup), best))

    @contextmanager
    def working(self) -> Iterator[ShowProgress]:
        """A Progress for long work before the training (download, decoding), shown where there is a terminal."""
        if not self.console.is_terminal or self.console.quiet:
            yield silent
            return
        columns = (TextColumn("{task.description}"), BarColumn(None), MofNCompleteColumn())
        bar = Progress(*columns, console=self.console, transient=True)
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)

        with bar:
            yield show
