"""Targets: until when pruning goes on."""

from __future__ import annotations

from engine.catalog.entry import Entry, Param


def _number(name: str, doc: str, default: float, low: float, high: float | None = None) -> Param:
    return Param(name=name, type="float", doc=doc, default=default, low=low, high=high)


_TRIALS = Param(name="trials", type="int", doc="most models tried in the search", default=12, low=1, high=1000)

ENTRIES: tuple[Entry, ...] = (
    Entry(
        kind="target",
        name="sparsity",
        title="A sparsity",
        family="Given",
        summary="A given share of the weights (or units) goes; the count is exact.",
        formula="keep = total - floor(s * total)",
        source="the common form of every pruning paper",
        when="To compare methods at the same size.",
        words="until a share of {sparsity} is gone",
        params=(_number("sparsity", "share that goes (of prunable weights, or of units)", 0.8, 0.0, 1.0),),
    ),
    Entry(
        kind="target",
        name="accuracy_drop",
        title="An accuracy budget",
        family="Budgets",
        summary=(
            "The largest sparsity whose validation accuracy stays within a budget of the dense model's, by a margin "
            "for what the validation examples cannot know."
        ),
        formula="max s with lost + margin * error <= drop; error = std(dense - now, by example) / sqrt(n)",
        source="the compression loop of deployment tools; cf. He et al. 2018 (AMC); one error: Breiman et al. 1984",
        when=(
            "When accuracy is what is promised and size is what is sought. Few validation examples know little: the "
            "fewer they are, the more careful is the search."
        ),
        words="as far as accuracy drops by at most {accuracy_drop}",
        params=(
            _number("accuracy_drop", "accuracy that may be lost (0.01 is one point)", 0.01, 0.0, 1.0),
            _number("margin", "standard errors of the loss that must fit in too; 0 trusts validation", 1.0, 0.0, 10.0),
            _TRIALS,
            Param(
                name="objective",
                type="str",
                doc="what is to be small",
                default="size",
                choices=("size", "flops", "latency"),
            ),
            Param(
                name="vary",
                type="strs",
                doc="what is tried beside the recipe's own words: scope, granularity, shares (from sensitivity)",
                default=(),
                choices=("scope", "shares", "granularity"),
            ),
        ),
        needs=frozenset({"data", "labels"}),
    ),
    Entry(
        kind="target",
        name="pq_index",
        title="PQ Index (SAP)",
        family="By itself",
        summary="Sparsity-informed adaptive pruning: each round cuts what the PQ Index says that the weights can lose.",
        formula="r = d (1 + eta)^(-q/(q-p)) (1 - I)^(pq/(q-p)); cut min(floor(gamma (d - ceil r)), floor(beta d))",
        source="Diao et al. 2023, eq. 2 and algorithm 1",
        when="With schedule iterative and rewind init, when no sparsity is known in advance.",
        words="as far as the PQ Index allows",
        params=(
            _number("p", "the lower norm, 0 < p < q", 0.5, 0.01, 100.0),
            _number("q", "the upper norm", 1.0, 0.01, 100.0),
            _number("eta", "slack of the retained bound", 0.0, 0.0),
            _number("gamma", "scales what is cut", 1.0, 0.0),
            _number("beta", "largest share cut in one round", 0.9, 0.0, 1.0),
            Param(name="rounds", type="int", doc="rounds (T); large nets: 15", default=30, low=1, high=1000),
            Param(
                name="baseline",
                type="str",
                doc="a control in the same rounds: 20 % of what is left by current weights, or by those of round 0",
                default="none",
                choices=("none", "lottery", "one_shot"),
            ),
        ),
    ),
    Entry(
        kind="target",
        name="column_norm",
        title="Mean column norm",
        family="By itself",
        summary="Each layer gives the columns below a factor of its mean column norm, as long as accuracy recovers.",
        formula="units with c_j < alpha_l mu_l go, else weights with |w| < alpha_l mu_l / sqrt(fan_l)",
        source="this project's own method",
        when="With schedule dynamic: no sparsity is given, the net shows what it can spare.",
        words="as far as accuracy recovers to within {tolerance}",
        params=(
            _number("tolerance", "accuracy that may be lost, never below the validation set's noise", 0.005, 0.0, 1.0),
            _number("alpha", "first threshold, as a factor of the mean column norm", 0.5, 0.0, 100.0),
            _number("alpha_step", "how much the factor rises", 0.1, 1e-6, 100.0),
            _number("alpha_max", "above it a layer is done", 2.5, 0.0, 100.0),
            _number("beta", "largest share of a layer that goes at once", 0.3, 1e-6, 1.0),
        ),
        needs=frozenset({"data", "labels"}),
    ),
    Entry(
        kind="target",
        name="flops",
        title="A FLOPs budget",
        family="Budgets",
        summary="The smallest sparsity at which the (effective) FLOPs are within a share of the dense model's.",
        formula="min s with FLOPs(s) <= share * FLOPs(dense)",
        source="He et al. 2018 (AMC); Blalock et al. 2020 on what to report",
        when="When arithmetic is the budget.",
        words="until at most {flops} of the FLOPs are left",
        params=(_number("flops", "share of the dense model's FLOPs that may stay", 0.5, 0.0, 1.0), _TRIALS),
    ),
    Entry(
        kind="target",
        name="size",
        title="A size budget",
        family="Budgets",
        summary="The smallest sparsity at which the stored parameters are within a share of the dense model's.",
        formula="min s with parameters(s) <= share * parameters(dense)",
        source="Han, Mao & Dally 2016",
        when="When storage or download is the budget.",
        words="until at most {size} of the size is left",
        params=(_number("size", "share of the dense model's parameters that may stay", 0.5, 0.0, 1.0), _TRIALS),
    ),
    Entry(
        kind="target",
        name="latency",
        title="A latency budget",
        family="Budgets",
        summary="The smallest sparsity at which the measured prediction time is within a share of the dense model's.",
        formula="min s with median time(s) <= share * median time(dense)",
        source="Yang et al. 2018 (NetAdapt): measured, not estimated",
        when="When time on this machine is the budget; with granularity unit.",
        words="until prediction takes at most {latency} of the time",
        params=(
            _number("latency", "share of the dense model's prediction time that may stay", 0.5, 0.0, 1.0),
            Param(name="batch_size", type="int", doc="examples a timed call", default=1, low=1, high=65_536),
            _TRIALS,
        ),
    ),
    Entry(
        kind="target",
        name="epsilon",
        title="An interpolation error",
        family="By itself",
        summary="Each layer keeps the fewest units from which the others are interpolated within a relative error.",
        formula="smallest k with |R[k,k]| / |R[0,0]| <= epsilon",
        source="Chee et al. 2022, section 3",
        when="With criterion interpolative and repair interpolate: no labels and no training needed.",
        words="within an interpolation error of {epsilon}",
        params=(_number("epsilon", "relative error allowed in each layer", 0.1, 0.0, 1.0),),
        needs=frozenset({"data"}),
    ),
)
