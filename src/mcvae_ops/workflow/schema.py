"""The configuration against its schema: what is wrong is said in one sentence."""

import difflib

import jsonschema

from mcvae_ops.errors import InputError
from mcvae_ops.workflow.overlays import OPTIONAL

# The new name of each key that had another one.
RENAMED = {
    "archive.dataset": "cells.table",
    "archive.study": "archive.root",
    "screen.acquisition": "screen.images",
    "screen.columns": "cells.columns",
    "alignment.faults": "alignment.quality",
    "screen.path_pattern": "screen.images",
    "training.kl_ramp_steps": "training.kl_warmup_steps",
    "training.level_batches": "training.normalise_batches",
    "training.symmetries": "training.augmentation",
}
# What to do with the value of a key, where it is not the new key's as it stands.
REWRITTEN = {
    "archive.study": "write archive.root: biostudies:S-BIAD394, or the path or address of its JSON "
    "after biostudies:",
    "screen.acquisition": "write its value into screen.images, in place of {acquisition}",
}
# What a rule of the schema asks for, in words.
_WORDS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "more than {}",
    "exclusiveMaximum": "less than {}",
    "multipleOf": "a multiple of {}",
    "minItems": "at least {} of them",
    "minProperties": "at least {} of them",
    "minLength": "some text",
    "uniqueItems": "each of them once",
    "pattern": "text that matches {}",
    "not": "another name",
}


def check_schema(config: dict, schema: dict) -> None:
    """Refuse unknown keys, values of a wrong kind, and missing keys.

    Parameters
    ----------
    config
        The whole configuration, defaults included.
    schema
        ``config.schema.yaml``. It needs no lists of required keys: in the whole configuration every
        key of a section is required.

    Raises
    ------
    InputError
        Names the key, what stands there, what is expected and what to change.
    """
    validator = jsonschema.Draft202012Validator(schema)
    error = jsonschema.exceptions.best_match(validator.iter_errors(config))
    if error is not None:
        raise _explain(error)
    _check_complete(config, schema, ())


def _check_complete(value: object, schema: dict, path: tuple[str, ...]) -> None:
    """Refuse a section that lacks one of its keys.

    A ``$ref`` is not followed: a section that refers to another one holds what differs from it.
    """
    if isinstance(value, list):
        for number, item in enumerate(value):
            _check_complete(item, schema.get("items", {}), (*path, str(number)))
    if not isinstance(value, dict):
        return
    keys = schema.get("properties", {})
    for key in keys:
        if key not in value and key != OPTIONAL:
            raise InputError.missing(
                where=_key((*path, key)),
                what="a value",
                why="this key has no default",
                fix="set it in the file of the screen, which comes first after --configfile "
                "(see config/README.md)",
            )
    for key, part in value.items():
        _check_complete(
            part, keys.get(key) or schema.get("additionalProperties") or {}, (*path, key)
        )


def _key(path: tuple) -> str:
    return "configuration key " + (".".join(map(str, path)) or "(top)")


def _explain(error: jsonschema.ValidationError) -> InputError:
    path, wanted = tuple(error.absolute_path), error.validator_value
    found, fix = repr(error.instance), "correct the value"
    match error.validator:
        case "additionalProperties":
            return _unknown_key(error, path)
        case "type":
            expected = wanted if isinstance(wanted, str) else " or ".join(wanted)
            expected += _described(error)
        case "enum":
            expected, fix = f"one of {', '.join(map(str, wanted))}", "choose one of them"
        case _:
            words = _WORDS.get(error.validator, f"{error.validator} {{}}")
            expected = words.format(wanted) + _described(error)
    return InputError(where=_key(path), found=found, expected=expected, fix=fix)


def _unknown_key(error: jsonschema.ValidationError, path: tuple) -> InputError:
    known = sorted(error.schema["properties"])
    unknown = min(set(error.instance) - set(known), key=str)
    # What differs for a model has the names of `training`.
    section = path[2:] if path[:1] == ("models",) else path
    old = ".".join(map(str, (*section, unknown)))
    if (new := RENAMED.get(old)) is not None:
        parent, _, name = new.rpartition(".")
        moved = parent != ".".join(map(str, section))
        return InputError(
            where=_key((*path, unknown)),
            found="the old name of this key",
            expected=new if moved else name,
            fix=REWRITTEN.get(
                old, "move it there (see config/README.md)" if moved else "rename it"
            ),
        )
    near = difflib.get_close_matches(unknown, known, n=1)
    return InputError(
        where=_key(path),
        found=f"unknown key {unknown!r}",
        expected=f"one of {', '.join(known)}",
        fix=f"write {near[0]!r} instead" if near else "remove it",
    )


def _described(error: jsonschema.ValidationError) -> str:
    description = error.schema.get("description") if isinstance(error.schema, dict) else None
    return f" ({description.rstrip('.')})" if description else ""
