"""A training as its user meets it: introduced and checked before, tried out, concluded with pictures and a page."""

import json
from pathlib import Path
from typing import Any

from tenfold.checks.recipe import preflight
from tenfold.checks.rules import ranked
from tenfold.console import Screen
from tenfold.errors import Finding, RecipeError, TrainingError, counted
from tenfold.evidence import evaluation
from tenfold.reports.words import milliseconds
from tenfold.runs import Run, write_atomic
from tenfold.training.environment import environment
from tenfold.training.loop import complete, descend, resume_command
from tenfold.training.nonfinite import lower_rate
from tenfold.training.setup import Setup
from tenfold.training.speed import Speed
from tenfold.training.step import NotFinite, evaluate
from tenfold.training.tuning import Choice, described


def introduce(setup: Setup, screen: Screen, check: bool = True) -> list[Finding]:
    """Say what is about to be trained on what, and check it: an error stops, unless its rule is ignored.

    Returns everything found, the initial loss first; nothing where `check` is off.
    """
    recipe, data = setup.recipe, setup.dataset
    parts = ", ".join(f"{len(rows):,} {part}" for part, rows in setup.splits.items())
    parameters = sum(p.numel() for p in setup.state.model.parameters())
    epochs = counted(recipe.epochs, "epoch")
    screen.say(f"{recipe.name}: {recipe.model.name} with {parameters:,} parameters, {epochs}, seed {recipe.seed}")
    screen.say(f"{data.name}: {parts} images, {len(data.classes)} classes, {data.image_size}×{data.image_size} pixels")
    screen.say(device_line(environment(setup.backend.device), described(setup.backend), setup.choice))
    for line in (*data.notes, *setup.notes):
        screen.say(line)
    if data.skipped:
        screen.say(
            f"Left out: {counted(len(data.skipped), 'unreadable file')}, as data.json in the run folder lists.",
            "yellow",
        )
    if not check:
        return []
    findings = preflight(setup)
    told = [found for found in findings if found.rule not in recipe.ignore]
    errors = [found for found in ranked(told) if found.severity == "error"]
    if errors:
        raise RecipeError(
            f"{errors[0].what}.",
            f"{errors[0].evidence} {errors[0].remedy} To go on all the same: --ignore {errors[0].rule}.",
        )
    for found in told:
        if found.severity == "warning" or found.rule == "initial-loss":
            screen.say(found.text(), "yellow" if found.severity == "warning" else None)
    silenced = sorted({found.rule for found in findings} & set(recipe.ignore))
    if silenced:
        screen.say(f"Silenced: {', '.join(silenced)}.")
    return findings


def warn(screen: Screen, found: Finding) -> None:
    """Say a finding of a running training."""
    where = f" ({found.where})" if found.where else ""
    screen.say(f"{found.severity}{where}: {found.text()}", "yellow")


def device_line(facts: dict[str, Any], backend: dict[str, Any], choice: Choice | None) -> str:
    """Where and how it computes: the facts of `environment`, and the backend's options."""
    size = f", {facts['device_memory'] / 2**30:.0f} GiB" if facts["device_memory"] else ""
    driver = f", driver {facts['driver']}" if facts["driver"] else ""
    count = backend["threads"]
    threads = f"{count} thread{'' if count == 1 else 's'}, " if facts["device"] == "cpu" else ""
    how = f"{threads}{backend_words(backend)}"
    return f"{facts['device']}: {facts['device_name']}{size}{driver}, {how}{gain_of(choice)}"


def backend_words(backend: dict[str, Any]) -> str:
    """A backend's options, the threads aside."""
    native = ", native kernels" if backend["kernels"] == "native" else ""
    compiled = ", compiled" if backend["compile"] else ""
    return f"{backend['precision']}, {backend['layout']}{native}{compiled}"


def gain_of(choice: Choice | None) -> str:
    """What measuring the backend gained; nothing where nothing was open."""
    if choice is None or not choice.trials:
        return ""
    if choice.crowded:
        return " (measured while other programs had the cores: not sure, and not remembered)"
    when = "measured before" if choice.cached else f"measured in {choice.seconds:.1f} s"
    return f" ({choice.gain:.2f} times plain fp32, {when})"


def headline(seen: Speed) -> tuple[str, str]:
    """How fast the training is, and what was measured where."""
    slices = f" in slices of {seen.recipe.micro_batch}" if seen.recipe.micro_batch else ""
    where = device_line(seen.environment, seen.backend, None)
    return (
        f"{seen.recipe.name}: {seen.images_per_second:,.0f} images/s, {milliseconds(seen.step_seconds)} a step",
        f"batches of {seen.recipe.batch}{slices}, {seen.size}×{seen.size} pixels; {where}",
    )


