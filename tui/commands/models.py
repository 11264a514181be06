"""`shrink`, `auto`, `measure`, `export` and `unpack`: the library on a model file."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from engine.catalog import entries
from engine.errors import DataError, ModelError

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
_WORDS = {
    "top5": "test top-5",
    "loss": "test loss",
    "flops": "FLOPs",
    "effective_flops": "FLOPs left",
    "theoretical_speedup": "speed-up in theory",
    "nonzero": "not zero",
    "prunable": "prunable weights",
    "prunable_nonzero": "prunable, not zero",
    "bytes_raw": "bytes",
    "bytes_nonzero": "bytes not zero",
    "bytes_compressed": "bytes packed",
}
_PLAIN = ("litert", "savedmodel")  # their file needs no second word; other kinds of LiteRT do


def shrink(
    *,
    model: Path,
    output: Path,
    sparsity: float,
    criterion: str,
    scope: str,
    round_to: int,
    interpolate: bool,
    data: str | None,
    runs: Path | None,
    force: bool,
) -> int:
    """Scores units, chooses, removes; prints what changed, layer by layer."""
    _free_model(output, force=force)
    if interpolate and data is None:
        raise DataError("interpolation looks at inputs, and none were given", todo="Add --data")
    if data is None and (known := entries("criterion").get(criterion)) is not None and "data" in known.needs:
        raise DataError(f"the criterion {criterion} looks at data, and none were given", todo="Add --data")
    _look(data)
    model = _model_file(model, runs)
    with _quiet():
        from engine.shrinking import shrunk

        source, inputs = _load(model), _inputs(data)
        done = shrunk(
            source,
            inputs,
            sparsity=sparsity,
            criterion=criterion,
            scope=scope,
            round_to=round_to,
            interpolate=interpolate,
        )
        _save(done.model, output)
    table = Table("layer", "units", "parameters", "FLOPs", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in table.columns[1:]:
        column.justify = "right"
    for row in done.report.layers:
        pairs = (
            (row.units_before, row.units_after),
            (row.params_before, row.params_after),
            (row.flops_before, row.flops_after),
        )
        table.add_row(row.layer, *(f"{a:,}" if a == b else f"{a:,} -> {b:,}" for a, b in pairs))
    console = Console(markup=False)
    console.print(table)
    for words in done.report.groups:
        console.print(words, highlight=False)
    for skip in done.report.skipped:
        console.print(f"{skip.layer}: {len(skip.units)} units stay: {skip.reason}", highlight=False)
    (before, after), (flops, left) = done.report.params, done.report.flops
    words = f"{before:,} -> {after:,} parameters, {flops:,} -> {left:,} FLOPs a sample"
    console.print(f"{words} ({flops / max(left, 1):.2f}x in theory)", highlight=False, soft_wrap=True)
    advice = f"What it costs and gains: prune-tui measure {output} --against {model} --data {data or 'DATA'}"
    console.print(advice, highlight=False, soft_wrap=True)
    print(output)  # noqa: T201 - the last line names the file, for scripts
    return 0


def auto(
    *,
    model: Path,
    data: str,
    max_drop: float,
    aim: Any,
    epochs: int,
    output: Path | None,
    runs: Path | None,
    as_json: bool,
    force: bool,
) -> int:
    """Builds the recipe of a search and follows its run."""
    import asyncio

    from engine.automatic import auto_recipe
    from engine.folders import name_of
    from tui.commands.run import started

    given, model = model, _model_file(model, runs)
    if output is not None:
        _free_model(output, force=force)  # said now, not after the search
    recipe = auto_recipe(model, data, max_drop=max_drop, aim=aim, epochs=epochs)
    if model != given:  # the file of every run bears the same name
        run = name_of(model.parent)
        recipe = msgspec.structs.replace(recipe, name=f"auto-{run}", title=recipe.title.replace(model.name, run, 1))
    code, folder = asyncio.run(started(lambda client: client.start_run(recipe, runs), as_json=as_json))
    if output is not None and code == 0:
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / "model.keras", output)
        except OSError as error:
            words = f"it cannot be written: {error.strerror or error}"
            raise ModelError(words, where=str(output), todo=f"The model is in {folder / 'model.keras'}") from None
        click.echo(f"The model is in {output}", err=True)  # the last line of standard output names the session's file
    return code


def measure(
    *,
    model: Path,
    against: Path | None,
    data: str | None,
    batches: tuple[int, ...],
    runtimes: bool,
    runs: Path | None,
    as_json: bool,
) -> int:
    """Measures and prints."""
    _look(data)
    model = _model_file(model, runs)
    against = None if against is None else _model_file(against, runs)
    with _quiet():
        from engine.measurement.contenders import runtimes as compared
        from engine.measurement.measuring import measure as measured

        loaded, pair = _load(model), _test(data)
        reference = None if against is None else _load(against)
        found = measured(loaded, pair, reference=reference, batch_sizes=batches)
        rows = compared(loaded, pair, batch_size=batches[0]) if runtimes else ()
    plain = msgspec.json.decode(msgspec.json.encode(found))
    more = msgspec.json.decode(msgspec.json.encode(rows))
    if as_json:
        print(msgspec.json.encode({**plain, "runtimes": more}).decode())  # noqa: T201 - a command's output
        return 0
    console = Console(soft_wrap=True, markup=False)
    table = Table("", "", box=None, pad_edge=False, show_header=False)
    if plain.get("metric"):
        table.add_row(f"test {plain['metric']['name']}", _metric(plain["metric"]["value"]))
    for key, value in (*plain.items(), *plain["counts"].items()):
        if isinstance(value, str | int | float) and not isinstance(value, bool) and value != "":
            table.add_row(_WORDS.get(key, key.replace("_", " ")), _said(value))
    for row in plain["latency"]:
        speed = "" if row["speedup"] is None else f"   {row['speedup']:.2f}x the speed"
        spread = f"{row['low']:.3f} to {row['high']:.3f}"
        table.add_row(f"milliseconds, batch {row['batch_size']}", f"{row['median']:.3f} ({spread}){speed}")
    for row in more:
        threads = f"{row['threads']} thread{'' if row['threads'] == 1 else 's'}"
        words = row["missing"] if row.get("missing") else f"{row['latency']['median']:.3f} ms, {threads}"
        table.add_row(row["title"], words)
    console.print(table)
    return 0


def export(
    *, source: str, formats: tuple[str, ...], output: Path | None, data: str | None, runs: Path | None, force: bool
) -> int:
    """Writes each format and says what to expect of it; only what lies in a run's own exports is replaced unasked."""
    _look(data)
    path, target = _model_file(Path(source), runs), Path(source).parent
    if path != Path(source):
        target, force = path.parent / "exports", force or output is None
    console = Console(markup=False)
    with _quiet():
        from engine.exporting.formats import get_format
        from engine.exporting.writing import export as write

        places = {}
        for name in formats:
            chosen = get_format(name, path)
            kind = "" if chosen.name in chosen.suffix or chosen.name in _PLAIN else f".{chosen.name}"
            file = f"{path.stem}{kind}{chosen.suffix}"
            whole = output is not None and output.suffix and len(formats) == 1
            place = places[name] = output if output is not None and whole else (output or target) / file
            _free(place, force=force, source=path)
        model, pair = _load(path), _test(data)
        for name, place in places.items():
            report = write(model, place, format=name, data=pair)
            console.print(f"{report.path}   {report.bytes:,} bytes", highlight=False, soft_wrap=True)
            for note in report.notes:
                console.print(f"  {note}", highlight=False, soft_wrap=True)
    return 0


