"""`engine.export`: write, load again, compare with the source, and only then call it done."""

from __future__ import annotations

import contextlib
import lzma
import os
import shutil
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from engine.errors import DataError, ModelError, PruneError
from engine.exporting import litert
from engine.exporting.advice import advice
from engine.exporting.formats import Format, Run, get_format
from engine.exporting.packing import Packed
from engine.exporting.values import Check, ExportReport
from engine.heads import final_activation
from engine.measurement.answers import batches
from engine.measurement.differences import largest_difference
from engine.measurement.judging import judge
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
        ModelError: when the model cannot be written so, or the artefact does not answer as its source does; or the path
            is a folder that holds other things than a SavedModel. Nothing is left behind then.
        DataError: full int8 without data.
    """
    chosen, path = get_format(format, path), Path(path)
    if not getattr(model, "built", True):
        raise ModelError(
            f"the model {model.name!r} is not built, so it has no weights yet", todo="Call it on one batch first"
        )
    if path.is_dir() and any(path.iterdir()) and not (path / "saved_model.pb").is_file():
        raise ModelError("there is a folder with other things in it", where=str(path), todo="Take another name")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        holder = tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise ModelError(f"nothing can be written there ({error.strerror})", where=str(path)) from error
    with holder as folder:
        fresh = Path(folder) / f"artefact{chosen.suffix}"
        with _in_words(chosen):
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
        report = _timed(report, model, chosen, fresh, data)
        notes = [*advice(model, report)]
        if isinstance(written, Packed) and written.negative_zeros:
            notes.append(
                f"{written.negative_zeros:,} zeros are negative, as a product with a mask leaves them; their signs are "
                "kept and cost bytes. Add 0.0 to those weights to be rid of them."
            )
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
        wanted = [np.asarray(t) for t in keras.tree.flatten(_called(model, x))]
        with _in_words(chosen):
            answer = _row_by_row(run, x) if chosen.one_row else run(x)
        if len(answer) != len(wanted) or any(a.shape != w.shape for a, w in zip(answer, wanted, strict=True)):
            raise ModelError(f"the {chosen.name} artefact answers in other shapes than its source")
        for a, w in zip(answer, wanted, strict=True):
            worst = max(worst, largest_difference(w, a))
            scale = max(scale, float(np.max(np.abs(w[np.isfinite(w.astype("f8"))]), initial=0.0)))
        several = len(wanted) > 1
        before.append(wanted[0])
        after.append(answer[0])
        if y is not None and not several and not isinstance(y, dict | list | tuple):
            labels.append(np.asarray(y))
    tolerance = _tolerance(model, chosen)
    allowed = None if tolerance is None else tolerance * max(1.0, scale)
    if not np.isfinite(worst) or (allowed is not None and worst > allowed):
        raise ModelError(
            f"the {chosen.name} artefact does not answer as its source does (largest difference {worst:.3g}, allowed "
            f"{allowed if allowed is not None else float('inf'):.3g})"
        )
    agreement, accuracy_before, accuracy_after = (None,) * 3 if several else _judged(model, before, after, labels)
    return Check(
        loader=loader,
        inputs="data" if data is not None else "random inputs",
        samples=seen,
        difference=worst,
        scale=scale,
        tolerance=tolerance,
        agreement=agreement,
        accuracy_before=accuracy_before,
        accuracy_after=accuracy_after,
    )


def _tolerance(model: keras.Model, chosen: Format) -> float | None:
    """The format's own; ten roundings of the coarsest type where the source itself computes in 16 bits."""
    halves = litert.half_types(model)
    if not chosen.tolerance or not halves:
        return chosen.tolerance
    return 10 * 2.0 ** (-8 if "bfloat16" in halves else -11)


@contextlib.contextmanager
def _in_words(chosen: Format) -> Iterator[None]:
    try:
        yield
    except PruneError:
        raise
    except OSError as error:
        raise ModelError(f"the {chosen.name} artefact cannot be written ({error.strerror or error})") from error
    except Exception as error:  # exporters and runtimes raise anything for a model that they do not take
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(f"the format {chosen.name} does not take this model ({said[:200]})") from error


def _called(model: keras.Model, x: Any) -> Any:
    try:
        return model(x, training=False)
    except Exception as error:  # Keras and TensorFlow raise anything for inputs that a model is not made for
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(f"the model does not take this data: {said}", todo="Give x as it was trained on") from error


def _judged(
    model: keras.Model, before: list[Array], after: list[Array], labels: list[Array]
) -> tuple[float | None, float | None, float | None]:
    """Agreement of the classes, the source's accuracy and the artefact's; None for what there is not."""
    one, two = np.concatenate(before), np.concatenate(after)
    truth = np.concatenate(labels) if labels else None
    if one.ndim < 2 or not one.size:
        return None, None, None
    how = judge(model, final_activation(model), one, truth, None, whole=lambda: labels)
    was, now = how.classes(one), how.classes(two)
    if was is None or now is None:
        return None, None, None
    agreement = float(np.mean(was == now))
    true = None if truth is None else how.truth(truth, one)
    if true is None:
        return agreement, None, None
    return agreement, float(np.mean(was.ravel() == true.ravel())), float(np.mean(now.ravel() == true.ravel()))


def _timed(report: ExportReport, model: keras.Model, chosen: Format, fresh: Path, data: Any) -> ExportReport:
    if chosen.suffix != ".tflite":
        return report
    names, one = litert.input_names(model), example_inputs(model, data, 1)
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