def try_out(setup: Setup, screen: Screen) -> None:
    """A dry run: two steps and one evaluation, nothing written."""
    for step in range(min(2, setup.loader.steps)):
        images, labels = setup.loader.batch(0, step)
        try:
            loss, _ = descend(setup, 0, step, images, labels)
        except NotFinite as error:
            told = f"The loss is {error} at step {step + 1} of the dry run."
            raise TrainingError(told, lower_rate(setup.recipe.optimizer.lr)) from None
        screen.say(f"step {step + 1}: loss {loss:.4f}")
    judged = setup.validation or setup.loader.images
    with setup.state.judged() as model:
        loss, correct = evaluate(model, judged, setup.preprocessing, setup.backend, lambda: None)
    screen.say(f"evaluation: loss {loss:.4f}, {correct:,}/{len(judged):,} right")
    screen.say("Dry run: everything fits together; nothing was written.")


def data_document(setup: Setup, findings: list[Finding]) -> dict[str, Any]:
    """data.json: what the run learns from, and the initial loss, if it was found."""
    data = setup.dataset
    return {
        "name": data.name,
        "where": data.where,
        "fingerprint": data.fingerprint,
        "classes": data.classes,
        "image_size": data.image_size,
        "channels": data.channels,
        "splits": {part: {"total": len(rows), "counts": data.counts(rows)} for part, rows in setup.splits.items()},
        "mean": setup.preprocessing.mean,
        "std": setup.preprocessing.std,
        "skipped": [{"path": s.path, "reason": s.reason} for s in data.skipped],
        "notes": [*data.notes, *setup.notes],
        "stream": None,
        "initial_loss": next((found.text() for found in findings if found.rule == "initial-loss"), None),
    }


def conclude(setup: Setup, run: Run, screen: Screen, page: bool = True) -> Run:
    """Judge the result on validation, draw the pictures, write the report, say where everything is.

    A run that was paused on the way is left as it is. Without `page` nothing is drawn.
    """
    if not complete(setup):
        screen.say(f"Paused after epoch {len(run.epochs)} of {run.recipe.epochs}. To continue: {resume_command(run)}")
        return run
    views = None
    document = {**run.read("data.json"), "stream": setup.state.progress.stream}
    write_atomic(run.path / "data.json", json.dumps(document, indent=2))
    if setup.validation is not None:
        result = evaluation.judge(run, "best", setup.dataset, setup.splits["val"], "val", setup.backend)
        result.save(run)
        views = result.views
        if page:
            draw_evaluation(run, result)
    told = [f"report: {draw_page(run)}"] if page else []
    best, last = run.best, run.epochs[-1]
    if best is not None and last.epoch < run.recipe.epochs:
        screen.say(f"stopped early: no better validation accuracy after epoch {best.epoch}")
    if best is not None and best.val_accuracy is not None and last.val_accuracy is not None:
        screen.say(
            f"best validation accuracy {best.val_accuracy:.2%} (epoch {best.epoch}), last {last.val_accuracy:.2%}"
        )
        if views is not None:
            screen.say(f"best weights {views.text()}")
    else:
        screen.say("Trained on train+val: the last weights are the result. Judge them once, on the test images:")
        screen.say(f"tenfold evaluate {run.path} --split test")
    for line in (*told, f"run: {run.path}"):
        screen.say(line)
    return run


def draw_page(run: Run) -> Path:
    """The curves and the page of a run; its path."""
    from tenfold.reports import page, pictures  # drawing is imported when there is something to draw

    write_atomic(run.path / "curves.png", pictures.curves(run.epochs, run.recipe.name))
    return page.write_report(run)


def draw_evaluation(run: Run, result: evaluation.Evaluation) -> None:
    """The pictures of an evaluation in the run folder: confusion matrix, worst mistakes."""
    from tenfold.reports import pictures  # drawing is imported when there is something to draw

    ending, classes = evaluation.suffix(result.split), result.dataset.classes
    title = f"{run.recipe.name}, {result.split} split: {result.metrics.accuracy:.2%}"
    write_atomic(
        run.path / f"confusion_matrix{ending}.png", pictures.confusion_matrix(result.metrics.confusion, classes, title)
    )
    at = result.mistakes()
    called = result.probabilities.argmax(1)
    captions = [
        f"{classes[called[i]]}, {result.probabilities[i, called[i]]:.0%}\nis {classes[result.labels[i]]}" for i in at
    ]
    grid = pictures.image_grid(result.dataset.images[result.rows[at]], captions, "The most confident mistakes")
    write_atomic(run.path / f"mistakes{ending}.png", grid)
