"""Schedules: at which times the masks change, and how far."""

from __future__ import annotations

from engine.catalog.entry import Entry, Param

_CONTROL = Param(
    name="control",
    type="str",
    doc="a control instead: the same mask shuffled inside each layer, or new random initial weights under it",
    default="none",
    choices=("none", "shuffle", "reinitialise"),
)


def _time(name: str, doc: str, default: float) -> Param:
    return Param(
        name=name,
        type="float",
        doc=f"{doc}; a share of training when a decimal up to 1.0, else a step",
        default=default,
        low=0.0,
    )


def _number(name: str, doc: str, default: float, low: float, high: float | None = None) -> Param:
    return Param(name=name, type="float", doc=doc, default=default, low=low, high=high)


ENTRIES: tuple[Entry, ...] = (
    Entry(
        kind="schedule",
        name="one_shot",
        title="One shot after training",
        family="Once",
        summary="Train, prune once to the target, then repair.",
        formula="s = target, after the last step",
        source="LeCun, Denker & Solla 1990; Han et al. 2015",
        when="The quickest, and for a model that comes trained. Fine-tune afterwards.",
        words="once, after training",
    ),
    Entry(
        kind="schedule",
        name="at_init",
        title="At initialisation",
        family="Once",
        summary="Prune before the first step, then train what is left.",
        formula="s = target, before step 0",
        source="Lee, Ajanthan & Torr 2019; survey: Wang et al. 2022",
        when="With snip, grasp, synflow and force; with random and magnitude as controls.",
        words="once, before training",
        params=(_CONTROL,),
    ),
    Entry(
        kind="schedule",
        name="cubic",
        title="Gradual (cubic)",
        family="While training",
        summary="Sparsity rises while the net trains: fast at first, slowly at the end.",
        formula="s_t = s_f + (s_i - s_f) * (1 - (t - t0) / (t1 - t0))^power",
        source="Zhu & Gupta 2017, eq. 1",
        when="The best default when the net is trained here: no fine-tuning needed afterwards.",
        words="gradually while it trains (from {begin} to {end})",
        params=(
            _number("initial", "sparsity of the first update", 0.0, 0.0, 1.0),
            Param(
                name="final",
                type="float",
                doc="sparsity of the last update; empty: the target",
                default=None,
                low=0.0,
                high=1.0,
                optional=True,
            ),
            _time("begin", "when it begins", 0.0),
            _time("end", "when the final sparsity is reached", 0.75),
            _number("power", "the exponent; 1 is linear", 3.0, 0.01, 100.0),
            Param(name="frequency", type="int", doc="steps between two updates", default=100, low=1),
        ),
    ),
    Entry(
        kind="schedule",
        name="iterative",
        title="Iterative (lottery tickets)",
        family="In rounds",
        summary="Train, cut a share of what is left, rewind, and again, until the target is reached.",
        formula="a round cuts n = ceil(share * left); rewind to theta_0 (init), theta_k (early), or not at all (none)",
        source="Frankle & Carbin 2019; rewinding to early steps: Frankle et al. 2020",
        when="To find the sparsest net that still trains well, when many trainings are affordable.",
        words="in rounds of {share} of what is left",
        params=(
            _number("share", "share of what is left that a round cuts", 0.2, 1e-6, 0.999999),
            Param(
                name="output_share",
                type="float",
                doc="share that a round cuts of the last kernel (0.1 in the paper, with scope layer); empty: as of all",
                default=None,
                low=0.0,
                high=0.999999,
                optional=True,
            ),
            Param(
                name="rounds",
                type="int",
                doc="rounds to the target in equal ratios; empty: as many as the share needs",
                default=None,
                low=1,
                high=1000,
                optional=True,
            ),
            Param(
                name="rewind",
                type="str",
                doc="where the weights go back to before a round",
                default="init",
                choices=("init", "early", "none"),
            ),
            _time("rewind_to", "the early point for rewind: early", 0.05),
            Param(
                name="epochs",
                type="int",
                doc="epochs of a round; empty: those of train",
                default=None,
                low=1,
                optional=True,
            ),
            _CONTROL,
        ),
    ),
    Entry(
        kind="schedule",
        name="drop_grow",
        title="Drop and grow (SET, RigL)",
        family="While training",
        summary="Sparse from the first step to the last; every so often the weakest weights move to better places.",
        formula="k = share/2 (1 + cos(pi t / t_end)) active: drop the k smallest |w|, grow k by |gradient| or chance",
        source="Mocanu et al. 2018 (SET); Evci et al. 2020 (RigL)",
        when="To train at the cost of the sparse net; with scope erk.",
        words="then drop the smallest and grow others every {frequency} steps",
        params=(
            Param(
                name="grow",
                type="str",
                doc="what grows: the largest gradients (RigL) or chance (SET)",
                default="gradient",
                choices=("gradient", "random"),
            ),
            _number("share", "share of the active weights moved at the start (a)", 0.3, 0.0, 1.0),
            Param(name="frequency", type="int", doc="steps between two moves", default=100, low=1),
            _time("end", "when moving stops", 0.75),
        ),
    ),
    Entry(
        kind="schedule",
        name="dynamic",
        title="Dynamic",
        family="By itself",
        summary="When, where and how much follow from each layer's mean column norm: a settled layer is pruned next.",
        formula="delta_l = |mu_l(t) - mu_l(t-1)| / mu_l(t-1) <= tau: layer l is settled",
        source="this project's own method",
        when=(
            "When no sparsity is known in advance; with target column_norm. Units that went are removed physically on "
            "the way, where the next epochs gain more than compiling again costs. An event takes two epochs or more."
        ),
        words="when a layer's mean column norm has settled",
        params=(
            Param(name="patience", type="int", doc="epochs without a gain that end the dense phase", default=3, low=1),
            _number("tau", "largest relative change of a settled layer's mean column norm", 0.02, 0.0, 1.0),
            Param(
                name="max_wait",
                type="int",
                doc="epochs after which the steadiest layer counts as settled",
                default=5,
                low=1,
            ),
            Param(name="recovery", type="int", doc="epochs a pruned state has to recover", default=3, low=0),
        ),
    ),
    Entry(
        kind="schedule",
        name="sensitivity",
        title="Sensitivity (each layer alone)",
        family="By itself",
        summary="Each layer is pruned alone at every sparsity; then all at once, each as far as it can bear.",
        formula="s_l = max s with metric(dense) - metric(layer l alone at s) <= accuracy_drop",
        source="Han et al. 2015, section 4; Li et al. 2017, section 3.2",
        when="To see which layers matter, and for shares of its own for each. With target accuracy_drop or sparsity.",
        words="once, with shares from each layer's sensitivity",
        params=(
            Param(
                name="sparsities",
                type="floats",
                doc="sparsities at which each layer is tried alone",
                default=(0.0, 0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.97, 0.99),
                low=0.0,
                high=1.0,
            ),
        ),
        needs=frozenset({"data", "labels"}),
    ),
)
