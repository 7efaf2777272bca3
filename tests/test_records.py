"""A class made by ``ipad_agent.records`` is what ``dataclasses`` would have made, only cheaper.

``SOURCE`` is loaded twice, once with each maker; every sentence is true of both.
"""

from __future__ import annotations

import ast
import copy
import dataclasses
import pickle
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

import pytest

from ipad_agent import records

ROOT = Path(__file__).resolve().parents[1]

SOURCE = '''
from __future__ import annotations
from abc import ABC, abstractmethod
from typing import ClassVar, Generic, Protocol, TypeVar
from MAKER import dataclass, field

T = TypeVar("T")

@dataclass(frozen=True, slots=True)
class Point:
    """Where."""
    x: int
    y: int = 2
    kind: ClassVar[str] = "point"
    names: list[str] = field(default_factory=list)
    secret: str = field(default="", repr=False)
    note: str = field(default="", compare=False)

    def shifted(self) -> Point:
        return Point(self.x + 1, self.y)

    def __post_init__(self) -> None:
        if self.x < 0:
            raise ValueError("x")

@dataclass(frozen=True, slots=True)
class Place(Point):
    name: str = "here"

@dataclass(slots=True)
class Counter:
    count: int = 0
    seen: dict[str, int] = field(default_factory=dict, metadata={"unit": "n"})

@dataclass(frozen=True, slots=True, order=True)
class Version:
    major: int
    minor: int = 0

@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    b: int = 1
    a: int

@dataclass(frozen=True, slots=True)
class Mixed(Named):
    first: int

@dataclass(frozen=True, slots=True)
class Nothing:
    pass

@dataclass(frozen=True, slots=True)
class One:
    value: float

@dataclass(slots=True, eq=False)
class Identity:
    value: int

@dataclass(frozen=True, slots=True)
class OwnMethods:
    value: int
    def __eq__(self, other: object) -> bool:
        return isinstance(other, OwnMethods)
    def __hash__(self) -> int:
        return 7
    def __repr__(self) -> str:
        return "own"

@dataclass
class Loose:
    value: int = 3
    def __post_init__(self) -> None:
        self.more = self.value + 1

@dataclass(frozen=True, slots=True)
class Box(Generic[T]):
    value: T

class Shape(Protocol):
    @property
    def sides(self) -> int: ...

@dataclass(frozen=True, slots=True)
class Square(Shape):
    sides: int = 4

class Base(ABC):
    __slots__ = ()
    @abstractmethod
    def go(self) -> int: ...

@dataclass(slots=True)
class Going(Base):
    value: int
    def go(self) -> int:
        return self.value

@dataclass(slots=True)
class Standing(Base):
    value: int

@dataclass(slots=True)
class Node:
    me: object = None
'''


@pytest.fixture(params=["dataclasses", "ipad_agent.records"])
def made(request: pytest.FixtureRequest) -> Iterator[Any]:
    name = f"made_by_{request.param.replace('.', '_')}"
    module = ModuleType(name)
    sys.modules[name] = module
    exec(compile(SOURCE.replace("MAKER", request.param), name, "exec"), module.__dict__)  # noqa: S102
    yield module
    del sys.modules[name]


def test_values_are_kept_by_position_by_name_and_by_default(made: Any) -> None:
    point = made.Point(1, names=["a"])
    assert (point.x, point.y, point.names, point.secret) == (1, 2, ["a"], "")
    assert made.Point(1).names is not made.Point(1).names
    assert made.Nothing() == made.Nothing()
    assert made.Point.kind == "point"
    assert made.Named(a=2).b == 1
    mixed = made.Mixed(5, a=1)
    assert (mixed.first, mixed.a, mixed.b) == (5, 1, 1)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda made: made.Point(), r"Point.__init__\(\) missing 1 required positional argument: 'x'"),
        (lambda made: made.Point(1, z=3), r"Point.__init__\(\) got an unexpected keyword argument 'z'"),
        (lambda made: made.Named(1), r"Named.__init__\(\) takes 1 positional argument but 2"),
        (lambda made: made.Standing(1), "abstract"),
        (lambda made: made.Version(1) < 3, "not supported between"),
        (lambda made: hash(made.Counter()), "unhashable type: 'Counter'"),
    ],
)
def test_what_is_wrong_is_refused_in_the_same_words(made: Any, call: Callable[[Any], object], words: str) -> None:
    for _ in range(2):  # at the first time, and when the method is there
        with pytest.raises(TypeError, match=words):
            call(made)


def test_what_is_frozen_stays_as_it_is(made: Any) -> None:
    for point in (made.Point(1), made.Place(1)):
        with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'x'"):
            point.x = 5
        with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'x'"):
            del point.x
        # Another name ends in a TypeError in Python 3.11's own, whose class is not the one that it was made from.
        with pytest.raises((dataclasses.FrozenInstanceError, TypeError)):
            point.other = 5
        assert point.x == 1
        assert not hasattr(point, "__dict__")


