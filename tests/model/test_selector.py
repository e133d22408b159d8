"""Selectors mean what their texts say, have one text each, and say what is wrong with others."""

import json
from typing import NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qmq.errors import InvalidArgument
from qmq.limits import SELECTOR_BYTES_MAX, SELECTOR_TERMS_MAX
from qmq.model.selector import Selector, parse
from qmq.values import Tag

#: Names that look like parts of the language, and any others.
names = st.one_of(
    st.sampled_from(["a", "b", "in", "notin", "", " ", "a b", '"', "\\", "=", "!a", "a,b", "é"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
)
spaces = st.sampled_from(["", " ", "\t", "\n ", "\N{NO-BREAK SPACE}"])


class Condition(NamedTuple):
    """A term, as a test sees it."""

    key: str
    operator: str
    values: list[str]

    def holds(self, tags: list[Tag]) -> bool:
        """Whether tags are so, by the rules word by word."""
        of_key = [tag.value for tag in tags if tag.key == self.key]
        match self.operator:
            case "exists":
                return bool(of_key)
            case "missing":
                return not of_key
            case "=" | "==" | "in":
                return any(value in self.values for value in of_key)
            case _:
                return all(value not in self.values for value in of_key)


@st.composite
def conditions(draw: st.DrawFn) -> Condition:
    """Return any term."""
    operator = draw(st.sampled_from(["exists", "missing", "=", "==", "!=", "in", "notin"]))
    most = {"exists": 0, "missing": 0, "in": 4, "notin": 4}.get(operator, 1)
    values = draw(st.lists(names, min_size=min(most, 1), max_size=most))
    return Condition(draw(names), operator, values)


@st.composite
def texts_of(draw: st.DrawFn, terms: list[Condition]) -> str:
    """Return one of the ways in which terms can be written."""

    def written(name: str) -> str:
        is_word = name and not any(each.isspace() or each in ',()=!"' for each in name)
        if is_word and draw(st.booleans()):
            return name
        return json.dumps(name, ensure_ascii=draw(st.booleans()))

    def term(condition: Condition) -> str:
        key, space = written(condition.key), draw(spaces)
        match condition.operator:
            case "exists":
                return key
            case "missing":
                return f"!{space}{key}"
            case "in" | "notin" as word:
                values = f"{draw(spaces)},{draw(spaces)}".join(map(written, condition.values))
                # A word that follows another one stands apart.
                return f"{key} {word}{space}({draw(spaces)}{values}{draw(spaces)})"
            case operator:
                return f"{key}{space}{operator}{draw(spaces)}{written(condition.values[0])}"

    return ",".join(f"{draw(spaces)}{term(each)}{draw(spaces)}" for each in terms)


#: So few that their text is never longer than a selector may be.
some_conditions = st.lists(conditions(), min_size=1, max_size=3)
some_tags = st.lists(st.builds(Tag, names, names), max_size=6)


@given(st.data(), some_conditions)
def test_all_terms_have_to_hold(data: st.DataObject, terms: list[Condition]) -> None:
    """A key may have several values: `=` and `in` want one that fits, `!=` and `notin` none."""
    selector = parse(data.draw(texts_of(terms)))
    keys = st.sampled_from([term.key for term in terms])
    values = st.sampled_from([value for term in terms for value in term.values] or [""])
    tags = data.draw(some_tags) + data.draw(st.lists(st.builds(Tag, keys, values), max_size=4))

    assert selector.matches(tags) == all(term.holds(tags) for term in terms)


@given(st.data(), some_conditions)
def test_same_terms_have_the_same_text(data: st.DataObject, terms: list[Condition]) -> None:
    """However they are spaced, quoted and ordered."""
    others = [
        Condition(term.key, term.operator, data.draw(st.permutations(term.values)))
        for term in data.draw(st.permutations(terms))
    ]

    one, other = parse(data.draw(texts_of(terms))), parse(data.draw(texts_of(others)))

    assert one == other
    assert str(one) == str(other)
    assert hash(one) == hash(other)


@given(st.data(), some_conditions)
def test_text_of_a_selector_reads_back_as_it(data: st.DataObject, terms: list[Condition]) -> None:
    """Also where its keys and values look like parts of the language."""
    selector = parse(data.draw(texts_of(terms)))

    assert parse(str(selector)) == selector
    assert str(parse(str(selector))) == str(selector)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        (" team = mail ", "team=mail"),
        ('"team" == "mail"', "team=mail"),
        ("team in (mail)", "team=mail"),
        ("team notin (mail)", "team!=mail"),
        ("env in ( stage , prod,stage )", "env in (prod,stage)"),
        ("team=mail,!old,team=mail", "!old,team=mail"),
        ("in in(in)", "in=in"),
        ("notin,in", "in,notin"),
        (r'a="\u00e9\n"', r'a="é\n"'),
        ('a=""', 'a=""'),
        ("a.b/c-d_e:f*=[x]'{y}", "a.b/c-d_e:f*=[x]'{y}"),
    ],
)
def test_what_is_said_in_two_ways(text: str, same: str) -> None:
    """Different texts with one meaning have one text in the end."""
    assert str(parse(text)) == same