def unpack(*, packed: Path, output: Path | None, force: bool) -> int:
    """Loads a packed file and saves it as Keras does."""
    todo = "Give a file that `prune-tui export --format packed` wrote"
    if not packed.is_file():
        there = "this is a folder, not a packed file" if packed.is_dir() else "there is no such file"
        raise ModelError(there, where=str(packed), todo=todo)
    target = output or packed.with_suffix(".keras")
    if target != packed:  # else it is most likely a .keras file that was given, which is said below
        _free_model(target, force=force, source=packed)
    with packed.open("rb") as file:
        if not file.read(8).startswith(b"\x89PRUNE"):
            raise ModelError("this is no packed model", where=str(packed), todo=todo)
    _free_model(target, force=force, source=packed)
    with _quiet():
        from engine.exporting.packing import load_packed

        _save(load_packed(packed), target)
    print(target)  # noqa: T201 - the last line names the file, for scripts
    return 0


def _free_model(place: Path, *, force: bool, source: Path | None = None) -> None:
    if place.suffix != ".keras":
        raise ModelError("a model goes into a .keras file", where=str(place), todo="Give -o NAME.keras")
    _free(place, force=force, source=source)


def _free(place: Path, *, force: bool, source: Path | None = None) -> None:
    if source is not None and place.resolve() == source.resolve():
        raise ModelError("that is the file it comes from", where=str(place), todo="Name another with -o")
    if place.is_dir() and (place.suffix or not force):
        raise ModelError("there is a folder of that name already", where=str(place), todo="Name another with -o")
    if place.exists() and not force:
        raise ModelError(
            "there is a file of that name already", where=str(place), todo="Name another with -o, or add --force"
        )
    above = next(folder for folder in (*place.absolute().parents, Path("/")) if folder.exists())
    if not above.is_dir():
        raise ModelError("this is a file, not a folder", where=str(above), todo="Name another place with -o")
    if not os.access(above, os.W_OK):
        raise ModelError("you may not write there", where=str(above), todo="Name another place with -o")


