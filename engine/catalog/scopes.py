"""Scopes: across which weights the choice is made."""

from __future__ import annotations

from engine.catalog.entry import Entry, Param

_SHARED = (
    Param(
        name="skip",
        type="strs",
        doc="name patterns (* and ? allowed) of layers that are kept whole and not counted",
        default=(),
    ),
    Param(
        name="per_layer",
        type="map",
        doc="sparsity of single layers, by name pattern; the target holds for the others",
        default={},
        low=0.0,
        high=1.0,
    ),
)

ENTRIES: tuple[Entry, ...] = (
    Entry(
        kind="scope",
        name="global",
        title="Global",
        family="One threshold",
        summary="One threshold over the scores of all layers: each layer loses what it can spare.",
        formula="keep the (1 - s) N highest scores of the whole network",
        source="Han et al. 2015; Frankle & Carbin 2019",
        when="The best default for weights. With raw magnitudes it may empty a small layer at extreme sparsity.",
        words="across the whole network",
        params=_SHARED,
    ),
    Entry(
        kind="scope",
        name="layer",
        title="Layer by layer",
        family="Fixed shares",
        summary="The same sparsity in each layer (uniform).",
        formula="keep the (1 - s) n_l highest scores of each layer l",
        source="Zhu & Gupta 2017",
        when="Where scores of different layers cannot be compared, or no layer may run empty.",
        words="in each layer alike",
        params=_SHARED,
    ),
    Entry(
        kind="scope",
        name="erk",
        title="Erdős–Rényi kernel",
        family="Fixed shares",
        summary="Layers with many inputs and outputs are pruned more, small ones less; the total is exact.",
        formula="density_l = eps * sum(dims_l) / prod(dims_l), eps solved for the total, at most 1",
        source="Evci et al. 2020 (RigL), after Mocanu et al. 2018",
        when="For drop_grow (SET, RigL) and for random masks.",
        words="with ERK shares",
        params=_SHARED,
    ),
    Entry(
        kind="scope",
        name="lamp",
        title="LAMP",
        family="One threshold",
        summary="Scores are first made comparable between layers, then one threshold is drawn; no layer runs empty.",
        formula="S(u) = s_u^2 / sum over v >= u of s_v^2, in ascending order of s; then global",
        source="Lee, Park, Mo, Ahn & Shin 2021, eq. 3",
        when="For magnitudes at high sparsity: like global, without layer collapse. Scores may not be negative.",
        words="across the whole network, layer-adapted (LAMP)",
        params=_SHARED,
    ),
    Entry(
        kind="scope",
        name="neuron",
        title="Neuron by neuron",
        family="Fixed shares",
        summary="The same share in every column: each output keeps as many inputs as its neighbour.",
        formula="keep the (1 - s) fan-in highest scores of each column",
        source="Sun et al. 2024 (Wanda); Diao et al. 2023",
        when="With criterion activation (Wanda), or where every unit must stay alive. Weights and blocks only.",
        words="in each neuron alike",
        params=_SHARED,
        granularities=("weight", "block"),
    ),
)