def test_key_with_several_values() -> None:
    """Tags are a set of pairs."""
    tags = [Tag("env", "prod"), Tag("env", "stage"), Tag("team", "mail")]

    for text in ("env=prod", "env=stage", "env in (stage,test)", "env!=test", "env", "!old"):
        assert parse(text).matches(tags), text
    for text in ("env!=prod", "env notin (stage,test)", "env=test", "!env", "old", "team=prod"):
        assert not parse(text).matches(tags), text


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "must not be empty; give one such as team=mail,env in (prod,stage)"),
        (" \n", "must not be empty; give one such as team=mail,env in (prod,stage)"),
        ("team=", 'at its end: expected a value ("" is the empty one)'),
        ("team=mail,", "at its end: expected a key"),
        ("team mail", "at character 6: expected =, !=, in, notin, a comma or the end, got 'mail'"),
        ("team=mail room", "at character 11: expected a comma or the end, got 'room'"),
        ("team===mail", "at character 7: expected a value (\"\" is the empty one), got '='"),
        (",team", "at character 1: expected a key, got ','"),
        ("(team)", "at character 1: expected a key, got '('"),
        ("!!team", "at character 2: expected a key, got '!'"),
        ("!team=mail", "at character 6: expected a comma or the end, got '='"),
        ("env in", "at its end: expected ( and values"),
        ("env in prod", "at character 8: expected ( and values, got 'prod'"),
        ("env in ()", "at character 9: expected a value (\"\" is the empty one), got ')'"),
        ("env in (prod", "at its end: expected a comma or )"),
        ("env in (a b)", "at character 11: expected a comma or ), got 'b'"),
        ('env "in" (a)', "at character 5: expected =, !=, in, notin, a comma or the end, got"),
        ('a="b', "at character 3: the quotes are not closed"),
        ('a="b\\"', "at character 3: the quotes are not closed"),
        (r'a="b\x"', "at character 5: this is not as in a JSON string: Invalid \\escape"),
        ('a="b\n"', "at character 5: this is not as in a JSON string: Invalid control character"),
        (r'a="\ud800"', "at character 3: half of a surrogate pair"),
        ("a=\ud800", "at character 3: cannot be written in UTF-8"),
        (f"a {'b' * 100}", "at character 3: expected =, !=, in, notin, a comma or the end, got 'b"),
    ],
)
def test_error_tells_what_is_wrong_and_where(text: str, rule: str) -> None:
    """And what was expected there."""
    with pytest.raises(InvalidArgument) as caught:
        parse(text)

    assert caught.value.field == "selector"
    assert caught.value.rule.startswith(rule)
    assert len(caught.value.rule) < 120


@given(st.one_of(st.text(max_size=60), st.text(st.sampled_from('ab ,()=!"\\in'), max_size=30)))
@example("\ud800")
@example('"' + "\\" * 500)
@example("!" * 1_000)
@example("(" * 1_000)
@example('""' * 500)
@example("a\0b")
def test_any_text_is_read_or_refused_by_the_one_error(text: str) -> None:
    """Nothing else comes out of whatever is put in."""
    try:
        selector = parse(text)
    except InvalidArgument:
        return
    assert parse(str(selector)) == selector


def test_selector_is_bounded() -> None:
    """In bytes and in terms, repeated ones included."""
    longest = "é" * (SELECTOR_BYTES_MAX // 2)

    assert parse(longest).matches([Tag(longest, "")])
    with pytest.raises(InvalidArgument, match=f"up to {SELECTOR_BYTES_MAX} bytes, got 1025"):
        parse(longest + "a")
    assert parse(",".join(["a"] * SELECTOR_TERMS_MAX)) == parse("a")
    with pytest.raises(InvalidArgument, match="character 40: more than 20 terms"):
        parse(",".join(["a"] * (SELECTOR_TERMS_MAX + 1)))


def test_values_of_other_keys_do_not_count() -> None:
    """Nor does a value that is another tag's key."""
    selector: Selector = parse("a=b,c!=d")

    assert selector.matches([Tag("a", "b"), Tag("b", "a"), Tag("d", "c")])
    assert not selector.matches([Tag("a", "c"), Tag("c", "b")])
    assert not selector.matches([])
