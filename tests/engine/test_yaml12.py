from __future__ import annotations

import math

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import RecipeError
from engine.yaml12 import dump, parse, scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001), ("no", "no"), ("yes", "yes"), ("off", "off"), ("2:4", "2:4"), ("010", 10), ("0o10", 8),
        ("0x1F", 31), ("1_0", "1_0"), ("true", True), ("~", None), ("null", None), (".5", 0.5), ("-.inf", -math.inf),
        ("2026-11-22", "2026-11-22"), ("+12", 12), ("1.", 1.0), ("block:4x1", "block:4x1"), ("=", "="),
    ],
)  # fmt: skip
def test_plain_scalars_follow_the_1_2_core_schema(text: str, value: object) -> None:
    found = parse(f"key: {text}").value["key"]
    assert found == value
    assert type(found) is type(value)


def test_quoted_words_stay_words() -> None:
    assert parse("a: '1e-3'\nb: \"2\"").value == {"a": "1e-3", "b": "2"}


def test_duplicate_keys_are_refused_with_both_places() -> None:
    with pytest.raises(RecipeError) as error:
        parse("a: 1\nb:\n  c: 1\n  c: 2\na: 3\n", "x.yaml")
    assert error.value.problems == (
        "x.yaml:4:3: c: given twice (first in line 3)",
        "x.yaml:5:1: a: given twice (first in line 1)",
    )


@pytest.mark.parametrize("text", ["a: [1", "a: b: c", "\tx: 1", "a: 'open"])
def test_what_is_not_yaml_says_where(text: str) -> None:
    with pytest.raises(RecipeError, match=r"x\.yaml:\d+:\d+: this is not YAML"):
        parse(text, "x.yaml")


def test_tags_that_ask_for_code_are_refused() -> None:
    with pytest.raises(RecipeError, match="not allowed"):
        parse("a: !!python/object/apply:os.system ['true']")


def test_an_alias_of_itself_ends() -> None:
    with pytest.raises(RecipeError, match="without end"):
        parse("a: &x [*x]")


def test_places_are_those_of_keys_and_items() -> None:
    document = parse("a: 1\nb:\n  - x\n  - {c: 2}\n", "f.yaml")
    assert document.where(("b", 1, "c")) == "f.yaml:4:6"
    assert document.where(("b", 0)) == "f.yaml:3:5"
    assert document.where(("b", "missing")) == "f.yaml:2:1"


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, max_examples=150)
@given(
    st.dictionaries(
        st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=6), plain, max_size=4
    )
)
def test_what_is_written_reads_back_by_1_2(value: dict[str, object]) -> None:
    assert parse(dump(value)).value == value


@pytest.mark.parametrize("word", ["no", "1e-3", "2:4", "010", "null", "", "on", "1.5", "0o7", "~", "- x", "a: b"])
def test_ambiguous_words_are_quoted_for_both_versions(word: str) -> None:
    text = dump({"k": word})
    assert parse(text).value == {"k": word}
    assert yaml.safe_load(text) == {"k": word}


def test_scalar_of_an_override() -> None:
    assert scalar("0.95") == 0.95
    assert scalar("unit") == "unit"


@pytest.mark.parametrize("text", ["[" * 3000 + "]" * 3000, "{a: " * 150 + "1" + "}" * 150])
def test_what_is_nested_without_end_is_refused(text: str) -> None:
    with pytest.raises(RecipeError, match="nested"):
        parse(text)


def test_a_number_of_any_length_is_a_number() -> None:
    assert parse("a: " + "9" * 5000).value == {"a": float("inf")}
