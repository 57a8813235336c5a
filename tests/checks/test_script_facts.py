"""What the observer keeps of single functions: sums of losses, outputs put together, one-hot labels, feeding nets."""

import torch
from torch import nn

from tenfold.checks.script.functions import note
from tenfold.checks.script.observe import Observer
from tenfold.checks.script.picks import compared, judge
from tenfold.checks.script.seen import Call, LossCall, Made
from tenfold.checks.script.tags import Tag, label


def call(images: int, *fed: Call) -> Call:
    """A call of some net with so many images."""
    return Call(0, nn.Linear(1, 1), None, 0, False, (), (), (images, 1), fed=fed)


def test_losses_added_up_out_of_place_are_followed():
    observer = Observer("a.py", 30, 60)
    total = torch.zeros((), requires_grad=True)
    for step in range(4):
        loss = torch.ones((), requires_grad=True) * 2
        fact = LossCall("cross_entropy", None, step, True, (4, 3), (4,), "int64", 0, 2, True, 2.0, "mean", None, 0, 1,
                        (0, 1), None)  # fmt: skip
        observer.tags[loss] = Tag(loss=fact)
        before, total = total, total + loss
        note(observer, "add", (before, loss), {}, total)
    assert observer.seen.kept is not None
    assert observer.seen.kept[1] == 4


def test_a_loss_that_a_program_writes_itself_tells_its_labels():
    observer, asked, y = Observer("a.py", 30, 60), call(6), torch.tensor([0, 2, 1, 1, 0, 2])
    logs = torch.randn(6, 3).log_softmax(1)
    observer.tags[logs] = Tag(calls=(asked,), made=Made("log_softmax", None, ""))
    rows = (torch.arange(6), y)
    told = [
        ("__getitem__", (logs, rows), logs[rows]),
        ("gather", (logs, 1, y[:, None]), logs.gather(1, y[:, None])),
        ("__mul__", (logs, nn.functional.one_hot(y, 3).float()), logs * nn.functional.one_hot(y, 3)),
        ("__mul__", (-nn.functional.one_hot(y, 3).float(), logs), -logs * nn.functional.one_hot(y, 3)),
    ]
    for name, args, result in told:
        note(observer, name, args, {}, result)
        assert observer.tags[result].loss is observer.seen.losses[-1]
    assert [loss.kind for loss in observer.seen.losses] == ["cross_entropy"] * 4
    expected = float(nn.functional.nll_loss(logs, y))
    assert all(abs(loss.value - expected) < 1e-6 and loss.own for loss in observer.seen.losses)
    assert asked.labels.tolist() == y.tolist()
    note(observer, "__getitem__", (logs, y), {}, logs[y])  # rows in another order
    note(observer, "__mul__", (logs, torch.rand(6, 3)), {}, logs * 2)  # weights, not labels
    assert len(observer.seen.losses) == 4


def test_predictions_of_several_batches_are_told_apart():
    observer, calls = Observer("a.py", 30, 60), (call(3), call(2))
    guess, labels = torch.tensor([0, 1, 2, 0, 0]), torch.tensor([0, 1, 1, 2, 2])
    observer.tags[guess] = Tag(calls=calls)
    compared(observer, guess, labels, guess == labels)
    assert [round(c.right, 2) for c in calls] == [0.67, 0.0]
    assert [c.labels.tolist() for c in calls] == [[0, 1, 1], [2, 2]]
    assert observer.seen.judged_labels == {0, 1, 2}


def test_one_hot_labels_are_classes_and_soft_ones_are_not():
    hard, soft, several = call(2), call(2), call(2)
    label([hard], torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    label([soft], torch.tensor([[0.1, 0.9], [0.8, 0.2]]))
    label([several], torch.tensor([[1.0, 1.0], [1.0, 0.0]]))
    assert (hard.labels.tolist(), soft.labels, several.labels) == ([1, 0], None, None)


def test_what_fed_a_judged_net_is_judged_too():
    encoder = call(4)
    head = call(4, encoder)
    judge([head])
    assert encoder.judged
    assert list(head.chain()) == [head, encoder]


def test_labels_of_scores_that_leave_torch_are_found_by_their_number():
    observer, judged = Observer("a.py", 30, 60), call(60)
    scores, levels = torch.eye(4)[torch.arange(60) % 4], (torch.arange(60) % 4).numpy()
    observer.tags[scores] = Tag(calls=(judged,))
    note(observer, "numpy", (scores,), {}, scores.numpy())
    assert (judged.judged, judged.right, judged.labels.tolist()) == (True, 1.0, levels.tolist())


def test_labels_are_not_guessed_where_several_would_fit():
    observer, judged = Observer("a.py", 30, 60), call(60)
    scores, levels = torch.eye(4)[torch.arange(60) % 4], torch.arange(60) % 4
    others = levels.flip(0)
    observer.tags[scores] = Tag(calls=(judged,))
    note(observer, "numpy", (scores,), {}, scores.numpy())
    assert (judged.judged, judged.labels, len(others)) == (False, None, 60)