def test_a_class_that_inherits_from_a_frozen_one_may_have_attributes_besides() -> None:
    """Python 3.11's own cannot do that: its method asks for the class that it was made from."""

    @records.dataclass(frozen=True, slots=True)
    class Place:
        x: int
        y: int = 2

    class Extended(Place):
        def __init__(self, x: int) -> None:
            super().__init__(x)
            self.extra = 1

    extended = Extended(3)
    del extended.extra
    with pytest.raises(dataclasses.FrozenInstanceError):
        extended.y = 5  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        del extended.y
    assert (extended.x, extended.y, vars(extended)) == (3, 2, {})


def test_what_is_not_frozen_can_be_changed_but_gets_no_new_names(made: Any) -> None:
    counter = made.Counter()
    counter.count += 1
    assert counter.count == 1
    with pytest.raises(AttributeError):
        counter.other = 1
    assert made.Loose().more == 4
    assert made.Loose.value == 3


def test_equality_and_hash_are_those_of_the_compared_fields(made: Any) -> None:
    assert made.Point(1) == made.Point(1, note="other")
    assert made.Point(1) != made.Point(1, secret="s")
    assert made.Point(1) != made.Place(1)
    assert made.Point(1) != (1, 2, [], "")
    assert hash(made.Version(1)) == hash(made.Version(1, 0)) == hash((1, 0))
    assert {made.One(1.0): "a"}[made.One(1)] == "a"
    assert made.Identity(1) != made.Identity(1)
    assert len({made.Identity(1), made.Identity(1)}) == 2
    assert made.Point.__eq__(made.Point(1), 5) is NotImplemented


def test_methods_of_its_own_stay(made: Any) -> None:
    assert made.OwnMethods(1) == made.OwnMethods(2)
    assert hash(made.OwnMethods(1)) == 7
    assert repr(made.OwnMethods(1)) == "own"
    assert made.Going(3).go() == 3


def test_order_is_that_of_the_fields(made: Any) -> None:
    versions = [made.Version(2), made.Version(1, 5), made.Version(1)]
    assert sorted(versions) == versions[::-1]
    assert made.Version(1) <= made.Version(1) < made.Version(1, 1)
    assert made.Version(2) >= made.Version(1)
    assert made.Version(2) > made.Version(1)


def test_repr_shows_what_may_be_shown(made: Any) -> None:
    assert repr(made.Point(1, secret="s", note="n'")) == 'Point(x=1, y=2, names=[], note="n\'")'
    assert repr(made.Place(1)) == "Place(x=1, y=2, names=[], note='', name='here')"
    assert repr(made.Nothing()) == "Nothing()"
    node = made.Node()
    node.me = node
    assert repr(node) == "Node(me=...)"


def test_a_checked_value_is_checked_whenever_it_is_made(made: Any) -> None:
    with pytest.raises(ValueError, match="x"):
        made.Point(-1)
    for replace in (dataclasses.replace, records.replace):
        with pytest.raises(ValueError, match="x"):
            replace(made.Point(1), x=-1)


def test_replace_changes_a_copy(made: Any) -> None:
    for replace in (dataclasses.replace, records.replace):
        old = made.Point(1, names=["a"], secret="s")
        new = replace(old, y=7)
        assert (new.x, new.y, new.names is old.names, new.secret, old.y) == (1, 7, True, "s", 2)
        assert replace(made.Mixed(1, a=2), a=3) == made.Mixed(1, a=3)
        with pytest.raises(TypeError):
            replace(old, other=1)


def test_copies_are_equal_and_of_the_same_class(made: Any) -> None:
    for value in (made.Point(1, 3, ["a"], "s", "n"), made.Counter(2, {"a": 1}), made.Nothing(), made.Loose(2)):
        copies = [pickle.loads(pickle.dumps(value)), copy.copy(value), copy.deepcopy(value)]
        assert copies == [value] * 3
        assert {type(one) for one in copies} == {type(value)}
        assert copies[0].__reduce_ex__(4)[0:2] == value.__reduce_ex__(4)[0:2]


def test_the_standard_library_reads_the_fields(made: Any) -> None:
    for value in (made.Place(1), made.Place):
        assert dataclasses.is_dataclass(value)
        assert [item.name for item in dataclasses.fields(value)] == ["x", "y", "names", "secret", "note", "name"]
    x, y, names, secret, note, _ = dataclasses.fields(made.Place)
    assert (x.default, y.default, names.default_factory) == (dataclasses.MISSING, 2, list)
    assert (x.repr, secret.repr, note.compare, x.type, x.kw_only) == (True, False, False, "int", False)
    assert dataclasses.fields(made.Counter)[1].metadata == {"unit": "n"}
    assert {item.name: item.kw_only for item in dataclasses.fields(made.Mixed)} == {
        "b": True,
        "a": True,
        "first": False,
    }
    assert dataclasses.asdict(made.Box(made.Version(1))) == {"value": {"major": 1, "minor": 0}}
    assert dataclasses.astuple(made.Version(1)) == (1, 0)
    assert get_type_hints(made.Version) == {"major": int, "minor": int}
    assert made.Version.__dataclass_params__.frozen
    assert made.Version.__dataclass_params__.order


