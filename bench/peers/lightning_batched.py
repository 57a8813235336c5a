"""CIFAR-10 with Lightning: tensors in memory, indexed and augmented a batch at a time.

python bench/peers/lightning_batched.py --data PATH [--net resnet20] [--precision bf16]
"""

import logging
import warnings
from typing import Any

import lightning as L
import torch
from common import BATCH, LEARNING_RATE, MEAN, MOMENTUM, STD, WEIGHT_DECAY, Clock, Part, arguments, cifar10, report
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, SequentialSampler, TensorDataset
from torch_nets import NETS, count, crop_and_flip


class Cifar10(L.LightningDataModule):
    """Whole batches out of uint8 tensors."""

    def __init__(self, training: Part, validation: Part) -> None:
        super().__init__()
        self.training, self.validation = tensors(training), tensors(validation)
        self.statistics = torch.tensor([MEAN, STD]).mul(255).view(2, 1, 3, 1, 1)

    def train_dataloader(self) -> DataLoader[Any]:
        """Shuffled."""
        order = BatchSampler(RandomSampler(self.training), BATCH, drop_last=False)
        return DataLoader(self.training, sampler=order, batch_size=None)

    def val_dataloader(self) -> DataLoader[Any]:
        """In order."""
        order = BatchSampler(SequentialSampler(self.validation), BATCH, drop_last=False)
        return DataLoader(self.validation, sampler=order, batch_size=None)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Augment while training, normalise always."""
        images, labels = batch
        if self.trainer is not None and self.trainer.training:
            images = crop_and_flip(images)
        mean, std = self.statistics
        return (images - mean) / std, labels


class Classifier(L.LightningModule):
    """A net with its loss and optimiser."""

    def __init__(self, net: str) -> None:
        super().__init__()
        self.net, self.rate = NETS[net](), LEARNING_RATE[net]

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        """Loss and accuracy, logged as the epoch's mean."""
        images, labels = batch
        outputs = self.net(images)
        loss = F.cross_entropy(outputs, labels)
        accuracy = (outputs.argmax(1) == labels).float().mean()
        self.log_dict({"loss": loss, "accuracy": accuracy}, on_step=False, on_epoch=True, batch_size=len(labels))
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        """Accuracy."""
        images, labels = batch
        accuracy = (self.net(images).argmax(1) == labels).float().mean()
        self.log("val_accuracy", accuracy, batch_size=len(labels))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """SGD."""
        return torch.optim.SGD(self.parameters(), lr=self.rate, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)


class Timer(L.Callback):
    """Tells the clock when epochs begin and end."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def on_train_epoch_start(self, *_: Any) -> None:
        """An epoch begins."""
        self.clock.start()

    def on_train_epoch_end(self, *_: Any) -> None:
        """An epoch ends."""
        self.clock.stop()


def tensors(part: Part) -> TensorDataset:
    """Images [N, 3, 32, 32] and labels."""
    images, labels = part
    return TensorDataset(torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(labels))


def main() -> None:
    """Train, judge, report."""
    chosen = arguments("bf16")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    torch.set_num_threads(chosen.threads)
    L.seed_everything(chosen.seed, verbose=False)
    data, model = Cifar10(*cifar10(chosen)), Classifier(chosen.net)
    clock = Clock(len(data.training))
    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=chosen.epochs,
        precision="bf16-mixed" if chosen.precision == "bf16" else "32-true",
        callbacks=[Timer(clock)],
        check_val_every_n_epoch=chosen.epochs + 1,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, data)
    right = trainer.validate(model, data, verbose=False)[0]["val_accuracy"]
    report("lightning", ["lightning", "torch"], chosen, count(model), clock.rates, right)


if __name__ == "__main__":
    main()
