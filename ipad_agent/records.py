"""``dataclass``, ``field`` and ``replace`` as in the standard library's ``dataclasses``, but cheap to make.

The standard library writes, compiles and runs the source of each method of each class when a module is loaded: a
millisecond per class, for hundreds of classes of which a run uses few. Here a class gets its slots at once and each
method when it is first needed, after which it is an ordinary method (docs/decisions/25). ``dataclasses.fields``,
``asdict``, ``replace``, ``is_dataclass`` and ``FrozenInstanceError`` mean these classes too.

What nobody here needs is not offered: ``field`` takes no ``init``, ``hash`` or ``kw_only``. Type checkers see the
standard library's own functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

__all__ = ["RecordField", "dataclass", "field", "fields_of", "is_record", "replace"]

_MISSING: Final = object()
_MEMBER: Final = type(type("_Slotted", (), {"__slots__": ("slot",)}).__dict__["slot"])


class RecordField:
    """What ``field`` was told."""

    __slots__ = ("compare", "default", "default_factory", "metadata", "name", "repr")

    def __init__(self, default: object, default_factory: Any, repr: bool, compare: bool, metadata: Any) -> None:
        self.name = ""
        self.default = default
        self.default_factory = default_factory
        self.repr = repr
        self.compare = compare
        self.metadata: Mapping[Any, Any] = {} if metadata is None else metadata

    @property
    def required(self) -> bool:
        """Whether an object cannot be made without it."""
        return self.default is _MISSING and self.default_factory is _MISSING


def _field(
    *,
    default: object = _MISSING,
    default_factory: object = _MISSING,
    repr: bool = True,
    compare: bool = True,
    metadata: object = None,
) -> RecordField:
    if default is not _MISSING and default_factory is not _MISSING:
        raise ValueError("a field has a default or a default_factory, not both")
    return RecordField(default, default_factory, repr, compare, metadata)


class _Record:
    """What is kept of a class until its methods are needed; ``__record__`` of the class."""

    __slots__ = ("annotations", "by_name", "eq", "fields", "frozen", "order", "owner")

    def __init__(self, frozen: bool, eq: bool, order: bool) -> None:
        self.owner: type[Any]
        self.frozen = frozen
        self.eq = eq
        self.order = order
        self.fields: dict[str, RecordField] = {}
        self.annotations: dict[str, object] = {}
        self.by_name: set[str] = set()


def _dataclass(
    cls: type[Any] | None = None,
    /,
    *,
    frozen: bool = False,
    slots: bool = False,
    eq: bool = True,
    order: bool = False,
    kw_only: bool = False,
) -> Any:
    if order and not eq:
        raise ValueError("order needs eq")
    if cls is not None:
        return _made(cls, frozen, slots, eq, order, kw_only)
    return lambda cls: _made(cls, frozen, slots, eq, order, kw_only)


def _made(cls: type[Any], frozen: bool, slots: bool, eq: bool, order: bool, kw_only: bool) -> type[Any]:
    """The class anew, with slots: those of a class that exists cannot be changed."""
    record = _Record(frozen, eq, order)
    inherited_slots: set[str] = set()
    for base in reversed(cls.__mro__[1:-1]):
        above_slots = base.__dict__.get("__slots__", ())
        inherited_slots.update((above_slots,) if isinstance(above_slots, str) else above_slots)
        above: _Record | None = base.__dict__.get("__record__")
        if above is not None:
            base_frozen = above.frozen
            record.fields.update(above.fields)
            record.annotations.update(above.annotations)
            record.by_name.update(above.by_name)
        elif "__dataclass_fields__" in base.__dict__:
            base_frozen = base.__dict__["__dataclass_params__"].frozen
            _take_standard(record, base)
        else:
            continue
        if base_frozen != frozen:
            raise TypeError(f"{cls.__qualname__}: of a class and its base both are frozen or none")
    namespace = dict(cls.__dict__)
    annotations: dict[str, object] = namespace.get("__annotations__", {})
    own = _own_fields(cls, namespace, annotations)
    for name, item in own.items():
        record.fields[name] = item
        record.annotations[name] = annotations[name]
        if kw_only:
            record.by_name.add(name)
        else:
            record.by_name.discard(name)
    positional = [name for name in record.fields if name not in record.by_name]
    _check_order_of_defaults(cls, [record.fields[name] for name in positional])
    for name in ("__dict__", "__weakref__"):
        namespace.pop(name, None)
    if slots:
        namespace["__slots__"] = tuple(name for name in own if name not in inherited_slots)
    else:
        namespace |= {name: item.default for name, item in own.items() if item.default is not _MISSING}
    namespace.setdefault("__match_args__", tuple(positional))
    namespace["__record__"] = record
    _add_methods(cls, namespace, record)
    kind: Any = type(cls)
    made: type[Any] = kind(cls.__name__, cls.__bases__, namespace)
    made.__qualname__ = cls.__qualname__
    record.owner = made
    return made


def _take_standard(record: _Record, base: type[Any]) -> None:
    """The fields of a base that ``dataclasses`` itself made, such as one of the lab's."""
    import dataclasses

    for item in dataclasses.fields(base):
        default, default_factory = (
            _MISSING if value is dataclasses.MISSING else value for value in (item.default, item.default_factory)
        )
        taken = RecordField(default, default_factory, item.repr, bool(item.compare), item.metadata)
        taken.name = item.name
        record.fields[item.name] = taken
        record.annotations[item.name] = item.type
        if item.kw_only:
            record.by_name.add(item.name)


