from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ratchet.documents import read_mapping
from ratchet.errors import InputError, nearest
from tests.tables import write_text


def error_of(folder: Path, text: str, name: str = "a.yaml") -> str:
    with pytest.raises(InputError) as refused:
        read_mapping(write_text(folder / name, text))
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_yaml_and_json_with_the_same_content_are_read_alike(tmp_path: Path) -> None:
    yaml = write_text(tmp_path / "a.yaml", "estimator: SVC\nparams:\n  C: 0.5\n")
    json = write_text(tmp_path / "a.json", '{"estimator": "SVC", "params": {"C": 0.5}}')
    assert read_mapping(yaml) == read_mapping(json) == {"estimator": "SVC", "params": {"C": 0.5}}


@pytest.mark.parametrize(
    ("text", "number"),
    [("1e-3", 0.001), ("1.0e3", 1000.0), (".5e3", 500.0), ("-1E+3", -1000.0), ("0.001", 0.001)],
)
def test_1e_3_in_yaml_is_a_number(tmp_path: Path, text: str, number: float) -> None:
    assert read_mapping(write_text(tmp_path / "a.yaml", f"tol: {text}")) == {"tol": number}


@pytest.mark.parametrize("text", ["e5", "1e", "1e5x", "v1.0", "1.2.3"])
def test_a_text_that_only_looks_like_a_number_stays_text(tmp_path: Path, text: str) -> None:
    assert read_mapping(write_text(tmp_path / "a.yaml", f"tol: {text}")) == {"tol": text}


def test_a_repeated_key_is_refused(tmp_path: Path) -> None:
    assert error_of(tmp_path, "C: 1\nC: 2").endswith(
        "is not valid YAML: key 'C' occurs twice; remove one of the two"
    )
    assert "key 'C' occurs twice; remove one of the two" in error_of(
        tmp_path, "params: {C: 1, C: 2}"
    )
    assert "key 'C' occurs twice; remove one of the two" in error_of(
        tmp_path, '{"p": {"C": 1, "C": 2}}', "a.json"
    )


def test_anchors_and_merged_keys_in_yaml_are_read(tmp_path: Path) -> None:
    text = "a: &common {n: 1, m: 2}\nb: {<<: *common, m: 3}\n"
    assert read_mapping(write_text(tmp_path / "a.yaml", text))["b"] == {"n": 1, "m": 3}


def test_a_file_saved_by_windows_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    assert read_mapping(write_text(tmp_path / "a.json", '\ufeff{"a": 1}')) == {"a": 1}


def test_a_missing_file_a_folder_and_an_unknown_extension_have_different_errors(
    tmp_path: Path,
) -> None:
    for path, message in [
        (tmp_path / "a.yaml", "no such file; is the path right"),
        (tmp_path / "a", "no such file; is the path right"),
        (tmp_path, "is a folder, expected a file"),
        (write_text(tmp_path / "a.toml", "a = 1"), "ends in .yaml, .yml, .json"),
    ]:
        with pytest.raises(InputError, match=message):
            read_mapping(path)


@pytest.mark.parametrize("text", ["", " \n\n"])
def test_an_empty_file_is_refused(tmp_path: Path, text: str) -> None:
    assert error_of(tmp_path, text).endswith("is empty; expected a mapping of keys to values")


def test_a_list_or_a_word_is_refused_as_a_config(tmp_path: Path) -> None:
    expected = "; expected a mapping of keys to values"
    assert error_of(tmp_path, "- a\n- b").endswith("contains a list" + expected)
    assert error_of(tmp_path, "[1]", "a.json").endswith("contains a list" + expected)
    assert error_of(tmp_path, "word").endswith("contains 'word'" + expected)
    assert error_of(tmp_path, "# only a comment").endswith("contains nothing" + expected)


def test_broken_yaml_and_json_are_named_with_their_line(tmp_path: Path) -> None:
    assert "is not valid YAML: while parsing" in error_of(tmp_path, "a: 1\nb: [")
    assert "line 2, column 5" in error_of(tmp_path, "a: 1\nb: [")
    assert "is not valid JSON: Expecting" in error_of(tmp_path, '{"a": }', "a.json")


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes("name: café".encode("latin-1"))
    with pytest.raises(InputError, match="is not text in UTF-8; save it as UTF-8"):
        read_mapping(path)


def test_a_tag_that_would_make_an_object_is_refused(tmp_path: Path) -> None:
    assert "is not valid YAML" in error_of(tmp_path, "a: !!python/object/apply:os.system [ls]")


def test_a_date_is_refused_unless_it_is_quoted(tmp_path: Path) -> None:
    assert (
        "2024-01-01 is a date; expected a text, a number, true or false. If it is a text, put it"
        in error_of(tmp_path, "a: 2024-01-01")
    )
    assert read_mapping(write_text(tmp_path / "a.yaml", "a: '2024-01-01'")) == {"a": "2024-01-01"}


@pytest.mark.parametrize(
    "text",
    [
        "a: &x [*x]",
        "a: &x {b: *x}",
        "a: " + "[" * 5000,
        "a: &a [1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b]\n"
        "d: &d [*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d]",
        'a: !!int ""',
        "a: !!bool maybe",
        "a: !!timestamp never",
        "? [a]\n: 1",
        "a: 1\n---\nb: 2",
        "a: 2024-13-45",
    ],
    ids=lambda text: text[:20],
)
def test_malicious_yaml_is_refused_with_one_line(tmp_path: Path, text: str) -> None:
    assert "is not valid YAML" in error_of(tmp_path, text)


def test_deeply_nested_json_is_refused(tmp_path: Path) -> None:
    assert "is not valid JSON" in error_of(tmp_path, '{"a": ' + "[" * 100_000, "a.json")


TAGS = ["!", "!!int", "!!float", "!!bool", "!!set", "!!binary", "!!timestamp", "&a", "*a", "<<"]
WORDS = ["1e3", ".nan", "0x", "1:30", "true", "null", "~", "=", "2024-01-01", "\\u0000", "é"]
MARKS = ["a:", "b:1", "-", "?", "|", ">", "'", '"', "{", "}", "[", "]", ",", "#", "\n", "\t", "---"]
PIECES = st.sampled_from([*TAGS, *WORDS, *MARKS])


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(PIECES, max_size=14), st.sampled_from([" ", "", "\n"]), st.booleans())
def test_any_text_is_read_as_a_mapping_or_refused_with_one_line(
    tmp_path: Path, pieces: list[str], between: str, json: bool
) -> None:
    path = tmp_path / ("a.json" if json else "a.yaml")
    path.write_text(between.join(pieces), encoding="utf-8")
    with suppress(InputError):
        assert isinstance(read_mapping(path), dict)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=40))
def test_any_bytes_are_read_as_a_mapping_or_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(content)
    with suppress(InputError):
        assert isinstance(read_mapping(path), dict)


def test_an_error_stays_one_line_even_if_a_name_has_line_breaks() -> None:
    assert str(InputError("key 'a\nb'\tis \ud800 wrong")) == "key 'a b' is \\ud800 wrong"


def test_an_error_suggests_the_nearest_known_word_or_lists_all() -> None:
    assert nearest("holdot", ["holdout", "seed"]) == "did you mean 'holdout'?"
    assert nearest("qqq", ["holdout", "seed"]) == "known: holdout, seed"