def test_the_fields_are_told_without_the_standard_library(made: Any) -> None:
    fields = records.fields_of(made.Mixed)
    assert {name: item.required for name, item in fields.items()} == {"b": False, "a": True, "first": True}
    assert not records.fields_of(made.Point)["names"].required
    assert [item.metadata for item in records.fields_of(made.Counter).values()] == [{}, {"unit": "n"}]
    assert records.is_record(made.Point)
    assert records.is_record(made.Point(1))
    assert not records.is_record(made.Shape)
    assert not records.is_record(3)


def test_the_class_is_named_documented_and_matched_as_written(made: Any) -> None:
    assert made.Point.__doc__ == "Where."
    assert (made.Point.__qualname__, made.Point.__module__) == ("Point", made.__name__)
    assert made.Point(1).shifted() == made.Point(2)
    assert made.Square().sides == 4
    assert made.Box(3).value == 3
    assert made.Place.__match_args__ == ("x", "y", "names", "secret", "note", "name")
    assert made.Mixed.__match_args__ == ("first",)
    assert made.Place.__slots__ == ("name",)
    match made.Version(3, 4):
        case made.Version(major, minor):
            assert (major, minor) == (3, 4)
        case _:
            pytest.fail("no match")


def test_either_maker_continues_a_class_of_the_other(made: Any) -> None:
    def more(maker: Any) -> Any:
        return maker.dataclass(frozen=True, slots=True)(
            type("More", (made.Point,), {"__annotations__": {"z": "int"}, "z": 9})
        )

    for maker in (dataclasses, records):
        value = more(maker)(1, y=4)
        assert (value.x, value.y, value.z, value.names) == (1, 4, 9, [])
        assert value == type(value)(1, y=4)
        assert value != made.Point(1, y=4)
        assert repr(value).endswith("z=9)")
        with pytest.raises(TypeError, match="frozen"):
            maker.dataclass(slots=True)(type("Thawed", (made.Point,), {"__annotations__": {}}))


@pytest.mark.parametrize("maker", [dataclasses, records])
@pytest.mark.parametrize(
    ("namespace", "options", "error"),
    [
        ({"__annotations__": {"a": "list"}, "a": []}, {}, ValueError),
        ({"__annotations__": {"a": "int", "b": "int"}, "a": 1}, {}, TypeError),
        ({"__annotations__": {}, "__setattr__": lambda self, name, value: None}, {"frozen": True}, TypeError),
        ({"__annotations__": {}, "__lt__": lambda self, other: True}, {"order": True}, TypeError),
        ({"__annotations__": {}}, {"order": True, "eq": False}, ValueError),
    ],
)
def test_a_class_that_cannot_be_meant_is_refused(
    maker: Any, namespace: dict[str, object], options: dict[str, bool], error: type[Exception]
) -> None:
    with pytest.raises(error):
        maker.dataclass(slots=True, **options)(type("Odd", (), namespace))


def test_a_field_without_a_type_and_one_with_two_defaults_are_refused() -> None:
    for maker in (dataclasses, records):
        field: Any = maker.field
        with pytest.raises(TypeError, match="type"):
            maker.dataclass(slots=True)(type("Odd", (), {"a": field()}))
        with pytest.raises(ValueError, match="default"):
            field(default=1, default_factory=list)


def test_a_method_is_made_when_it_is_first_needed_and_once() -> None:
    made: Any = records.dataclass(frozen=True, slots=True)(type("Fresh", (), {"__annotations__": {"a": "int"}}))
    names = ("__init__", "__eq__", "__hash__", "__repr__", "__dataclass_fields__")
    before = {name: made.__dict__[name] for name in names}
    assert {type(method).__name__ for method in before.values()} == {"_Late"}
    value: Any = made(1)
    assert [name for name in names if made.__dict__[name] is not before[name]] == ["__init__"]
    init = made.__dict__["__init__"]
    assert (value, hash(value), repr(value)) == (made(1), hash((1,)), "Fresh(a=1)")
    assert made.__dict__["__init__"] is init
    assert [name for name in names if made.__dict__[name] is before[name]] == ["__dataclass_fields__"]


def test_importing_it_loads_nothing_of_what_it_saves() -> None:
    """``dataclasses`` loads ``inspect``, and that a parser of Python."""
    tree = ast.parse((ROOT / "ipad_agent" / "records.py").read_text(encoding="utf-8"))
    top = {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
    assert top == {"__future__", "collections.abc", "typing"}


def test_all_classes_of_values_are_made_in_one_way() -> None:
    """By ``records``, but for the lab, which shares no code with the agent."""
    makers = {"dataclass", "make_dataclass", "field"}
    others = []
    for path in sorted((ROOT / "ipad_agent").rglob("*.py")):
        if path.relative_to(ROOT / "ipad_agent").parts[0] in ("lab", "records.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "dataclasses":
                used = {alias.name for alias in node.names}
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                used = {node.attr} if node.value.id == "dataclasses" else set()
            else:
                continue
            if used & makers:
                others.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert others == []