def _own_fields(cls: type[Any], namespace: dict[str, Any], annotations: dict[str, object]) -> dict[str, RecordField]:
    """The fields that this class itself names, their defaults taken out of its namespace: the slots go there."""
    found: dict[str, RecordField] = {}
    for name, annotation in annotations.items():
        if "ClassVar" in (annotation if isinstance(annotation, str) else repr(annotation)):
            continue
        item = namespace.pop(name, _MISSING)
        if not isinstance(item, RecordField):
            if item.__class__.__hash__ is None:
                raise ValueError(f"{cls.__qualname__}.{name}: say default_factory, or all objects share one default")
            item = RecordField(item, _MISSING, True, True, None)
        item.name = name
        found[name] = item
    for name, value in namespace.items():
        if isinstance(value, RecordField):
            raise TypeError(f"{cls.__qualname__}.{name} is a field without a type")
    return found


def _check_order_of_defaults(cls: type[Any], positional: list[RecordField]) -> None:
    optional = False
    for item in positional:
        if item.required and optional:
            raise TypeError(f"{cls.__qualname__}: {item.name} has no default, but one before it has")
        optional = not item.required


def _add_methods(cls: type[Any], namespace: dict[str, Any], record: _Record) -> None:
    """What the class does not define itself, mostly to be made when it is first asked for."""
    late = ["__init__", "__repr__"]
    if record.eq:
        late.append("__eq__")
    for name in late:
        if name not in namespace:
            namespace[name] = _Late()
    if record.eq and namespace.get("__hash__") is None:  # Python itself sets None beside an own __eq__
        namespace["__hash__"] = _Late() if record.frozen else None
    if record.order:
        for name in _COMPARISONS.keys() - {"__eq__"}:
            if name in namespace:
                raise TypeError(f"{cls.__qualname__} has {name} of its own and says order=True")
            namespace[name] = _Late()
    if record.frozen:
        for name, method in (("__setattr__", _refuse_setting), ("__delattr__", _refuse_deleting)):
            if name in namespace:
                raise TypeError(f"{cls.__qualname__} has {name} of its own and says frozen=True")
            namespace[name] = method
        namespace.setdefault("__getstate__", _state)
        namespace.setdefault("__setstate__", _set_state)
    namespace["__dataclass_fields__"] = _Late()
    namespace["__dataclass_params__"] = _Late()


