"""Corrections as tasks of Label Studio, and what people labelled there as corrections.

The format is that of its JSON export and import: a list of tasks with `data` and `annotations`, each
with `result`s (https://labelstud.io/guide/task_format). Every label is a choice of its own, so that
what was not answered stays unknown; `CONTROLS` and docs/feedback.md have the project's configuration.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import IO, Any

from model.labels import LABELS, SENTIMENTS, SIGNS, THREAT_KINDS
from serving.corrections import SENTIMENT, THREAT_KIND, Labels
from serving.exchange import (
    NO_KIND,
    ExchangeError,
    Word,
    decoded,
    read_record,
    record_of,
)

YES, NO = "yes", "no"
CONTROLS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(LABELS, (YES, NO)),
    THREAT_KIND: (*THREAT_KINDS, NO_KIND),
    SENTIMENT: SENTIMENTS,
    **dict.fromkeys(SIGNS, (YES, NO)),
}
"""The choices of each control of the project, by its name."""

_TOGETHER = "labels"
"""A control that somebody else's project may have: the labels that hold, all others do not."""

_OF_TASK = ("text", "source", "id", "group", "language")


def configuration() -> str:
    """The labelling configuration of a project: paste it under Settings, Labeling Interface."""
    lines = ["<View>", '  <Text name="text" value="$text"/>']
    for name, choices in CONTROLS.items():
        kind = "multiple" if name == THREAT_KIND else "single"
        lines.append(f'  <Header value="{name}" size="5"/>')
        lines.append(f'  <Choices name="{name}" toName="text" choice="{kind}" showInline="true">')
        lines += [f'    <Choice value="{choice}"/>' for choice in choices]
        lines.append("  </Choices>")
    for name in ("reason", "reviewer"):
        lines.append(f'  <TextArea name="{name}" toName="text" placeholder="{name}" rows="1"/>')
    return "\n".join([*lines, "</View>"]) + "\n"


def write_tasks(rows: Iterable[Any]) -> Iterator[str]:
    """A JSON list, one task a line. Who read a message stands in the results, as an annotator of that
    name need not be known to Label Studio.
    """
    ordered = sorted(rows, key=lambda row: (str(row.item), int(row.seq)))
    separator = "[\n"
    for _, words in itertools.groupby(ordered, key=lambda row: row.item):
        yield separator + json.dumps(_task(list(words)), ensure_ascii=False)
        separator = ",\n"
    yield "\n]\n" if separator == ",\n" else "[]\n"


def _task(words: Sequence[Any]) -> dict[str, Any]:
    records = [record_of(word) for word in words]
    data = {name: records[0][name] for name in _OF_TASK if name in records[0]}
    annotations = [
        {"result": _results(json.loads(word.labels), record), "created_at": record["at"]}
        for word, record in zip(words, records, strict=True)
    ]
    task: dict[str, Any] = {"data": data, "annotations": annotations}
    if words[0].verdict:
        task["predictions"] = [_prediction(json.loads(words[0].verdict))]
    return task


def _results(labels: Labels, record: Mapping[str, Any]) -> list[dict[str, Any]]:
    said = [(name, "text", [record[name]]) for name in ("reason", "reviewer") if name in record]
    return [_result(name, "choices", _choices(name, value)) for name, value in labels.items()] + [
        _result(*one) for one in said
    ]


def _choices(name: str, value: Any) -> list[str]:
    if name == THREAT_KIND:
        return value or [NO_KIND]
    return [value] if name == SENTIMENT else [YES if value else NO]


def _result(name: str, key: str, value: list[str]) -> dict[str, Any]:
    kind = "choices" if key == "choices" else "textarea"
    return {"from_name": name, "to_name": "text", "type": kind, "value": {key: value}}


def _prediction(verdict: Mapping[str, Any]) -> dict[str, Any]:
    """What the model said, for people to begin from."""
    labels: Labels = {name: name in verdict["labels"] for name in LABELS}
    labels[SENTIMENT] = max(verdict[SENTIMENT].items(), key=itemgetter(1))[0]
    return {"model_version": verdict["model"], "result": _results(labels, {})}


def read_tasks(file: IO[bytes], reviewer: str | None) -> Iterator[Word]:
    """The annotations of a JSON export. Skipped ones are told, tasks without any are not.

    Raises:
        ExchangeError: the file is no such export.
    """
    try:
        tasks = json.loads(decoded(file.read()))
    except (ValueError, RecursionError) as error:
        raise ExchangeError(f"the file is not JSON: {error}") from error
    if not isinstance(tasks, list):
        raise ExchangeError("the file is no list of tasks: export from Label Studio as JSON")
    for number, task in enumerate(tasks, 1):
        place = f"task {number}"
        if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
            yield Word(place, error='it has no "data"')
        elif not isinstance(task.get("annotations"), list):
            yield Word(place, error='it has no "annotations": export as JSON, not as JSON-MIN')
        else:
            for which, annotation in enumerate(task["annotations"], 1):
                yield _read(f"{place}, annotation {which}", task["data"], annotation, reviewer)


def _read(place: str, data: dict[str, Any], annotation: Any, reviewer: str | None) -> Word:
    if not isinstance(annotation, dict) or not isinstance(annotation.get("result"), list):
        return Word(place, error='it has no "result"')
    if annotation.get("was_cancelled"):
        return Word(place, error="it was skipped by its annotator")
    try:
        given, said = _given(annotation["result"])
    except ValueError as error:
        return Word(place, error=str(error))
    record = {name: data[name] for name in _OF_TASK if name in data}
    record["reviewer"] = said.get("reviewer") or _annotator(annotation.get("completed_by"))
    record["reason"] = said.get("reason")
    record["at"] = annotation.get("updated_at") or annotation.get("created_at")
    return read_record(place, given | record, reviewer)


def _given(results: list[Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Answers and words by the names of their controls, in the spelling of `read_record`.

    Raises:
        ValueError: the control `labels` has other labels than ours.
    """
    given: dict[str, Any] = {}
    said: dict[str, str] = {}
    for result in results:
        value = result.get("value") if isinstance(result, dict) else None
        if not isinstance(value, dict):
            continue
        name, choices, words = result.get("from_name"), value.get("choices"), value.get("text")
        if isinstance(choices, list):
            if name == _TOGETHER:
                chosen = {str(choice).lower() for choice in choices}
                if unknown := sorted(chosen - {*LABELS, NO_KIND}):
                    known = ", ".join((*LABELS, NO_KIND))
                    raise ValueError(
                        f'"{_TOGETHER}" is {unknown[0][:40]!r}: its choices are {known}'
                    )
                given |= {label: label in chosen for label in LABELS}
            else:
                given[str(name)] = "|".join(map(str, choices))
        elif words:
            said[str(name)] = "\n".join(map(str, words)) if isinstance(words, list) else str(words)
    return given, said


def _annotator(completed_by: Any) -> str | None:
    """Who made an annotation: an id, or an object with more."""
    if isinstance(completed_by, dict):
        names = (completed_by.get(key) for key in ("email", "username", "id"))
        return next((str(name) for name in names if name), None)
    return None if completed_by is None else f"annotator {completed_by}"
