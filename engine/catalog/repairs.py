"""What mends a pruned model; a recipe may list several, and they run in the order written."""

from __future__ import annotations

from engine.catalog.entry import Entry, Param

ENTRIES = (
    Entry(
        kind="repair",
        name="none",
        title="Nothing",
        family="no training",
        summary="The pruned model is measured as it is.",
        formula="w <- w * m",
        when="To see what pruning alone costs; the honest baseline of every repair.",
        words="repair nothing",
    ),
    Entry(
        kind="repair",
        name="fine_tune",
        title="Fine-tuning",
        family="training",
        summary="Trains the weights that are left for a few epochs; optionally the dense model's answers teach, too.",
        formula="loss = CE(y, f(x)) + alpha * CE(softmax(dense(x) / T), softmax(f(x) / T))",
        source="Han et al., 2015 (prune and retrain); Hinton et al., 2015 (distillation)",
        when="Whenever labels and time are there. A learning rate of a tenth of the first one is a good start.",
        words="fine-tune for {epochs} epochs",
        params=(
            Param(name="epochs", type="int", doc="epochs of training", default=3, low=0, high=100_000),
            Param(
                name="learning_rate",
                type="float",
                doc="its own learning rate; empty: the one of the dense training",
                low=0.0,
                optional=True,
            ),
            Param(
                name="schedule",
                type="str",
                doc="how the learning rate goes over these epochs: stays, falls on a half cosine or a line to 0",
                default="constant",
                choices=("constant", "cosine", "linear"),
            ),
            Param(
                name="patience",
                type="int",
                doc="epochs without a better validation metric before it stops (the best state is kept); empty: never",
                low=1,
                optional=True,
            ),
            Param(
                name="distillation",
                type="float",
                doc="alpha, the weight of the dense model's soft targets beside the labels; 0: labels alone",
                default=0.0,
                low=0.0,
                high=1000.0,
            ),
            Param(
                name="temperature",
                type="float",
                doc="T, softens both models' logits for the soft targets",
                default=1.0,
                low=0.01,
                high=100.0,
            ),
        ),
        needs=frozenset({"data", "labels", "gradients"}),
    ),
    Entry(
        kind="repair",
        name="recalibrate",
        title="Recalibrate BatchNorm",
        family="no labels",
        summary="Takes the BatchNorm statistics anew over a few batches; no labels, no gradients.",
        formula="mean, var <- those of the batch-normalised inputs over the batches",
        source="Li et al., 2020 (EagleEye, adaptive batch normalisation)",
        when="After unit pruning of any network with BatchNorm: without it the loss looks far worse than it is.",
        words="recalibrate BatchNorm over {batches} batches",
        params=(
            Param(name="batches", type="int", doc="batches of training inputs", default=20, low=1, high=1_000_000),
            Param(name="batch_size", type="int", doc="inputs a batch (unless batches are given)", default=128, low=2),
        ),
        needs=frozenset({"data", "batchnorm"}),
    ),
    Entry(
        kind="repair",
        name="interpolate",
        title="Interpolate from what is left",
        family="no labels",
        summary=(
            "Writes each removed unit as a linear mixture of the kept ones (least squares on unlabelled inputs, with a "
            "ridge where cross-validation finds it better) and folds the mixture into the layers that read it."
        ),
        formula="T = argmin ||Z - Z[:, keep] T||_F; W_next <- T W_next",
        source="Chee et al., NeurIPS 2022 (model preserving compression)",
        when="After unit pruning by any criterion, above all where no labels or no time to train are there.",
        words="interpolate removed units from {samples} unlabelled inputs",
        params=(
            Param(name="samples", type="int", doc="unlabelled training inputs", default=1000, low=1, high=10_000_000),
        ),
        needs=frozenset({"data", "graph"}),
        granularities=("unit",),
    ),
    Entry(
        kind="repair",
        name="rewind",
        title="Rewind",
        family="training",
        summary="Puts everything that is left back to its value at initialisation, or after a few early steps.",
        formula="theta <- m * theta_k",
        source="Frankle & Carbin, ICLR 2019; Frankle et al., ICML 2020 (k > 0)",
        when="To find lottery tickets: with the iterative schedule, or before a fine-tuning as long as the training.",
        words="rewind to step {step}",
        params=(
            Param(
                name="step",
                type="int",
                doc="k, the optimizer step whose state returns; 0 is the initialisation",
                default=0,
                low=0,
                high=10_000_000,
            ),
        ),
    ),
)
