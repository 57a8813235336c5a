"""What `tenfold check --explain RULE` teaches: the evidence a rule looks at, a wrong and a right example."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Lesson:
    """The evidence, and two snippets."""

    evidence: str
    wrong: str
    right: str


LESSONS: dict[str, Lesson] = {
    "shape-mismatch": Lesson(
        "the exception, the layer it came from, and the last map [C, H, W] before it",
        "x = F.center_crop(x, 28)         # fc1 was built for 32 pixels: 16×6×6 features\nx = self.fc1(x.flatten(1))",
        "self.fc1 = nn.Linear(16 * 5 * 5, 120)   # what 28 pixels give",
    ),
    "device-mismatch": Lesson(
        "which of net, images and labels go through .to(device) or .cuda(); needs no GPU",
        "model.to(device)\nloss = criterion(model(images), labels)",
        "images, labels = images.to(device), labels.to(device)\nloss = criterion(model(images), labels)",
    ),
    "dtype-mismatch": Lesson(
        "the exception and the types of what the failing line got",
        "loss = F.cross_entropy(logits, labels.float())",
        "loss = F.cross_entropy(logits, labels.long())",
    ),
    "label-out-of-range": Lesson(
        "the exception, the label and the number of outputs",
        "labels = table[:, 0]             # 1 … 10",
        "labels = table[:, 0] - 1         # 0 … 9",
    ),
    "crash": Lesson(
        "the exception and the innermost line of your own code",
        "class Net(nn.Module):\n    def __init__(self):\n        self.fc = nn.Linear(3, 2)",
        "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.fc = nn.Linear(3, 2)",
    ),
    "softmax-before-loss": Lesson(
        "the last operation before the loss, and whether rows of its input lie in 0 … 1 and sum to 1",
        "return F.softmax(self.fc(x), dim=1)     # then nn.CrossEntropyLoss()",
        "return self.fc(x)",
    ),
    "activation-on-logits": Lesson(
        "the last operation before the loss, and the lowest logit",
        "return F.relu(self.fc(x))",
        "return self.fc(x)",
    ),
    "wrong-loss": Lesson(
        "the values and shapes that the loss function gets",
        "loss = F.nll_loss(logits, labels)",
        "loss = F.cross_entropy(logits, labels)",
    ),
    "loss-reduction": Lesson(
        'reduction="sum" in a loss that goes backward as it is; the loss of a batch against that of a quarter',
        'criterion = nn.CrossEntropyLoss(reduction="sum")',
        "criterion = nn.CrossEntropyLoss()",
    ),
    "initial-loss": Lesson(
        "the loss before the first step against ln(classes)",
        "nn.init.normal_(self.fc.weight, std=10)",
        "nn.init.normal_(self.fc.weight, std=0.01)",
    ),
    "wrong-labels-shape": Lesson(
        "the shapes of outputs and labels in the loss",
        "loss = F.mse_loss(model(x), y)          # [N, 1] against [N]: compared as [N, N]",
        "loss = F.mse_loss(model(x).squeeze(1), y)",
    ),
    "input-ignored": Lesson(
        "whether the images of a batch differ, and whether the output does for blank images",
        "images = images // 255                   # all 0",
        "images = images / 255",
    ),
    "samples-mixed": Lesson(
        "whether one image's output changes with another image, and at which line; how alike neighbouring pixels are",
        "x = x.permute(1, 0, 2, 3).reshape(n, -1)",
        "x = x.flatten(1)",
    ),
    "labels-changed": Lesson(
        "in-place changes of the tensor that labels are taken from, and the labels kept by the dataset",
        "y = labels[a:b]\ny[noisy] = 0                             # changes `labels`",
        "y = labels[a:b].clone()\ny[noisy] = 0",
    ),
    "normalisation-missing": Lesson(
        "the range, mean and deviation of what the net gets",
        "model(images.float())                    # 0 … 255",
        "model((images.float() / 255 - 0.5) / 0.25)",
    ),
    "normalisation-doubled": Lesson(
        "the range, mean and deviation of what the net gets, and in-place changes of the images",
        "transform = Compose([ToTensor(), Normalize(m, s)])   # and in the loop:\nimages = images / 255",
        "transform = Compose([ToTensor(), Normalize(m, s)])",
    ),
    "normalisation-differs": Lesson(
        "mean and deviation of the training batches against those of the evaluation",
        "train_tf = Compose([ToTensor(), Normalize(m, s)])\ntest_tf = ToTensor()",
        "test_tf = Compose([ToTensor(), Normalize(m, s)])",
    ),
    "input-not-finite": Lesson(
        "the mean of what the net gets",
        "x = (x - x.mean(0)) / x.std(0)           # a pixel that never changes: 0 / 0",
        "x = (x - x.mean(0)) / (x.std(0) + 1e-6)",
    ),
    "shuffle-off": Lesson(
        "the training loader's sampler, and how many classes a batch holds",
        "DataLoader(train_set, batch_size=64)",
        "DataLoader(train_set, batch_size=64, shuffle=True)",
    ),
    "validation-augmented": Lesson(
        "an image of the evaluation fetched twice, and random numbers drawn between loader and net",
        "val_set = Photos(val_files, transform=augment)",
        "val_set = Photos(val_files, transform=plain)",
    ),
    "validation-in-training": Lesson(
        "the indices of both datasets, the images they hold and those seen, pixel by pixel, also moved and flipped",
        "train_set, val_set = full, Subset(full, order[:1000])",
        "train_set, val_set = Subset(full, order[1000:]), Subset(full, order[:1000])",
    ),
    "augmentation-repeats": Lesson(
        "the generators' states after an item was fetched, the seeds of each epoch, and what is drawn in which epoch",
        "def __getitem__(self, i):\n    np.random.seed(42)",
        "np.random.seed(42)                       # once, at the start of the program",
    ),
    "augmentation-breaks-labels": Lesson(
        "what a quick classifier of clean images takes augmented ones for",
        "RandomHorizontalFlip() on arrows that are labelled left and right",
        "ColorJitter() or RandomCrop(32, padding=4)",
    ),
    "class-missing": Lesson(
        "the labels of both splits",
        "train, val = data[:8000], data[8000:]    # sorted by class",
        "order = torch.randperm(len(data))\ntrain, val = data[order[:8000]], data[order[8000:]]",
    ),
    "class-index-shift": Lesson(
        "the class numbers that both datasets keep, and what their images look like",
        "val_set = Folder('val', classes=sorted(os.listdir('val')))",
        "val_set = Folder('val', classes=train_set.classes)",
    ),
    "class-imbalance": Lesson(
        "the counts of the training labels, and the weights of the loss or the sampler",
        "criterion = nn.CrossEntropyLoss()        # 10,000 good, 200 broken",
        "criterion = nn.CrossEntropyLoss(weight=torch.tensor([0.02, 1.0]))",
    ),
    "wrong-labels": Lesson(
        "how many labels a quick classifier tells that was not shown them; orders of both; shares of mixed ones",
        "return x[rng.permutation(n)], y[rng.permutation(n)]",
        "order = rng.permutation(n)\nreturn x[order], y[order]",
    ),
    "duplicates": Lesson(
        "hashes of the images within and across splits",
        "train/cat/1.png and test/cat/7.png are the same photograph",
        "remove one of them, the training one if in doubt",
    ),
    "unreadable-images": Lesson("files that do not decode", "photo.jpg of 0 bytes", "copy it again, or delete it"),
    "odd-images": Lesson("size, mode and spread of each image", "an image of one colour", "delete it"),
    "zero-grad-missing": Lesson(
        "whether the gradients were cleared between two steps of an optimiser, in whatever way",
        "loss.backward()\noptimizer.step()",
        "optimizer.zero_grad()\nloss.backward()\noptimizer.step()",
    ),
    "step-missing": Lesson(
        "backward calls, optimiser steps, and whether gradients are there at the step",
        "loss.backward()\noptimizer.zero_grad()\noptimizer.step()",
        "optimizer.zero_grad()\nloss.backward()\noptimizer.step()",
    ),
    "parameters-forgotten": Lesson(
        "parameters that got a gradient, and those that the optimisers hold",
        "self.layers = [nn.Linear(9, 9), nn.Linear(9, 9)]",
        "self.layers = nn.ModuleList([nn.Linear(9, 9), nn.Linear(9, 9)])",
    ),
    "parameters-frozen": Lesson(
        "requires_grad of the parameters, where no saved weights were loaded",
        "net = Net()\nnet.features.requires_grad_(False)",
        "net = Net()\nnet.load_state_dict(torch.load('trained.pt'))\nnet.features.requires_grad_(False)",
    ),
    "graph-broken": Lesson(
        "parameters of layers that ran, but got no gradient; detach, data and no_grad inside forward()",
        "return self.features(x).detach()",
        "return self.features(x)",
    ),
    "graph-kept": Lesson(
        "losses of earlier steps that are still in memory with their graphs",
        "total_loss += loss",
        "total_loss += loss.item()",
    ),
    "scheduler-per-batch": Lesson(
        "when the scheduler steps, and the rates of one epoch",
        "scheduler = StepLR(optimizer, 10)\nfor x, y in loader:\n    …\n    scheduler.step()",
        "for x, y in loader:\n    …\nscheduler.step()",
    ),
    "scheduler-order": Lesson(
        "whether the optimiser had stepped when the scheduler first did",
        "for epoch in range(10):\n    scheduler.step()\n    train()",
        "for epoch in range(10):\n    train()\n    scheduler.step()",
    ),
    "scheduler-unused": Lesson(
        "the steps of every scheduler that was made",
        "scheduler = CosineAnnealingLR(optimizer, 10)\nfor epoch in range(10):\n    train()",
        "for epoch in range(10):\n    train()\n    scheduler.step()",
    ),
    "learning-rate-high": Lesson(
        "how far a step moves the weights, relative to their size, and the loss",
        "torch.optim.Adam(net.parameters(), lr=1)",
        "torch.optim.Adam(net.parameters(), lr=0.001)",
    ),
    "learning-rate-low": Lesson(
        "how far a step moves the weights, relative to their size",
        "torch.optim.SGD(net.parameters(), lr=1e-7)",
        "torch.optim.SGD(net.parameters(), lr=0.01)",
    ),
    "learning-rate-dropped-early": Lesson(
        "the rates of all epochs; the loss when the rate drops",
        "MultiStepLR(optimizer, [1, 2])           # of 20 epochs",
        "MultiStepLR(optimizer, [10, 15])",
    ),
    "decay-on-norms": Lesson(
        "parameters of one dimension in groups with weight decay",
        "SGD(net.parameters(), lr=0.1, weight_decay=5e-4)",
        "SGD([{'params': matrices, 'weight_decay': 5e-4}, {'params': vectors}], lr=0.1)",
    ),
    "cannot-overfit": Lesson(
        "a copy of the net trained on one batch alone",
        "a net whose layers are cut off from the loss",
        "a net that learns 32 images by heart within 100 steps",
    ),
    "eval-missing": Lesson(
        "the mode of batch norms and dropouts while outputs are compared with labels",
        "with torch.no_grad():\n    correct += (model(x).argmax(1) == y).sum()",
        "model.eval()\nwith torch.no_grad():\n    correct += (model(x).argmax(1) == y).sum()",
    ),
    "train-missing": Lesson(
        "the mode of the net in calls whose loss goes backward",
        "model.train()\nfor epoch in range(10):\n    train()\n    evaluate()          # model.eval() inside",
        "for epoch in range(10):\n    model.train()\n    train()\n    evaluate()",
    ),
    "gradients-in-evaluation": Lesson(
        "judged outputs that carry a graph",
        "model.eval()\ncorrect += (model(x).argmax(1) == y).sum()",
        "model.eval()\nwith torch.no_grad():\n    correct += (model(x).argmax(1) == y).sum()",
    ),
    "training-restarted": Lesson(
        "how many nets and optimisers one line makes in a loop over epochs, and how many steps each takes",
        "for epoch in range(10):\n    model = Net()\n    optimizer = Adam(model.parameters())\n    train(model)",
        "model = Net()\noptimizer = Adam(model.parameters())\nfor epoch in range(10):\n    train(model)",
    ),
    "accuracy-axis": Lesson(
        "the dimension of argmax, max, topk and softmax on outputs [N, C]",
        "predicted = outputs.argmax(0)",
        "predicted = outputs.argmax(1)",
    ),
    "accuracy-count": Lesson(
        "what is compared with the labels, and what the count is divided by",
        "correct = (predicted == y).sum()         # in the loop",
        "correct += (predicted == y).sum().item()",
    ),
    "weights-not-kept": Lesson(
        "whether the weights that a net loads lie in the memory of its own",
        "if score > best: best, state = score, model.state_dict()\n…\nmodel.load_state_dict(state)",
        "if score > best: best, state = score, copy.deepcopy(model.state_dict())",
    ),
    "selected-on-test": Lesson(
        "where the score comes from that is compared with the best one, through functions too",
        "score = accuracy(model, test_loader)\nif score > best: save(model)",
        "score = accuracy(model, val_loader)\nif score > best: save(model)",
    ),
    "last-batch-small": Lesson(
        "images modulo batch size, in nets with batch norm",
        "DataLoader(train_set, batch_size=64, shuffle=True)      # 6,401 images",
        "DataLoader(train_set, batch_size=64, shuffle=True, drop_last=True)",
    ),
    "bias-before-norm": Lesson(
        "convolutions with a bias that only batch norm reads",
        "nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16)",
        "nn.Conv2d(3, 16, 3, bias=False), nn.BatchNorm2d(16)",
    ),
    "activation-missing": Lesson(
        "the path between two layers; bottlenecks and separable convolutions are left in peace",
        "nn.Linear(400, 120), nn.Linear(120, 10)",
        "nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 10)",
    ),
    "activation-doubled": Lesson(
        "activations whose input is an activation",
        "x = torch.tanh(F.relu(self.fc(x)))",
        "x = F.relu(self.fc(x))",
    ),
    "dropout-before-norm": Lesson(
        "batch norms that read what dropout makes",
        "nn.Conv2d(16, 16, 3), nn.Dropout(0.5), nn.BatchNorm2d(16)",
        "nn.Conv2d(16, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.5)",
    ),
    "judged-net-differs": Lesson(
        "how far the judged net's weights have gone along the way of the trained one's",
        "average = copy.deepcopy(net); evaluate(average, val)        # nothing updates it",
        "average.lerp_(net, 0.1) after every step, for each parameter",
    ),
    "momentum-high": Lesson(
        "momentum and betas as the optimiser holds them",
        "Adam(net.parameters(), betas=(0.999, 0.9))",
        "Adam(net.parameters(), betas=(0.9, 0.999))",
    ),
    "clipping-late": Lesson(
        "clipping that never comes between a backward and its step",
        "loss.backward(); optimizer.step(); clip_grad_norm_(net.parameters(), 1.0)",
        "loss.backward(); clip_grad_norm_(net.parameters(), 1.0); optimizer.step()",
    ),
    "norm-momentum": Lesson(
        "the momentum of each batch norm: 0 or nearly so, or 0.9 and more",
        "nn.BatchNorm2d(16, momentum=0.99)        # as in Keras",
        "nn.BatchNorm2d(16, momentum=0.01)        # or torch's own 0.1",
    ),
    "dropout-on-logits": Lesson(
        "a dropout that reads the last layer and gives the output",
        "return self.drop(self.head(x))",
        "return self.head(self.drop(x))",
    ),
    "dropout-high": Lesson(
        "the probability of each dropout of the net: above 0.75",
        "nn.Dropout(keep_prob)                    # 0.9 of the units are dropped, not kept",
        "nn.Dropout(1 - keep_prob)",
    ),
    "pooled-away": Lesson(
        "convolutions that see a map of one or two pixels",
        "five MaxPool2d(2) on 32 pixels, then nn.Conv2d(64, 64, 3, padding=1)",
        "three MaxPool2d(2) on 32 pixels",
    ),
    "bad-initialisation": Lesson(
        "the weights' size times the root of their fan-in, before the first step",
        "nn.init.constant_(layer.weight, 0.0)",
        "nn.init.kaiming_normal_(layer.weight)",
    ),
    "dead-units": Lesson(
        "units of a ReLU that were 0 for every image of several batches",
        "nn.init.constant_(conv.bias, -10.0)",
        "nn.init.constant_(conv.bias, 0.0)",
    ),
    "saturated-units": Lesson(
        "the share of a sigmoid's or tanh's outputs at its ends",
        "x = torch.sigmoid(100 * self.fc(x))",
        "x = F.relu(self.fc(x))",
    ),
    "gradient-vanishing": Lesson(
        "the first layer's gradient against the last one's",
        "eight layers with sigmoid between them",
        "eight layers with ReLU and batch norm between them",
    ),
    "gradient-exploding": Lesson(
        "the lengths of the layers' gradients",
        "x = x + 30 * self.block(x)               # six times",
        "x = x + self.block(x)",
    ),
    "not-finite": Lesson(
        "the first layer or line whose result is not finite, and the step",
        "loss = -torch.log(torch.exp(z) / torch.exp(z).sum(1, keepdim=True))",
        "loss = F.cross_entropy(z, labels)",
    ),
    "loss-flat": Lesson(
        "the loss at the start against now, after hundreds of steps at the full rate",
        "a rate of 1e-6, labels that do not belong to the images, a cut graph",
        "a loss that is below ln(classes) after the first epoch",
    ),
    "overfitting": Lesson(
        "training and validation over the epochs",
        "60 images, 40 epochs, no augmentation",
        "more images, augmentation, dropout, weight decay, or fewer epochs",
    ),
    "underfitting": Lesson(
        "the training accuracy at the end",
        "nn.Conv2d(3, 1, 3)                       # one channel",
        "nn.Conv2d(3, 16, 3)",
    ),
}
