# What Python code gives, made of what JSON has. What cannot be kept is refused with the place where it stands and
# with what can be written in its place.
import json
import sys

DEEPEST = 128
LONGEST_PLACE = 200

# By the name of a class, or of one that it is derived from.
INSTEAD = {
    "bytes": "write `.decode()` of it if it is text, or else `base64.b64encode()` of it and `.decode()` of that",
    "bytearray": "write `.decode()` of it if it is text, or else `base64.b64encode()` of it and `.decode()` of that",
    "memoryview": "write `.tolist()` of it",
    "complex": "write its `.real` and its `.imag`",
    "set": "write `sorted()` or `list()` of it",
    "frozenset": "write `sorted()` or `list()` of it",
    "BaseException": "write `str()` of it",
    "datetime.date": "write `.isoformat()` of it",
    "datetime.time": "write `.isoformat()` of it",
    "datetime.timedelta": "write `.total_seconds()` of it",
    "decimal.Decimal": "write `str()` or `float()` of it",
    "enum.Enum": "write `.value` of it",
    "fractions.Fraction": "write `str()` or `float()` of it",
    "numpy.generic": "write `.item()` of it",
    "numpy.ndarray": "write `.tolist()` of it",
    "pandas.DataFrame": "write `.to_dict(\"records\")` of it",
    "pandas.Index": "write `.tolist()` of it",
    "pandas.NA": "write `None` for it",
    "pandas.NaT": "write `None` for it",
    "pandas.Series": "write `.tolist()` of it",
    "pathlib.PurePath": "write `str()` of it",
    "uuid.UUID": "write `str()` of it",
}
# By what a class has.
OTHERWISE = {
    "__dataclass_fields__": "write `dataclasses.asdict()` of it",
    "model_dump": "write `.model_dump()` of it",
    "__await__": "write what `asyncio.run()` of it gives",
    "__call__": "call it, and write what it gives",
    "__next__": "write `list()` of it",
    "__iter__": "write `list()` of it",
}
# Classes of which there is one value, which has a name.
ONLY = {"NaTType": "pandas.NaT", "NAType": "pandas.NA"}


class Unkept(Exception):
    def __init__(self, what, instead=None):
        self.what, self.instead, self.path = what, instead, []

    def sentence(self):
        instead = f"; {self.instead}" if self.instead else ""
        return f"the output `{self.place()}` cannot be kept: it is {self.what}{instead}"

    def place(self):
        """Where the value stands in the outputs: a list's place, a dictionary's key."""
        name, *parts = reversed(self.path)
        for part in parts:
            if isinstance(part, str) and part.isidentifier():
                name += f".{part}"
            else:
                name += f"[{json.dumps(part, ensure_ascii=False)}]"
        return name if len(name) <= LONGEST_PLACE else name[:LONGEST_PLACE] + "…"


def checked(outputs):
    if not isinstance(outputs, dict):
        fail(f"`outputs` must stay a dictionary, and is {a_name(named(type(outputs)))}")
    for name in outputs:
        if not isinstance(name, str) or not name or not is_text(name):
            fail(f"an output's name must be a text, and this is {shown(name)}")
    try:
        return collected(outputs, ())
    except Unkept as unkept:
        fail(unkept.sentence())


def kept(value, above):
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        if not is_text(value):
            instead = "write `.encode(\"utf-8\", \"replace\").decode()` of it"
            raise Unkept("a text with half of a surrogate pair in it", instead)
        return value
    if isinstance(value, int):
        if not -(1 << 127) <= value < 1 << 127:
            raise Unkept("a whole number of more than 127 bits", "write `str()` of it")
        return value
    if isinstance(value, float):
        if value - value != 0:
            raise Unkept(f"the number {value}", "write `None` or a text for it")
        return value
    if isinstance(value, (list, tuple, dict)):
        if id(value) in above:
            raise Unkept(f"{a_name(named(type(value)))} that holds itself")
        # The dictionary of all outputs is no value of its own.
        if len(above) > DEEPEST:
            raise Unkept(f"nested more than {DEEPEST} deep")
        return collected(value, above)
    plain = plain_number(value)
    if plain is None:
        raise refused(value)
    return kept(plain, above)


def collected(value, above):
    """The members of a list, a tuple or a dictionary. Methods that its class may have made anew are not called."""
    above = (*above, id(value))
    part = None
    try:
        if isinstance(value, dict):
            members = {}
            for part, member in dict.items(value):
                if not isinstance(part, str) or not is_text(part):
                    key, part = part, None
                    instead = "write `str()` of its keys"
                    raise Unkept(f"a dictionary with the key {shown(key)}, which is no text", instead)
                members[part] = kept(member, above)
            return members
        items = []
        for part, item in enumerate((list if isinstance(value, list) else tuple).__iter__(value)):
            items.append(kept(item, above))
        return items
    except Unkept as unkept:
        if part is not None:
            unkept.path.append(part)
        raise


def plain_number(value):
    """The number or truth value that a value of numpy stands for, if it does."""
    numpy = sys.modules.get("numpy")
    if isinstance(value, getattr(numpy, "generic", ())):
        plain = value.item()
        if type(plain) in (bool, int, float):
            return plain
    return None


def refused(value):
    kind = type(value)
    name = named(kind)
    if isinstance(value, type):
        return Unkept(f"the class `{named(value)}`")
    for base in kind.__mro__:
        instead = INSTEAD.get(named(base))
        if instead:
            what = f"`{name}`" if kind.__name__ in ONLY else a_name(name)
            return Unkept(what, instead)
    for attribute, instead in OTHERWISE.items():
        if any(attribute in base.__dict__ for base in kind.__mro__):
            return Unkept(a_name(name), instead)
    return Unkept(a_name(name), "write what is needed of it as texts, numbers, lists or dictionaries")


def named(kind):
    """The name that programs know a class by."""
    name = ONLY.get(kind.__name__) or kind.__qualname__
    if kind.__module__ in ("builtins", "__main__") or kind.__name__ in ONLY:
        return name
    package = str(kind.__module__).partition(".")[0]
    if getattr(sys.modules.get(package), name, None) is kind:
        return f"{package}.{name}"
    return f"{kind.__module__}.{name}"


def a_name(name):
    return f"{'an' if name[0].lower() in 'aeio' else 'a'} `{name}`"


def shown(key):
    text = repr(key)
    return text if len(text) <= 60 else text[:60] + "…"


def is_text(value):
    try:
        return str.isascii(value) or bool(str.encode(value, "utf-8"))
    except UnicodeEncodeError:
        return False
