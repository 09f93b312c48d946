"""The pages as HTML, from plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..consent import LEVELS, Decision, Field, Level
from ..consent.texts import new_fields
from ..messenger.parcel import Parcel
from .html import Markup, Part, join, tag

SHOWN_PARCELS = 20


@dataclass(frozen=True)
class Frame:
    """What every page needs: the catalogue, where we are mounted, the form token, a word to show."""

    words: Mapping[str, str]
    base: str
    token: str
    notice: str = ""
    problem: str = ""
    link: Part = None

    def say(self, key: str, **values: object) -> str:
        """A sentence of the catalogue."""
        return self.words[key].format(**values)


def document(frame: Frame, *parts: Part) -> bytes:
    """A whole page."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", frame.say("title")),
        tag("link", rel="stylesheet", href=f"{frame.base}/style.css"),
    )
    told = [
        tag("section", frame.notice, frame.link, class_="notice", role="status") if frame.notice else None,
        tag("section", frame.problem, class_="problem", role="alert") if frame.problem else None,
    ]
    body = tag("body", tag("main", *told, *parts))
    html = tag("html", head, body, lang=frame.words["language"])
    return b"<!doctype html>\n" + html.encode("utf-8")


def settings(frame: Frame, found: Mapping[str, Any], decision: Decision, history: Sequence[Any]) -> bytes:
    """The page with the switch, the levels, the state and the list of requests."""
    return document(
        frame,
        tag("h1", frame.say("title")),
        tag("p", frame.say("lead"), class_="soft"),
        _state(frame, found, decision),
        _choice(frame, decision),
        _figures(frame, found),
        _history(frame, history),
        _erase(frame),
    )


def _state(frame: Frame, found: Mapping[str, Any], decision: Decision) -> Markup:
    shown = decision.state
    if (decision.state == "on" and not found["sending"]) or found["reason"] in (
        "do_not_track",
        "fuel_stat_sender_disabled",
    ):
        shown = "blocked"
    parts: list[Part] = [tag("p", tag("span", frame.say(f"state.{shown}"), class_=f"state {shown}"))]
    if shown == "blocked":
        parts.append(tag("p", found["sentence"]))
    if decision.decided_at:
        when = f"{decision.decided_at:%Y-%m-%d %H:%M}"
        text = frame.say("decided", who=decision.who, when=when, version=decision.text_version)
        parts.append(tag("p", text, class_="soft"))
    if decision.must_ask_again:
        more = [field for _, field in new_fields(decision.text_version, decision.levels)]
        parts += [tag("p", frame.say("ask.again")), tag("div", _fields(frame, more), class_="table")]
    return tag("section", *parts)


def _choice(frame: Frame, decision: Decision) -> Markup:
    on = decision.state == "on"
    # A box that is ticked beforehand is no consent.
    chosen = decision.levels if on else ()
    parts: list[Part] = [
        tag("legend", frame.say("choose")),
        tag("p", frame.say("choose.note"), class_="soft"),
        *(_level(frame, level, level.name in chosen) for level in LEVELS),
    ]
    if not on:
        past = tag("input", type="checkbox", name="include_past", id="include_past", value="yes")
        parts.append(
            tag(
                "p",
                past,
                tag("label", frame.say("past"), for_="include_past", class_="plain"),
                class_="level",
            )
        )
    save = tag("button", frame.say("change" if on else "agree"), name="decision", value="on")
    off = tag(
        "button",
        frame.say("refuse" if decision.state != "undecided" else "decline"),
        name="decision",
        value="off",
        class_="second",
    )
    return tag(
        "form",
        _token(frame),
        tag("fieldset", *parts, save, off),
        method="post",
        action=f"{frame.base}/consent",
    )


def _level(frame: Frame, level: Level, checked: bool) -> Markup:
    name = f"level-{level.name}"
    box = tag("input", type="checkbox", name="level", id=name, value=level.name, checked=checked)
    summary = tag("summary", frame.say("details", title=level.title))
    details = tag("details", summary, tag("div", _fields(frame, level.fields), class_="table"))
    return tag(
        "div",
        box,
        tag("label", level.title, for_=name),
        tag("p", level.purpose, class_="soft"),
        details,
        class_="level",
    )


