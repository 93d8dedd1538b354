"""A template that somebody else wrote can place values, and nothing else."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkiops.errors import InputError
from pkiops.template_sandbox import MAX_SOURCE, UntrustedTemplate
from tests.seeded import seeded

LISTS = frozenset({"items"})
VALUES = {"name": "a name", "pem": "one\ntwo\n", "items": [{"x": "1"}, {"x": "2"}], "number": 3}


def render(source: str) -> str:
    return UntrustedTemplate(source, "t", lists=LISTS).render(VALUES)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("plain\n", "plain\n"),
        ("{{ name }} {{ number }}", "a name 3"),
        ("{% for i in items %}{{ i.x }}{{ ',' if not loop.last else '' }}{% endfor %}", "1,2"),
        ("{% if number == 3 and items %}yes{% else %}no{% endif %}", "yes"),
        ("x: |\n  {{ pem | indent(2) }}", "x: |\n  one\n  two\n"),
        ('{{ name | json }} {{ name | upper }} {{ name | replace("a", "b") }}', '"a name" A NAME b nbme'),
        ("{{ items | length }}", "2"),
    ],
)
def test_what_a_template_may_do(source: str, text: str) -> None:
    assert render(source) == text


HOSTILE = [
    "{{ ''.__class__ }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ name.upper() }}",
    "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "{{ cycler.__init__.__globals__ }}",
    "{{ name.upper }}",
    "{{ items.append }}",
    "{{ loop }}{% for i in items %}{{ loop.changed }}{% endfor %}",
    "{{ self.__init__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ items.__class__ }}",
    "{{ items[0].__class__ }}",
    "{{ items['append'] }}{{ items.append(1) }}",
    "{{ name | attr('__class__') }}",
    "{{ name | map('upper') | join }}",
    "{{ '%999999999d' % 1 }}",
    "{{ 'a' * 1000000000 }}",
    "{{ 2 ** 999999 }}",
    "{{ name ~ name }}",
    "{{ name + name }}",
    "{{ -number }}",
    "{{ [1, 2] }}",
    "{{ {'a': 1} }}",
    "{{ name[0:2] }}",
    "{{ range(10) }}",
    "{% for i in range(999999999) %}x{% endfor %}",
    "{% for c in name %}{{ c }}{% endfor %}",
    "{% for i in items recursive %}{{ loop(items) }}{% endfor %}",
    "{% for i in items %}{% for i in items %}{% for i in items %}x{% endfor %}{% endfor %}{% endfor %}",
    "{% for items in items %}{% for x in items %}x{% endfor %}{% endfor %}",
    "{% for i in items | sort %}x{% endfor %}",
    "{% set x = 1 %}",
    "{% set items = name %}",
    "{% with a = 1 %}{% endwith %}",
    "{% macro m() %}{{ m() }}{% endmacro %}",
    "{% include '/etc/passwd' %}",
    "{% import '/etc/passwd' as x %}",
    "{% extends '/etc/passwd' %}",
    "{% block a %}{% endblock %}",
    "{% filter upper %}x{% endfilter %}",
    "{% call x() %}{% endcall %}",
    "{% raw %}{% endraw %}{{ missing }}",
    "{{ missing.attribute }}",
    "{{ name.missing }}",
    "{{ name | indent(999999999) }}",
    "{{ name | indent(number) }}",
    "{{ name | replace('', name) }}",
    "{{ number | upper }}",
    "{{ name is defined }}",
    "{{ name | safe }}",
    "{% if %}",
    "{{ " + "(" * 5000 + ")" * 5000 + " }}",
    "{{ not " + "not " * 5000 + "name }}",
    "x" * (MAX_SOURCE + 1),
]


@pytest.mark.parametrize(
    "source",
    [
        "{% if a %}" * 120 + "x" + "{% endif %}" * 120,
        "{{ " + "not " * 300 + "a }}",
        "{{ a" + "[0]" * 3000 + " }}",
        "{{ " + " and ".join(["a"] * 5000) + " }}",
        "{{ a" + "|lower" * 800 + " }}",
        "{% if a %}x" + "{% elif a %}y" * 3000 + "{% endif %}",
    ],
    ids=["if", "not", "getitem", "and", "filter", "elif"],
)
def test_what_is_nested_deeper_than_python_can_read_is_refused(source: str) -> None:
    with pytest.raises(InputError, match="nested too deeply"):
        UntrustedTemplate(source, "t", lists=frozenset())


@pytest.mark.parametrize("source", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_template_is_refused(source: str) -> None:
    with pytest.raises(InputError) as caught:
        render(source)
    assert caught.value.code == "trust.template"


def test_a_filter_does_not_blow_the_text_up() -> None:
    many = '{{ pem | replace("o", "' + "o" * 4000 + '")' + ' | replace("o", "' * 0 + " }}"
    assert len(render(many)) > 4000
    bomb = "{{ pem " + ('| replace("o", "' + "o" * 4000 + '") ') * 8 + "}}"
    with pytest.raises(InputError, match="too large"):
        render(bomb)


PIECES = st.sampled_from(
    ["{{", "}}", "{%", "%}", "name", "items", ".", "__class__", "(", ")", "[", "]", "0", "'x'", "|", "upper", "json", "for", "in", "if", "endfor",
     "endif", "set", "=", "*", "~", "loop", "self", " ", "\n", "{#", "#}", "include", "macro", "import", "x"]
)  # fmt: skip


@seeded(300)
@given(st.lists(PIECES, max_size=14).map(" ".join))
def test_any_template_renders_or_is_refused(source: str) -> None:
    try:
        text = render(source)
    except InputError:
        return
    assert not re.search(r"<(class|module|function|bound method|built-in|Loop|Template)", text)
