"""Recipes: strict, complete, every value with its origin."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold import api
from tenfold.augmentations import AUGMENTATIONS
from tenfold.errors import RecipeError
from tenfold.recipe import OPTION_NAMES, Plan, Recipe, leaves, load, nested, parse
from tenfold.recipes import RECIPES, named
from tenfold.training.resolve import check_options

SMOKE = {"epochs": 1, "batch": 16, "backend.threads": 1}


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_survives_a_strict_round_trip(name):
    plan = Plan.of(named(name))
    assert Plan.from_dict(json.loads(plan.to_json()), "here") == plan
    assert plan.recipe.name == name


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_says_what_it_is(name):
    assert len(RECIPES[name].__doc__) > 20


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_trains_two_steps(name, photos, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    narrow = {"model.width": 0.25} if name == "sprint-96" else {}  # whole, it takes 15 seconds
    assert api.train(name, data=str(photos), dry_run=True, **SMOKE, **narrow) is None
    assert "step 2: loss" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_recipe_table_of_the_lab():
    recipes = {name: named(name) for name in RECIPES if name.startswith("simplenn") and name != "simplenn-best"}
    assert all(r.optimizer.momentum == 0.9 for r in recipes.values())
    fast = {"simplenn-bn-fast", "simplenn-swish"}
    assert all(r.optimizer.lr == (0.1 if name in fast else 0.01) for name, r in recipes.items())
    assert all(r.optimizer.weight_decay == 1e-4 and r.batch == 128 and r.epochs == 30 for r in recipes.values())
    augment = {
        name: tuple(v for k, v in r.augment.model_dump().items() if k in AUGMENTATIONS and v)
        for name, r in recipes.items()
    }
    assert augment["simplenn-plain"] == ()
    assert augment["simplenn"] == augment["simplenn-decay"] == (0.5,)
    assert augment["simplenn-lab"] == (0.5, 0.5)
    cropped = ("simplenn-augment", "simplenn-bn", "simplenn-bn-fast", "simplenn-swish")
    assert all(augment[name] == (4, 0.5) for name in cropped)
    assert [recipes[name].model.norm for name in cropped] == [None, "batch", "batch", "batch"]
    assert recipes["simplenn-swish"].model.activation == "swish"
    assert {name for name, r in recipes.items() if r.schedule.name == "step"} == {"simplenn-decay"}


def test_every_value_knows_its_origin():
    plan = Plan.of(named("simplenn")).override({"optimizer.lr": 0.05})
    settled = check_options(plan, [])
    assert set(settled.origin) == set(OPTION_NAMES)
    assert settled.origin["optimizer.lr"] == "user"
    assert settled.origin["optimizer.momentum"] == "recipe"
    assert settled.origin["optimizer.nesterov"] == "default"
    assert settled.recipe.optimizer.nesterov is False
    assert settled.origin["device"] == "measured"


def test_given_value_equal_to_the_default_is_still_the_users():
    assert Plan.of(named("simplenn")).override({"epochs": 30}).origin["epochs"] == "user"


def test_settling_twice_changes_nothing():
    once = check_options(Plan.of(named("simplenn-decay")), [])
    assert check_options(once, []) == once


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"optimizer.name": "adam", "optimizer.momentum": 0.9}, "optimizer.momentum = 0.9 would have no effect"),
        ({"schedule.every": 3}, "schedule.every = 3 would have no effect"),
        ({"augment.crop_padding": "reflect"}, "augment.crop_padding = reflect would have no effect"),
        ({"schedule.floor": 0.1}, "schedule.floor = 0.1 would have no effect"),
        ({"schedule.warmup": 30}, "leaves no epoch of 30"),
        ({"augment.horizontal_flip": 0, "augment.horizontal_flip_mode": "alternating"}, "horizontal_flip_mode = alter"),
        ({"tta_share": 0.25}, "tta_share = 0.25 would have no effect: tta = none"),
        ({"curriculum": [[24, 31]]}, "its stages take 31 epochs, the run has 30"),
        ({"optimizer.ns_steps": 5}, "optimizer.ns_steps = 5 would have no effect"),
        ({"optimizer.name": "muon", "optimizer.l1": 0.1}, "optimizer.l1 = 0.1 would have no effect: muon"),
        ({"schedule.patience": 3}, "schedule.patience = 3 would have no effect"),
        ({"schedule.name": "halving", "schedule.factor": 0.3}, "schedule.factor = 0.3 would have no effect"),
        ({"schedule.name": "plateau", "train_on": "train+val"}, "train_on = train\\+val leaves nothing to validate"),
        ({"early_stopping": 3, "train_on": "train+val"}, "early_stopping = 3 watches the validation accuracy"),
        ({"early_stopping": 30}, "early_stopping = 30 would have no effect: the run has 30 epochs"),
        ({"augment.randaugment_magnitude": 5}, "augment.randaugment_magnitude = 5 would have no effect"),
        ({"model.shortcut": "B"}, "model.shortcut = B would have no effect"),
        ({"optimizer.name": "sdg"}, "Did you mean 'sgd'"),
        ({"schedule.name": "stp"}, "Did you mean 'step'"),
        ({"model.name": "simplen"}, "Did you mean 'simplenn'"),
        ({"device": "cuda:99"}, "Device cuda:99 is not there"),
        ({"device": "gpu"}, "no device 'gpu'"),
    ],
)
def test_contradicted_or_unknown_option_is_an_error(options, told):
    with pytest.raises(RecipeError, match=told):
        check_options(Plan.of(named("simplenn")).override(options), [])


def test_option_of_the_recipe_that_the_users_choice_replaces_is_left_out_aloud():
    notes = []
    settled = check_options(Plan.of(named("simplenn")).override({"optimizer.name": "adam"}), notes)
    assert settled.recipe.optimizer.momentum is None
    assert notes == ["optimizer.momentum = 0.9 of the recipe is left out: adam has no such option."]


@pytest.mark.parametrize(
    ("options", "tolerance"),
    [
        ({"epochs": 3}, 2.0),
        ({"model.name": "resnet20"}, 1.0),
        ({"model.width": 2.0}, 1.0),
        ({"model.width": 2.0, "backend.tolerance": 3.0}, 3.0),
    ],
)
def test_the_recipes_tolerance_is_for_its_own_net(options, tolerance):
    notes = []
    plan = check_options(Plan.of(named("sprint")).override(options), notes)
    assert plan.recipe.backend.tolerance == tolerance
    told = "The recipe's backend.tolerance 2 was shown for its own net: 1 for this one."
    assert (told in notes) == (tolerance == 1)


def test_nesterov_without_a_momentum_is_left_out_aloud_and_refused_where_it_was_asked_for():
    notes = []
    plain = Plan.of(named("resnet20-lab")).override({"optimizer.momentum": 0.0})
    assert check_options(plain, notes).recipe.optimizer.nesterov is False
    assert notes == ["The recipe's Nesterov step is left out: optimizer.momentum is 0."]
    with pytest.raises(RecipeError, match="nesterov needs a momentum"):
        check_options(plain.override({"optimizer.nesterov": True}), [])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"optimizer.lr": 0}, "optimizer.lr: input should be greater than 0; it is 0"),
        ({"optimizer.lr": -0.1}, "greater than 0"),
        ({"optimizer.lr": float("nan")}, "finite"),
        ({"epochs": 0}, "greater than or equal to 1"),
        ({"batch": 0}, "greater than or equal to 1"),
        ({"augment.horizontal_flip": 1.5}, "less than or equal to 1"),
        ({"optimizer.learning_rate": 1}, "There is no option"),
        ({"optimiser.lr": 1}, "Did you mean 'optimizer.lr'"),
        ({"train_on": "test"}, "train_on"),
        ({"label_smoothing": 1.0}, "label_smoothing: input should be less than 1"),
        ({"micro_batch": 0}, "micro_batch: input should be greater than or equal to 1"),
        ({"curriculum": [[24]]}, "curriculum.0"),
        ({"curriculum": [[0, 1]]}, "curriculum.0.0: input should be greater than or equal to 1"),
        ({"tta": "rotate"}, "'none', 'flip' or 'flip_translate'"),
        ({"tta_share": 0}, "tta_share: input should be greater than 0"),
        ({"schedule.drops": [0.5, 1.5]}, "schedule.drops.1: input should be less than 1"),
        ({"schedule.anneal": "square"}, "'linear' or 'cosine'"),
        ({"model.shortcut": "C"}, "'A', 'B' or 'none'"),
    ],
)
def test_value_out_of_range_is_an_error(options, told):
    with pytest.raises(RecipeError, match=told):
        Plan.of(named("simplenn")).override(options)


def test_recipe_files(tmp_path):
    (tmp_path / "r.json").write_text('{"epochs": 5, "optimizer": {"lr": 0.1}}')
    (tmp_path / "r.toml").write_text("epochs = 5\n[optimizer]\nlr = 0.1\n")
    from_json, from_toml = load(tmp_path / "r.json"), load(tmp_path / "r.toml")
    assert from_json == from_toml
    assert from_json.recipe.optimizer.lr == 0.1
    assert from_json.origin["optimizer.lr"] == "recipe"
    assert from_json.origin["batch"] == "default"


def test_run_recipe_can_be_loaded_again(trained):
    assert load(trained.path / "recipe.json").recipe == trained.recipe


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("r.json", "{", "not valid JSON"),
        ("r.toml", "epochs = ", "not valid TOML"),
        ("r.json", "[1]", "one object of options"),
        ("r.json", '{"epoch": 3}', "Did you mean 'epochs'"),
        ("r.json", '{"epochs": "many"}', "epochs: input should be a valid integer"),
    ],
)
def test_bad_recipe_file(tmp_path, file, content, told):
    (tmp_path / file).write_text(content)
    with pytest.raises(RecipeError, match=told):
        load(tmp_path / file)


def test_missing_recipe_file(tmp_path):
    with pytest.raises(RecipeError, match="cannot be read"):
        load(tmp_path / "none.json")


def test_contradiction_inside_a_recipe_file(tmp_path):
    (tmp_path / "r.json").write_text(json.dumps({"optimizer": {"name": "adam", "momentum": 0.9}}))
    with pytest.raises(RecipeError, match="no effect"):
        check_options(load(tmp_path / "r.json"), [])


keys = st.text("abc", min_size=1, max_size=3)
trees = st.recursive(st.integers(), lambda node: st.dictionaries(keys, node, min_size=1, max_size=3), max_leaves=8)


@given(st.dictionaries(keys, trees, max_size=3))
def test_leaves_and_nested_are_inverse(tree):
    assert nested(dict(leaves(tree))) == tree


def test_a_recorded_plan_may_lack_younger_options():
    values = json.loads(Plan.of(named("simplenn")).to_json())
    del values["origin"]["micro_batch"], values["recipe"]["micro_batch"]
    plan = Plan.from_dict(values, "an older run")
    assert (plan.recipe.micro_batch, plan.origin["micro_batch"]) == (None, "default")


def test_recipe_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Recipe().epochs = 3
    assert parse({}).epochs == 30
