"""The arguments of a rule's function, taken from the rule by name."""

import inspect
from collections.abc import Callable, Sequence
from types import NoneType
from typing import get_args, get_origin, get_type_hints

from mcvae_ops.errors import InputError
from mcvae_ops.screen import name_of

SECTIONS = ("input", "output", "params")


def bind(function: Callable, snakemake, where: str, overrides: dict) -> dict:
    """Return the keyword arguments with which a rule calls its function.

    Every named input, output and param of the rule is the argument of that name. Wildcards fill
    the parameters that remain, plates and wells under the names of the configuration. Inputs
    without a name only order jobs; they are not passed on.

    Parameters
    ----------
    function
        The function of a script; its annotations decide the types, see `as_annotated`.
    snakemake
        What Snakemake hands to a script.
    where
        The rule, for messages.
    overrides
        Arguments that take the place of the rule's.

    Raises
    ------
    InputError
        If a name of the rule or of the overrides is no parameter, if the rule has a name twice, if
        a parameter without default gets no value, or if a value does not fit its annotation.
    """
    parameters = inspect.signature(function).parameters
    values = _named(snakemake, where) | overrides
    if unknown := [name for name in values if name not in parameters]:
        raise InputError(
            where=where,
            found=f"the name {unknown[0]!r}",
            expected=f"a parameter of {function.__name__} ({', '.join(parameters)})",
            fix="rename it in the rule, or the parameter",
        )
    wildcards = {
        name: name_of(value) if name in ("plate", "well") else value
        for name, value in snakemake.wildcards.items()
        if name in parameters
    }
    values = wildcards | values
    for name, parameter in parameters.items():
        if name not in values and parameter.default is parameter.empty:
            raise InputError.missing(
                where=where,
                what=f"the argument {name!r} of {function.__name__}",
                why="it has no default",
                fix=f"give the rule an input, output or param {name}",
            )
    hints = get_type_hints(function)
    return {name: as_annotated(value, hints[name], name, where) for name, value in values.items()}


def as_annotated(value, annotation, name: str, where: str):
    """Return a value of a rule as its parameter expects it.

    Snakemake writes numbers in wildcards as text, several files as a list of its own kind, and no
    file (`branch` without an otherwise) as an empty list. They become int, list and None where the
    annotation says so. What the configuration holds has been checked against its schema.

    Raises
    ------
    InputError
        If one file stands where a list is expected, or several where one is.
    """
    choices = get_args(annotation) if NoneType in get_args(annotation) else (annotation,)
    if value == [] and NoneType in choices:
        return None
    if annotation is int and isinstance(value, str):
        return int(value)
    is_list = isinstance(value, list)
    if is_list not in [get_origin(choice) in (list, Sequence) for choice in choices]:
        raise InputError(
            where=where,
            found=f"{'a list' if is_list else 'one value'} for {name!r}",
            expected="one value" if is_list else "a list",
            fix="correct the rule, or the annotation of the parameter",
        )
    return list(value) if is_list else value


def _named(snakemake, where: str) -> dict:
    values = {}
    for section in SECTIONS:
        for name, value in getattr(snakemake, section).items():
            if name in values:
                raise InputError.twice(
                    where=where,
                    what=f"the name {name!r} among input, output and params",
                    fix="rename one of the two",
                )
            values[name] = value
    return values