def _fields(frame: Frame, fields: Iterable[Field]) -> Markup:
    rows = [
        tag(
            "tr",
            tag("td", tag("code", field.path)),
            tag("td", field.meaning),
            tag("td", field.purpose),
            tag("td", field.example),
        )
        for field in fields
    ]
    keys = ("field", "meaning", "purpose", "example")
    columns = [tag("th", frame.say(f"column.{key}"), scope="col") for key in keys]
    return tag("table", tag("thead", tag("tr", *columns)), tag("tbody", *rows))


def _figures(frame: Frame, found: Mapping[str, Any]) -> Markup:
    waiting = found["waiting"]
    line = frame.say("queue.line", actions=waiting["action_logs"], workloads=waiting["oswl_stats"])
    lost = sum(count for name, count in found["counters"].items() if name.startswith(("dropped", "lost")))
    pairs = [
        ("collector", found["collector"]),
        ("uid", found["uid"]),
        ("queue", line),
        ("parked", str(sum(found["parked"].values()) or frame.say("none"))),
        ("lost", str(lost or frame.say("none"))),
        ("error", found["last_error"] or frame.say("none")),
        *(("trouble", sentence) for sentence in found["host_troubles"]),
    ]
    rows: list[Part] = []
    for key, value in pairs:
        rows += [tag("dt", frame.say(key)), tag("dd", value)]
    link = tag("a", frame.say("preview.open"), href=f"{frame.base}/preview")
    return tag("section", tag("dl", *rows), tag("p", link))


def _history(frame: Frame, history: Sequence[Any]) -> Markup:
    heading = tag("h2", frame.say("history"))
    if not history:
        return tag("section", heading, tag("p", frame.say("history.none"), class_="soft"))
    keys = ("when", "what", "records", "size", "answer", "digest")
    head = tag("tr", *(tag("th", frame.say(f"column.{key}"), scope="col") for key in keys))
    rows = [
        tag(
            "tr",
            tag("td", f"{row['started_at']:%Y-%m-%d %H:%M:%S}"),
            tag("td", row["kind"]),
            tag("td", str(row["records"]), class_="number"),
            tag("td", str(row["body_bytes"]), class_="number"),
            tag("td", f"{row['outcome']} {row['detail']}"),
            tag("td", tag("code", row["digest"][:16] + "…"), title=row["digest"]),
        )
        for row in history
    ]
    table = tag("table", tag("thead", head), tag("tbody", *rows))
    return tag("section", heading, tag("div", table, class_="table"))


def _erase(frame: Frame) -> Markup:
    box = tag("input", type="checkbox", name="confirm", id="confirm", value="yes")
    form = tag(
        "form",
        _token(frame),
        tag("p", box, tag("label", frame.say("erase.confirm"), for_="confirm", class_="plain")),
        tag("button", frame.say("erase"), class_="bad"),
        method="post",
        action=f"{frame.base}/erase",
    )
    notes = [tag("p", frame.say(key), class_="soft") for key in ("erase.note", "erase.collector")]
    return tag("section", tag("h2", frame.say("erase")), *notes, form, id="erase")


def _token(frame: Frame) -> Markup:
    return tag("input", type="hidden", name="token", value=frame.token)


def preview(frame: Frame, parcels: Iterable[Parcel], further: int, instead: str = "") -> bytes:
    """The requests that would be sent now, byte for byte; ``instead`` says why nothing is sent at all."""
    lead = tag("p", frame.say("preview.lead"), class_="soft")
    if instead:
        lead = tag("p", instead, " ", frame.say("preview.if"))
    parts: list[Part] = [
        tag("p", tag("a", frame.say("back"), href=f"{frame.base}/")),
        tag("h1", frame.say("preview")),
        lead,
    ]
    sections = [_parcel(frame, number, parcel) for number, parcel in enumerate(parcels)]
    parts += sections or [tag("section", frame.say("preview.none"))]
    if further:
        parts.append(tag("p", frame.say("preview.more", count=further)))
    return document(frame, *parts)


def _parcel(frame: Frame, number: int, parcel: Parcel) -> Markup:
    line = frame.say(
        "preview.line",
        records=len(parcel.items),
        size=len(parcel.body),
        digest=parcel.digest,
    )
    raw = tag("a", frame.say("preview.raw"), href=f"{frame.base}/preview/{number}.json")
    shown = parcel.body.decode("ascii")
    return tag(
        "section",
        tag("h2", f"POST {parcel.path}"),
        tag("p", line),
        tag("p", raw),
        tag("pre", shown, tabindex="0", role="region", aria_label=parcel.path),
    )


__all__ = ["SHOWN_PARCELS", "Frame", "document", "join", "preview", "settings"]
