"""Preflight: what must fire, fires; what looks like it, does not; nothing is touched."""

import pytest
import torch

from tenfold import api
from tenfold.checks.preflight import feature_mismatch, initial_loss
from tenfold.checks.recipe import preflight
from tenfold.errors import RecipeError
from tenfold.models import MODELS
from tenfold.training.setup import prepare


def setup(small, **options):
    return prepare(api.plan("simplenn-augment", **small, **options))


def test_centre_crop_of_training_images_is_explained_with_numbers_and_remedies(small):
    finding = feature_mismatch(setup(small, **{"augment.center_crop": 28}))
    assert finding.severity == "error"
    assert finding.what == "center_crop(28) makes 16×5×5 = 400 features, but fc1 expects 576 (32-pixel images)"
    for remedy in ("--preprocess.center-crop 28", "in_features=400", "--model.adaptive-pool True", "--augment.pad 2"):
        assert remedy in finding.remedy


@pytest.mark.parametrize(
    "remedy",
    [
        {"preprocess.center_crop": 28},
        {"augment.center_crop": 28, "model.adaptive_pool": True},
        {"augment.center_crop": 28, "augment.pad": 2},
    ],
)
def test_every_remedy_works_verbatim(remedy, small, tmp_path):
    run = api.train(out=tmp_path, quiet=True, **{**small, "epochs": 1}, **remedy)
    assert run.finished


def test_the_error_stops_the_training_and_leaves_nothing(small, tmp_path):
    with pytest.raises(RecipeError, match="fc1 expects 576"):
        api.train(out=tmp_path, quiet=True, **small, **{"augment.center_crop": 28})
    assert list(tmp_path.iterdir()) == []


def test_crops_that_keep_the_size_are_no_finding(small):
    assert feature_mismatch(setup(small, **{"augment.crop": 4})) is None


def test_healthy_start_is_a_note_with_the_numbers(small):
    finding = initial_loss(setup(small))
    assert finding.severity == "note"
    assert "ln(3) = 1.099" in finding.evidence
    assert "healthy" in finding.evidence


@pytest.mark.parametrize("name", MODELS)
def test_every_net_starts_healthy(name, small):
    """Batch norms judge by the batch: their running statistics know nothing yet, and deep nets would explode."""
    finding = initial_loss(setup(small, model={"name": name}))
    assert finding.severity == "note", finding.text()


def test_badly_scaled_last_layer_is_a_warning(small):
    bad = setup(small)
    with torch.no_grad():
        bad.state.model.fc3.weight.mul_(1000)
    finding = initial_loss(bad)
    assert finding.severity == "warning"
    assert "last layer" in finding.remedy


def test_trained_weights_are_no_warning(small, trained):
    assert initial_loss(setup(small, weights=str(trained.path))).severity == "note"


def test_preflight_leaves_the_net_byte_identical(small):
    made = setup(small, model={"norm": "batch"})
    before = {name: tensor.clone() for name, tensor in made.state.model.state_dict().items()}
    random = torch.random.get_rng_state()
    preflight(made)
    assert all(torch.equal(before[name], tensor) for name, tensor in made.state.model.state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), random)
    assert all(p.grad is None for p in made.state.model.parameters())