def _said(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _metric(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.4f}"


class _quiet:  # noqa: N801 - used like a function
    """Native code's chatter on standard error goes nowhere while the work is done."""

    def __enter__(self) -> None:
        self._kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2)
        os.close(null)

    def __exit__(self, *_: object) -> None:
        os.dup2(self._kept, 2)
        os.close(self._kept)


def _model_file(named: Path, runs: Path | None) -> Path:
    """A model's file as it is, or the result of the run of that name."""
    from engine import folders
    from engine.errors import UnknownName

    if named.suffix == ".keras" or named.expanduser().is_file():
        return named
    try:
        folder = folders.find(named, runs=runs)
    except UnknownName as error:
        if named.expanduser().is_dir():
            raise ModelError(
                "this is a folder, neither a run's nor a model", where=str(named), todo="Give a .keras file"
            ) from None
        hint = f"did you mean {' or '.join(error.near)}?" if error.near else "`prune-tui sessions` lists the runs"
        raise ModelError(f"there is no such file, and no run of that name ({hint})", where=str(named)) from None
    if not (folder / "model.keras").is_file():
        raise ModelError("this run has left no model", where=folder.name, todo="Let it run to its end first")
    return folder / "model.keras"


def _load(path: Path) -> Any:
    from engine.models.file import load_model

    return load_model(path)


def _save(model: Any, path: Path) -> None:
    temporary = path.with_name(f".{path.stem}.saving.keras")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        model.save(temporary)
        os.replace(temporary, path)
    except OSError as error:  # it names the temporary file, of which nobody has heard
        raise ModelError(f"it cannot be written: {error.strerror or error}", where=str(path)) from None
    finally:
        temporary.unlink(missing_ok=True)


def _look(data: str | None) -> None:
    """Tells what can be told of wrong data before anything is loaded."""
    from engine import named_files
    from engine.automatic import data_of

    if data is not None:
        named_files.look(data_of(data))


def _dataset(data: str | None) -> Any:
    if data is None:
        return None
    from engine.automatic import data_of
    from engine.data import load

    part = data_of(data)
    return load(part["name"], **{k: v for k, v in part.items() if k != "name"})


def _test(data: str | None) -> Any:
    found = _dataset(data)
    return None if found is None else (found.x_test, found.y_test)


def _inputs(data: str | None) -> Any:
    found = _dataset(data)
    return None if found is None else (found.x_train[:2000], found.y_train[:2000])
