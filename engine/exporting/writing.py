"""`engine.export`: write, load again, compare with the source, and only then call it done."""

from __future__ import annotations

import lzma
import os
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from engine.errors import ModelError
from engine.exporting import litert
from engine.exporting.advice import advice
from engine.exporting.formats import Format, Run, get_format
from engine.exporting.packing import Packed
from engine.exporting.values import Check, ExportReport
from engine.measurement.answers import batches
from engine.measurement.measuring import example_inputs
from engine.measurement.timing import interleaved

if TYPE_CHECKING:
    import keras

Array = np.ndarray[Any, Any]
CHECKED, EXAMPLES, RANDOM = 1000, 200, 32
_XZ_MOST = 64 << 20


def export(
    model: keras.Model,
    path: str | Path,
    *,
    format: str | None = None,  # noqa: A002 - the name that users of Keras know
    data: Any = None,
    custom_objects: dict[str, Any] | None = None,
) -> ExportReport:
    """Writes a model in a format; the artefact is loaded again and compared with its source before it gets its name.

    Args:
        model: a built model.
        path: where to; what lies there is replaced.
        format: `keras`, `packed`, `litert`, `litert_float16`, `litert_int8`, `litert_int8_full`, `litert_sparse`,
            `litert_sparse_float16`, `onnx` or `savedmodel`; None goes by the path's ending.
        data: `(x, y)`, `(x,)` or a dataset: inputs to compare on (up to 1000), and representative ones for full int8.
        custom_objects: classes of your own, to load the artefact again.

    Raises:
        UnknownName: for an unknown format.
        ModelError: when the model cannot be written so, or the artefact does not answer as its source does. Nothing is
            left behind then.
        DataError: full int8 without data.
    """
    chosen, path = get_format(format, path), Path(path)
    if not getattr(model, "built", True):
        raise ModelError(
            f"the model {model.name!r} is not built, so it has no weights yet", todo="Call it on one batch first"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        fresh = Path(folder) / f"artefact{chosen.suffix}"
        written = chosen.write(model, fresh, _examples(model, data))
        loader, run = chosen.open(fresh, model, custom_objects)
        check = _check(model, chosen, loader, run, data)
        size = _size(fresh)
        report = ExportReport(
            format=chosen.name,
            path=str(path),
            bytes=size,
            weights_bytes=sum(w.numpy().nbytes for w in model.weights),
            check=check,
            xz_bytes=_xz(model),
            ideal_bytes=round(written.ideal) if isinstance(written, Packed) else None,
        )
        report = _timed(report, model, chosen, fresh)
        notes = [*advice(model, report)]
        if isinstance(written, Packed) and written.unsigned:
            notes.append(f"{written.unsigned:,} negative zeros, left by a mask, were written as zeros.")
        _replace(fresh, path)
    return msgspec.structs.replace(report, notes=tuple(notes))


def _check(model: keras.Model, chosen: Format, loader: str, run: Run, data: Any) -> Check:
    import keras

    before: list[Array] = []
    after: list[Array] = []
    labels: list[Array] = []
    worst, scale, seen, several = 0.0, 0.0, 0, False
    given = data if data is not None else (example_inputs(model, None, RANDOM),)
    for x, y in batches(given, rows=200):
        if seen >= CHECKED:
            break
        seen += len(litert.flat(x)[0])
        wanted = [np.asarray(t) for t in keras.tree.flatten(model(x, training=False))]
        answer = _row_by_row(run, x) if chosen.one_row else run(x)
        if len(answer) != len(wanted) or any(a.shape != w.shape for a, w in zip(answer, wanted, strict=True)):
            raise ModelError(f"the {chosen.name} artefact answers in other shapes than its source")
        for a, w in zip(answer, wanted, strict=True):
            # Where both are infinite or no number alike there is no difference; where only one is, it is infinite.
            same = (a == w) | (np.isnan(a.astype("f8")) & np.isnan(w.astype("f8")))
            apart = np.where(same, 0.0, np.abs(a.astype("f8") - np.where(same, 0, w)))
            worst = max(worst, float(np.max(np.nan_to_num(np.where(same, 0.0, apart), nan=np.inf), initial=0.0)))
            scale = max(scale, float(np.max(np.abs(w[np.isfinite(w.astype("f8"))]), initial=0.0)))
        several = len(wanted) > 1
        before.append(wanted[0])
        after.append(answer[0])
        if y is not None and not several and not isinstance(y, dict | list | tuple):
            labels.append(np.asarray(y))
    allowed = None if chosen.tolerance is None else chosen.tolerance * max(1.0, scale)
    if not np.isfinite(worst) or (allowed is not None and worst > allowed):
        raise ModelError(
            f"the {chosen.name} artefact does not answer as its source does (largest difference {worst:.3g}, allowed "
            f"{allowed if allowed is not None else float('inf'):.3g})"
        )
    agreement = accuracy_before = accuracy_after = None
    one, two = np.concatenate(before), np.concatenate(after)
    if not several and one.ndim > 1 and one.shape[-1] > 1:
        agreement = float(np.mean(one.argmax(-1) == two.argmax(-1)))
        truth = np.concatenate(labels) if labels else None
        if truth is not None and truth.shape == one.shape:
            truth = truth.argmax(-1)
        if truth is not None and truth.size == one.argmax(-1).size:
            accuracy_before = float(np.mean(one.argmax(-1).reshape(-1) == truth.reshape(-1)))
            accuracy_after = float(np.mean(two.argmax(-1).reshape(-1) == truth.reshape(-1)))
    return Check(
        loader=loader,
        inputs="data" if data is not None else "random inputs",
        samples=seen,
        difference=worst,
        scale=scale,
        tolerance=chosen.tolerance,
        agreement=agreement,
        accuracy_before=accuracy_before,
        accuracy_after=accuracy_after,
    )


def _timed(report: ExportReport, model: keras.Model, chosen: Format, fresh: Path) -> ExportReport:
    if chosen.suffix != ".tflite":
        return report
    names, one = litert.input_names(model), example_inputs(model, None, 1)
    sparse = litert.runner(fresh.read_bytes(), names=names)
    calls = {"this": lambda: sparse(one)}
    if "sparse" in chosen.name:
        plain = litert.runner(
            litert.convert(model, "float16" if chosen.name.endswith("float16") else "float32"), names=names
        )
        calls["plain"] = lambda: plain(one)
    samples = interleaved(calls, repeats=21, seconds=0.3)
    return msgspec.structs.replace(
        report,
        milliseconds=statistics.median(samples["this"]) * 1e3,
        dense_milliseconds=statistics.median(samples["plain"]) * 1e3 if "plain" in samples else None,
    )


def _examples(model: keras.Model, data: Any) -> list[Any]:
    if data is None:
        return []
    found = []
    for x, _ in batches(data, rows=1):
        found.append(x)
        if len(found) == EXAMPLES:
            break
    return found


def _row_by_row(run: Run, x: Any) -> list[Array]:
    inputs = litert.flat(x)
    each = [run([a[i : i + 1] for a in inputs]) for i in range(len(inputs[0]))]
    return [np.concatenate(parts) for parts in zip(*each, strict=True)]


def _xz(model: keras.Model) -> int | None:
    raw = b"".join(np.ascontiguousarray(w.numpy()).tobytes() for w in model.weights)
    return len(lzma.compress(raw)) if len(raw) <= _XZ_MOST else None


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
    return path.stat().st_size


def _replace(fresh: Path, path: Path) -> None:
    if path.is_dir() or fresh.is_dir():
        # A folder cannot be replaced in one step: the old one steps aside first.
        if path.exists():
            aside = fresh.parent / "before"
            os.replace(path, aside)
            shutil.rmtree(aside) if aside.is_dir() else aside.unlink()
        os.replace(fresh, path)
        return
    with fresh.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(fresh, path)