class _Late:
    """Stands for a method until it is first asked for; then the method takes its place in the class."""

    __slots__ = ("name", "owner")

    def __set_name__(self, owner: type[Any], name: str) -> None:
        self.owner = owner
        self.name = name

    def __get__(self, instance: object, kind: type[Any] | None = None) -> Any:
        made = _MAKERS[self.name](self.owner.__record__)
        if self.owner.__dict__[self.name] is self:
            setattr(self.owner, self.name, made)
        if not callable(made):
            return made
        made.__name__ = self.name
        made.__qualname__ = f"{self.owner.__qualname__}.{self.name}"
        made.__module__ = self.owner.__module__
        return made if instance is None else made.__get__(instance, kind)


def _compiled(name: str, parameters: list[str], lines: list[str], known: dict[str, object]) -> Callable[..., Any]:
    """Source and not a closure over the names of the fields, which takes two to three times as long in every call."""
    source = "\n ".join([f"def {name}({', '.join(parameters)}):", *(lines or ["pass"])])
    exec(source, known)  # noqa: S102  # made of the names of fields only
    return cast("Callable[..., Any]", known.pop(name))


def _init(record: _Record) -> Callable[..., Any]:
    known: dict[str, object] = {"_MISSING": _MISSING, "_set": object.__setattr__}
    positional: list[str] = ["self"]
    by_name: list[str] = []
    lines: list[str] = []
    for number, (name, item) in enumerate(record.fields.items()):
        parameter = value = name
        if item.default_factory is not _MISSING:
            known[f"_make{number}"] = item.default_factory
            parameter, value = f"{name}=_MISSING", f"_make{number}() if {name} is _MISSING else {name}"
        elif item.default is not _MISSING:
            known[f"_default{number}"] = item.default
            parameter = f"{name}=_default{number}"
        (by_name if name in record.by_name else positional).append(parameter)
        if not record.frozen:
            lines.append(f"self.{name} = {value}")
        elif (slot := _slot(record.owner, name)) is not None:
            known[f"_set{number}"] = slot  # a quarter faster than asking ``object`` by the name
            lines.append(f"_set{number}(self, {value})")
        else:
            lines.append(f"_set(self, {name!r}, {value})")
    if hasattr(record.owner, "__post_init__"):
        lines.append("self.__post_init__()")
    return _compiled("__init__", [*positional, *(["*", *by_name] if by_name else [])], lines, known)


def _slot(owner: type[Any], name: str) -> Callable[[object, object], None] | None:
    """What sets this slot of an object; None where the name is no slot."""
    for kind in owner.__mro__:
        if name in kind.__dict__:
            member: Any = kind.__dict__[name]
            return cast("Callable[[object, object], None]", member.__set__) if isinstance(member, _MEMBER) else None
    return None


def _repr(record: _Record) -> Callable[..., Any]:
    from reprlib import recursive_repr

    shown = ", ".join(f"{name}={{self.{name}!r}}" for name, item in record.fields.items() if item.repr)
    lines = [f'return f"{{self.__class__.__qualname__}}({shown})"']
    return recursive_repr()(_compiled("__repr__", ["self"], lines, {}))


def _compared(record: _Record, whose: str) -> str:
    """What of an object is compared and hashed, as source of a tuple."""
    return "(" + "".join(f"{whose}.{name}, " for name, item in record.fields.items() if item.compare) + ")"


def _hash(record: _Record) -> Callable[..., Any]:
    return _compiled("__hash__", ["self"], [f"return hash({_compared(record, 'self')})"], {})


def _comparison(name: str, operator: str) -> Callable[[_Record], Callable[..., Any]]:
    def make(record: _Record) -> Callable[..., Any]:
        lines = [
            "if other.__class__ is self.__class__:",
            f" return {_compared(record, 'self')} {operator} {_compared(record, 'other')}",
            "return NotImplemented",
        ]
        return _compiled(name, ["self", "other"], lines, {})

    return make


