"""The leaderboard: score cards side by side, as a page and as a table."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from mcvae_ops.errors import InputError
from mcvae_ops.evaluation.card_tasks import FAMILIES
from mcvae_ops.evaluation.leaderboard import as_table, check_card, merged
from mcvae_ops.evaluation.score_card import CONTROLS, MOST_EXPLAINED, MOST_RECALLED
from mcvae_ops.figures import style
from mcvae_ops.files import write_csv, write_text
from mcvae_ops.report.templates import environment


def leaderboard(cards: Sequence[str], page: str, table: str) -> None:
    """Rule leaderboard: merge score cards.

    Parameters
    ----------
    cards
        Paths of cards. Of two that disagree on what a task is, the first one counts.
    page, table
        Outputs: one page of HTML that needs no other file, and all numbers of it (tsv).

    Raises
    ------
    InputError
        If a file is no card of this format.
    """
    boards, apart = merged({path: read_card(path) for path in cards})
    for board in boards:
        spaces = Counter(one["model"] for one in board["representations"])
        for one in board["representations"]:
            one["name"] = style.model_name(one["model"])
            one["has_spaces"] = spaces[one["model"]] > 1
            one["is_control"] = one["model"] in CONTROLS
    families = {name: asdict(family) for name, family in FAMILIES.items()}
    content = {"boards": boards, "families": families}
    html = (
        environment()
        .get_template("leaderboard.html")
        .render(
            # No text of a card can end the script.
            data=json.dumps(content, ensure_ascii=False).replace("<", "\\u003c"),
            families=families,
            boards=boards,
            apart=apart,
            explained=MOST_EXPLAINED,
            recalled=MOST_RECALLED,
        )
    )
    write_text(html, page)
    write_csv(as_table(boards), table)


def read_card(path: str) -> dict:
    """Read one card.

    Raises
    ------
    InputError
        If it is no JSON, or no card of this format.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError):
        raise InputError(
            where=path,
            found="a file that is no JSON",
            expected="a score card (card.json)",
            fix="correct leaderboard.cards",
        ) from None
    return check_card(content, path)
