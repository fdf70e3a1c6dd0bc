"""Whom to ask what next: images in the order of what an answer is worth, and the answers as they come."""

import time
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from gpt4image.errors import LabelError
from gpt4image.label.answers import FILE, Answer, read_answers, record_answer
from gpt4image.label.artifact import LabelTable
from gpt4image.label.review import order_for_review
from gpt4image.report.labels.image_label import ImageLabel, read_image_labels

MOST_KEYS = 9
"""Classes that one key each can choose."""
MOST_AT_ONCE = 50
LONGEST_NAME = 80
"""Letters of a person's name."""
HOLD_S = 300.0
"""For how long an image that one page shows is not given to another."""
MOST_RECENT = 50


class ReviewQueue:
    """Labels of a work folder and what people say of them. The file of answers is the truth, also between servers.

    Args:
        work: the work folder.
        table: the labels.
    """

    def __init__(self, work: Path, table: LabelTable) -> None:
        self.work, self.table, self.file = work, table, work / "labels" / FILE
        self.confidence = table.rows["confidence"].to_numpy().astype(np.float64)
        self.order = order_for_review(self.confidence, table.numbers("proposed"))
        self.rank = np.empty(len(self.order), dtype=np.int64)
        self.rank[self.order] = np.arange(len(self.order))
        self.digests: list[str] = table.rows["digest"].to_pylist()
        self.rows: dict[str, list[int]] = {}
        for row, digest in enumerate(self.digests):
            self.rows.setdefault(digest, []).append(row)
        self.classes = frozenset(table.classes)
        self._lock, self._shown = Lock(), dict[str, tuple[str, float]]()
        self._answers, self._size = dict[str, Answer](), -1
        self._is_answered = np.zeros(len(self.digests), dtype=bool)

    def facts(self, who: str) -> dict[str, Any]:
        """What a page needs to begin: classes, progress, and this person's last answers, the newest last."""
        with self._lock:
            self._read_again()
            own = sorted((one for one in self._known() if one.who == who), key=lambda one: one.when)
            recent = [{"digest": one.digest, "answer": _as_json(one)} for one in own[-MOST_RECENT:]]
            return {"classes": self.table.classes, "recent": recent, "progress": self._progress()}

    def following(self, after: int, count: int, page: str) -> dict[str, Any]:
        """The next images without an answer.

        Args:
            after: rank of the image before; -1 for the first ones.
            count: images, at most `MOST_AT_ONCE`.
            page: any word that tells one open page from another; an image that another page shows is passed over.

        Raises:
            LabelError: a number that cannot be.
        """
        if not -1 <= after <= len(self.order) or not 1 <= count <= MOST_AT_ONCE:
            raise LabelError(f"after must be -1 to {len(self.order)} and count 1 to {MOST_AT_ONCE}")
        with self._lock:
            self._read_again()
            found: list[int] = []
            for row in self.order[after + 1 :][~self._is_answered[self.order[after + 1 :]]].tolist():
                if len(found) == count:
                    break
                holder, since_s = self._shown.get(self.digests[row], (page, 0.0))
                if holder == page or time.monotonic() - since_s > HOLD_S:
                    found.append(row)
            if found:
                self._shown[self.digests[found[0]]] = page, time.monotonic()
            return {"images": self._describe(found), "progress": self._progress()}

    def image(self, digest: str) -> dict[str, Any]:
        """One image as it is now.

        Raises:
            LabelError: it is not among the labels.
        """
        self._check_digest(digest)
        with self._lock:
            self._read_again()
            return self._state(digest)

    def change(self, request: Mapping[str, Any], undo: bool) -> tuple[bool, dict[str, Any]]:
        """Writes down an answer, or takes the last one about an image back.

        Args:
            request: `digest`, `who`, `class` (None for none of these), and `seen`, the answer that the page shows.
            undo: take back.

        Returns:
            Whether it was written, and the image as it is now. Nothing is written if the image has another answer
            than the page shows: somebody else was faster.

        Raises:
            LabelError: there is no such image or class, or the name cannot be one.
        """
        digest, who, class_name, seen = request["digest"], request["who"], request.get("class"), request.get("seen")
        self._check_digest(digest)
        if not isinstance(who, str) or not who.strip() or len(who) > LONGEST_NAME or not who.isprintable():
            raise LabelError(f"who answers must be a name of 1 to {LONGEST_NAME} letters")
        if class_name is not None and (not isinstance(class_name, str) or class_name not in self.classes):
            raise LabelError("there is no such class among the labels")
        with self._lock:
            self._read_again()
            now = _as_json(self._answers.get(digest))
            if now != seen or (undo and now is None):
                return False, self._state(digest)
            record_answer(self.work, digest, class_name, who.strip(), undo)
            self._read_again()
            self._shown.pop(digest, None)
            return True, self._state(digest)

    def _check_digest(self, digest: Any) -> None:
        if not isinstance(digest, str) or digest not in self.rows:
            raise LabelError("there is no such image among the labels")

    def _read_again(self) -> None:
        """Takes in what was written since, by this server or another."""
        size = self.file.stat().st_size if self.file.exists() else 0
        if size != self._size:
            self._answers, self._size = read_answers(self.work), size
            self._is_answered[:] = False
            for one in self._known():
                self._is_answered[self.rows[one.digest]] = True

    def _known(self) -> list[Answer]:
        return [one for one in self._answers.values() if one.digest in self.rows]

    def _progress(self) -> dict[str, Any]:
        wrong = float((1 - self.confidence[~self._is_answered]).sum())
        return {"answered": int(self._is_answered.sum()), "total": len(self.digests), "wrong": wrong}

    def _state(self, digest: str) -> dict[str, Any]:
        return {"image": self._describe(self.rows[digest][:1])[0], "progress": self._progress()}

    def _describe(self, rows: list[int]) -> list[dict[str, Any]]:
        return [
            {
                "rank": int(self.rank[row]),
                "digest": one.digest,
                "key": one.key,
                "state": one.state,
                "none": one.none,
                "choices": _list_choices(one),
                "answer": _as_json(self._answers.get(one.digest)),
            }
            for row, one in zip(rows, read_image_labels(self.table, rows), strict=True)
        ]


def _list_choices(one: ImageLabel) -> list[dict[str, Any]]:
    """The likeliest classes, then others that somebody names, each with who says so."""
    probabilities = dict(one.likeliest)
    names = [name for name, _ in one.likeliest[:MOST_KEYS]]
    names += [one.given, one.proposed, *(opinion.class_name for opinion in one.opinions)]
    return [
        {
            "name": name,
            "probability": (1 - one.none) * probabilities.get(name, 0.0),
            "given": name == one.given,
            "proposed": name == one.proposed,
            "witnesses": [[said.witness, said.sure] for said in one.opinions if said.class_name == name],
        }
        for name in dict.fromkeys(filter(None, names))
    ]


def _as_json(answer: Answer | None) -> dict[str, Any] | None:
    return None if answer is None else {"class": answer.class_name, "who": answer.who, "when": answer.when}
