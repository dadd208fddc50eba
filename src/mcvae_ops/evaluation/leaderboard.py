"""Merge score cards: only equal tasks on equal cells stand side by side.

Cards with the same hash of cells and split make one board. Of a task whose definition differs
between two cards of a board (another list of complexes, other settings), the first card's stands,
and the other is listed apart with the reason. What two cards say of one representation is joined: a
later card adds the scores that the first one has not.
"""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from mcvae_ops.errors import InputError
from mcvae_ops.evaluation.card_tasks import FAMILIES
from mcvae_ops.evaluation.score_card import CONTROLS, FORMAT, with_excess

KEYS = ("format", "screen", "split", "tasks", "representations")
COLUMNS = [
    "screen", "split", "task", "family", "rung", "definition", "representation", "model", "space",
    "kind", "flags", "value", "low", "high", "n", "units", "seeds", "rank", "excess", "excess_low",
    "excess_high", "shortcut", "measure", "paper", "doi",
]  # fmt: skip


def check_card(card: object, path: str) -> dict:
    """Return a card that was read from a file.

    Raises
    ------
    InputError
        If it is none, or of another format.
    """
    found = card.get("format") if isinstance(card, dict) else None
    if found != FORMAT or not all(key in card for key in KEYS):
        raise InputError(
            where=path,
            found=f"a file of format {found!r}",
            expected=f"a score card of format {FORMAT!r}",
            fix="make the card again with this version, or leave it out of leaderboard.cards",
        )
    return card


def merged(cards: Mapping[str, dict]) -> tuple[list[dict], list[dict]]:
    """Return the boards, and what is listed apart.

    Parameters
    ----------
    cards
        Path -> card; of cards that disagree, the first one counts.

    Returns
    -------
    Boards: screen, split, cards, tasks (key -> family, rung, definition) and representations, each
    with its scores of these tasks, ranked and with its excess over the best shortcut of the board.
    Listed apart: card, what, reason.
    """
    boards: dict[str, dict] = {}
    apart, screens = [], {}
    for path, card in cards.items():
        board = boards.get(card["split"])
        if board is None:
            if card["screen"] in screens:
                reason = (
                    f"other cells or another split than {screens[card['screen']]}: it has a board "
                    "of its own"
                )
                apart.append({"card": path, "what": f"screen {card['screen']}", "reason": reason})
            board = {"screen": card["screen"], "split": card["split"], "cards": []}
            boards[card["split"]] = board | {"tasks": {}, "representations": {}}
            board = boards[card["split"]]
            screens.setdefault(card["screen"], path)
        board["cards"].append(path)
        apart += _add(board, card, path)
    for board in boards.values():
        board["representations"] = list(board["representations"].values())
        _judge(board)
    return list(boards.values()), apart


def _add(board: dict, card: dict, path: str) -> list[dict]:
    """Add the representations of a card to a board; return what is listed apart."""
    apart, usable = [], []
    for key, task in card["tasks"].items():
        known = board["tasks"].get(key)
        if task["family"] not in FAMILIES:
            reason = "a task that this version does not know"
        elif known and known["definition"] != task["definition"]:
            reason = (
                f"another definition ({task['definition']}, not {known['definition']}): other "
                "settings or another list"
            )
        else:
            board["tasks"].setdefault(key, task)
            usable.append(key)
            continue
        apart.append({"card": path, "what": key, "reason": reason})
    held = board["representations"]
    for one in card["representations"]:
        scores = {key: dict(one["scores"][key]) for key in usable if key in one["scores"]}
        name, space = one["model"], one["space"]
        before = held.get((name, space))
        if before is not None:
            if name in CONTROLS or _alike(before["scores"], scores):
                before["scores"] = scores | before["scores"]
                before["flags"] = list(dict.fromkeys([*before["flags"], *one["flags"]]))
                continue
            name = f"{name} ({path})"
        if scores:
            held[name, space] = one | {"model": name, "scores": scores, "card": path}
    return apart


def _alike(first: dict, second: dict) -> bool:
    """Tell whether two cards give the same scores on the tasks that both have, and both have one.

    Without a common task, nothing says that two representations of one name are the same.
    """
    both = [(first[key]["value"], second[key]["value"]) for key in first.keys() & second.keys()]
    return bool(both) and all(abs(one - other) < 1e-9 for one, other in both)


def _judge(board: dict) -> None:
    """Rank the representations on every task, and take the excess over the board's shortcuts.

    A representation that may hold the label has no rank, and takes none from others.
    """
    places: dict[tuple[str, str], list[float]] = {}
    for key, task in board["tasks"].items():
        is_high = FAMILIES[task["family"]].higher_is_better
        found = {
            (one["model"], one["space"]): one["scores"][key]
            for one in board["representations"]
            if key in one["scores"]
        }
        if is_high:
            with_excess(found)
        ranked = [name for name in found if name not in _labelled(board)]
        values = pd.Series([found[name]["value"] for name in ranked], dtype=float)
        ranks = values.rank(method="min", ascending=not is_high)
        for estimate in found.values():
            estimate["rank"] = None
        for name, rank in zip(ranked, ranks, strict=True):
            found[name]["rank"] = int(rank)
            if is_high and len(ranked) > 1:
                places.setdefault(name, []).append((rank - 1) / (len(ranked) - 1))
    for one in board["representations"]:
        own = places.get((one["model"], one["space"]))
        one["place"] = sum(own) / len(own) if own else None
        one["against"] = _against_shortcuts(one["scores"].values())
    board["representations"].sort(key=lambda one: (one["place"] is None, one["place"] or 0.0))


def _against_shortcuts(scores: Iterable[dict]) -> dict[str, int]:
    """Return on how many tasks a representation is better or worse than the best shortcut.

    It is, where the 95 % interval of the excess lies above or below 0; otherwise it is open.
    """
    asked = [score for score in scores if score.get("excess_low") is not None]
    above = sum(score["excess_low"] > 0 for score in asked)
    below = sum(score["excess_high"] < 0 for score in asked)
    return {"above": above, "open": len(asked) - above - below, "below": below}


def _labelled(board: dict) -> set[tuple[str, str]]:
    flagged = (one for one in board["representations"] if "label" in one["flags"])
    return {(one["model"], one["space"]) for one in flagged}


def as_table(boards: Sequence[dict]) -> pd.DataFrame:
    """Return one row per board, task and representation, with the columns `COLUMNS`."""
    rows = []
    for board in boards:
        for one in board["representations"]:
            for key, score in one["scores"].items():
                task = board["tasks"][key]
                family = FAMILIES[task["family"]]
                rows.append(
                    score
                    | {name: board[name] for name in ("screen", "split")}
                    | {name: task[name] for name in ("family", "rung", "definition")}
                    | {name: one[name] for name in ("model", "space", "kind")}
                    | {
                        "task": key,
                        "representation": f"{one['model']}, {one['space']}",
                        "flags": ", ".join(one["flags"]),
                        "measure": family.metric_words,
                        "paper": family.paper,
                        "doi": family.doi,
                    }
                )
    return pd.DataFrame(rows, columns=COLUMNS).sort_values(
        ["screen", "split", "task", "rank", "representation"], kind="stable", ignore_index=True
    )