def _standard_twin(record: _Record) -> type[Any]:
    """A class with the same fields, made by ``dataclasses`` itself, which then says what it keeps of a class."""
    import dataclasses

    # With a text of its own: ``dataclasses`` would parse a signature for one, 2 ms for each class.
    namespace: dict[str, Any] = {"__doc__": record.owner.__name__, "__module__": record.owner.__module__}
    for name, item in record.fields.items():
        told = {"default": item.default, "default_factory": item.default_factory}
        namespace[name] = dataclasses.field(
            repr=item.repr,
            compare=item.compare,
            metadata=item.metadata,
            kw_only=name in record.by_name,
            **{key: value for key, value in told.items() if value is not _MISSING},
        )
    namespace["__annotations__"] = dict(record.annotations)
    return type(record.owner.__name__, (), namespace)


def _standard_fields(record: _Record) -> object:
    import dataclasses

    twin: Any = dataclasses.dataclass(init=False, repr=False, eq=False)(_standard_twin(record))
    return twin.__dataclass_fields__


def _standard_parameters(record: _Record) -> object:
    import dataclasses

    make = dataclasses.dataclass(frozen=record.frozen, eq=record.eq, order=record.order)
    twin: Any = make(_standard_twin(record))
    return twin.__dataclass_params__


_COMPARISONS: Final = {"__eq__": "==", "__lt__": "<", "__le__": "<=", "__gt__": ">", "__ge__": ">="}

_MAKERS: Final[dict[str, Callable[[_Record], Any]]] = {
    "__init__": _init,
    "__repr__": _repr,
    "__hash__": _hash,
    **{name: _comparison(name, operator) for name, operator in _COMPARISONS.items()},
    "__dataclass_fields__": _standard_fields,
    "__dataclass_params__": _standard_parameters,
}


def _refuse_setting(self: Any, name: str, value: object) -> None:
    if _is_frozen(self, name):
        from dataclasses import FrozenInstanceError

        raise FrozenInstanceError(f"cannot assign to field {name!r}")
    super(self.__record__.owner, self).__setattr__(name, value)


def _refuse_deleting(self: Any, name: str) -> None:
    if _is_frozen(self, name):
        from dataclasses import FrozenInstanceError

        raise FrozenInstanceError(f"cannot delete field {name!r}")
    super(self.__record__.owner, self).__delattr__(name)


def _is_frozen(self: Any, name: str) -> bool:
    """A class that inherits from such a one without being one may have attributes of its own besides."""
    return "__record__" in type(self).__dict__ or name in self.__record__.fields


def _state(self: Any) -> list[object]:
    """For copies: the usual way would set attributes."""
    return [getattr(self, name) for name in self.__record__.fields]


def _set_state(self: Any, state: list[object]) -> None:
    for name, value in zip(self.__record__.fields, state, strict=True):
        object.__setattr__(self, name, value)


def _replace(obj: Any, /, **changes: object) -> Any:
    record: _Record | None = getattr(type(obj), "__record__", None)
    if record is None:
        import dataclasses

        return dataclasses.replace(obj, **changes)
    for name in record.fields:
        if name not in changes:
            changes[name] = getattr(obj, name)
    return type(obj)(**changes)


def is_record(value: object) -> bool:
    """Whether this is a class of values, or an object of one, whoever made it."""
    return hasattr(value, "__record__") or hasattr(value, "__dataclass_fields__")


def fields_of(kind: type[Any]) -> Mapping[str, RecordField]:
    """The fields of a class of values, in order, without loading ``dataclasses``, which takes as long as all of
    ``ipactl``."""
    record: _Record | None = getattr(kind, "__record__", None)
    if record is None:
        record = _Record(frozen=False, eq=False, order=False)
        _take_standard(record, kind)
    return record.fields


if TYPE_CHECKING:
    from dataclasses import dataclass, field, replace
else:
    dataclass, field, replace = _dataclass, _field, _replace
