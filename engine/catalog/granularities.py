"""Granularities: what is cut as one piece."""

from __future__ import annotations

from engine.catalog.entry import Entry, Param

ENTRIES: tuple[Entry, ...] = (
    Entry(
        kind="granularity",
        name="weight",
        title="Single weights",
        family="Unstructured",
        summary="Every weight on its own. Keeps accuracy longest; needs sparse kernels or packing to save anything.",
        formula="one score a weight",
        source="LeCun, Denker & Solla 1990; Han et al. 2015",
        when="For the smallest file, or as the upper bound of what structured pruning can reach.",
        words="single weights",
    ),
    Entry(
        kind="granularity",
        name="unit",
        title="Units",
        family="Structured",
        summary="Whole neurons, channels and filters, with all that is coupled to them: a smaller dense net is left.",
        formula="one score a unit; a group's score is reduced over its producers' columns",
        source="Li et al. 2017; groups: Fang et al. 2023",
        when="For a net that is faster on any hardware.",
        words="whole units",
        params=(
            Param(
                name="group",
                type="str",
                doc="how the scores of coupled units become one",
                default="sum",
                choices=("sum", "mean", "max"),
            ),
        ),
    ),
    Entry(
        kind="granularity",
        name="block",
        title="Blocks",
        family="Semi-structured",
        summary="Rectangles of the kernel, flattened to (inputs, outputs): in between weights and units.",
        formula="a block's score is the average or maximum of its entries; at the edge, of those that exist",
        source="Gray, Radford & Kingma 2017; Zhu & Gupta 2017; LiteRT's 1x4 is 4x1 here",
        when="For kernels that skip blocks of zeros: 4x1 is what XNNPACK and LiteRT run faster.",
        words="blocks of {rows}x{cols}",
        params=(
            Param(name="rows", type="int", doc="entries along the inputs", default=4, low=1, high=65_536),
            Param(name="cols", type="int", doc="entries along the outputs", default=1, low=1, high=65_536),
            Param(
                name="pooling",
                type="str",
                doc="how the scores of a block become one",
                default="average",
                choices=("average", "max"),
            ),
        ),
    ),
    Entry(
        kind="granularity",
        name="n:m",
        title="n of every m",
        family="Semi-structured",
        summary="Of every m weights in a row along the inputs, n are kept; the pattern fixes the sparsity to 1 - n/m.",
        formula="the n largest scores of each group of m inputs, for each output and kernel position",
        source="Mishra et al. 2021 (2:4, NVIDIA sparse tensor cores); Zhou et al. 2021",
        when="For hardware that runs 2:4. The target sparsity is 1 - n/m, and may be left out.",
        words="{n} of every {m} weights",
        params=(
            Param(name="n", type="int", doc="weights kept of each group", default=2, low=1, high=1024),
            Param(name="m", type="int", doc="weights a group", default=4, low=2, high=1024),
        ),
    ),
)
