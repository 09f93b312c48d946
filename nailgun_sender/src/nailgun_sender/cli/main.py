"""The commands; each ends with 0, with 1 when something does not work, with 2 for an operator's mistake."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa

from ..consent import LEVELS, Receipts
from ..consent.texts import new_fields
from ..errors import SenderError
from ..messenger import bundle, enrolment
from ..messenger.daemon import Daemon
from ..messenger.erasure import erase, was_anything_sent
from ..messenger.summary import summary
from . import doctor
from .node import Node

_LEVEL_NAMES = [level.name for level in LEVELS]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; an error is one line on stderr."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    try:
        code: int = options.command(options)
    except SenderError as error:
        print(f"fuel-stat-sender: {error} [{error.code}]", file=sys.stderr)
        return 2
    except sa.exc.SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        print(f"fuel-stat-sender: the node's database cannot be used: {cause} [database]", file=sys.stderr)
        return 1
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fuel-stat-sender",
        description="Sends anonymous usage statistics of this node, if you agree. Options: FUEL_STAT_SENDER_*.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, function: object, text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.set_defaults(command=function)
        return made

    add("run", run, "Send about once an hour until stopped.")
    status = add("status", show_status, "Say whether anything is sent, what waits, and the last answer.")
    status.add_argument("--json", action="store_true", help="print JSON")
    preview = add("preview", show_preview, "Print the exact bytes that would be sent now.")
    preview.add_argument("--digests", action="store_true", help="only sha256, kind and size of each request")
    add("send-now", send_now, "Run one cycle and say what happened.")
    consent = add("consent", set_consent, "Show or change what you agree to.")
    consent.add_argument("decision", nargs="?", choices=["on", "off", "show", "text"], default="show")
    consent.add_argument("--level", action="append", choices=_LEVEL_NAMES, help="repeat for several")
    consent.add_argument("--include-past", action="store_true", help="also send what was recorded before")
    consent.add_argument("--who", default="operator", help="for the receipt")
    export = add("export", export_bundle, "Write what would be sent to a file, for a node without a network.")
    export.add_argument("file", type=Path)
    export.add_argument("--arrived", action="store_true", help="the bundle arrived: mark its records as sent")
    export.add_argument(
        "--answers", type=Path, help="what import-bundle --answers wrote: mark each record by its answer"
    )
    erasing = add("erase", erase_all, "Delete all that was recorded here.")
    erasing.add_argument("--yes", action="store_true", help="do not ask")
    enrol = add("enrol", enrol_key, "Bind this node's key at the collector; reports are signed from then on.")
    enrol.add_argument("--code", help="a one-time code from the collector's operator")
    add("unit", print_unit, "Print the systemd unit of the background process.")
    add("doctor", run_doctor, "Check clock, names, TLS, proxy, database and key, and say what to do.")
    return parser


def run(options: argparse.Namespace) -> int:
    """The background process."""
    node = Node.from_env()
    Daemon(node.settings, node.messenger, node.cycle).run_until_signalled()
    return 0


def show_status(options: argparse.Namespace) -> int:
    """What is sent, what waits, and the last answer."""
    with Node.from_env().opened() as node:
        found = summary(node.store, node.cycle(node.store), node.messenger)
    if options.json:
        print(json.dumps(found, indent=2))
        return 0
    print(f"consent    {found['consent']}  {' '.join(found['levels'])}")
    print(f"sending    {'yes' if found['sending'] else 'no'}: {found['sentence']}")
    print(f"collector  {found['collector']}")
    print(f"waiting    {'  '.join(f'{kind} {count}' for kind, count in found['waiting'].items())}")
    if found["parked"]:
        print(f"refused    {'  '.join(f'{kind} {count}' for kind, count in found['parked'].items())}")
    last = found["last_request"]
    print(f"last       {last['started_at']} {last['kind']} {last['outcome']}" if last else "last       never")
    if found["last_error"]:
        print(f"error      {found['last_error']}")
    for trouble in found["host_troubles"]:
        print(f"host       {trouble}")
    if found["must_ask_again"]:
        print("This release would like to send more: see `fuel-stat-sender consent text`.")
    return 0


def show_preview(options: argparse.Namespace) -> int:
    """The bytes, one request after the other; nothing is sent."""
    with Node.from_env().opened() as node:
        cycle = node.cycle(node.store)
        cycle.look()
        granted = cycle.would_send()
        if not granted.allowed:
            print(f"{granted.sentence} If you agreed, this would be:", file=sys.stderr)
        for parcel in cycle.parcels(granted):
            print(
                f"# POST {parcel.path}  {len(parcel.items)} records  {len(parcel.body)} bytes  sha256 {parcel.digest}"
            )
            if not options.digests:
                print(parcel.body.decode("ascii"))
    return 0


def send_now(options: argparse.Namespace) -> int:
    """One cycle in the foreground."""
    with Node.from_env().opened() as node:
        report = node.cycle(node.store).run()
    if report.silent:
        busy = "another process of this node is sending"
        print(f"Nothing was sent: {busy if report.silent == 'busy' else report.silent}.")
        return 1
    print(f"{report.requests} requests; sent {dict(report.sent)}; refused {dict(report.parked)}")
    if report.stopped:
        print(f"Stopped: {report.stopped}", file=sys.stderr)
    return 0 if report.complete else 1


def set_consent(options: argparse.Namespace) -> int:
    """Show, give or withdraw consent."""
    if options.decision == "text":
        _print_text()
        return 0
    with Node.from_env().opened() as node:
        receipts = Receipts(node.store)
        if options.decision == "on":
            held = receipts.current().levels
            receipts.agree(
                options.level or held or ["actions", "configuration", "workloads"],
                who=options.who,
                via="command line",
                include_past=options.include_past,
            )
        elif options.decision == "off":
            receipts.refuse(who=options.who, via="command line")
            if was_anything_sent(node.store):
                print("What was recorded here can be deleted: fuel-stat-sender erase")
        decision = receipts.current()
    when = f" since {decision.decided_at:%Y-%m-%d %H:%M} UTC by {decision.who}" if decision.decided_at else ""
    print(f"{decision.state}{when}  {' '.join(decision.levels)}".rstrip())
    if decision.must_ask_again:
        print("This release would like to send more; agree again with `consent on`:")
        for _, field in new_fields(decision.text_version, decision.levels):
            print(f"  + {field.path}: {field.meaning}. For: {field.purpose} (e.g. {field.example})")
    return 0


def _print_text() -> None:
    for level in LEVELS:
        print(f"{level.name}: {level.title}\n  {level.purpose}")
        for field in level.fields:
            print(f"  - {field.path}: {field.meaning}. For: {field.purpose} (e.g. {field.example})")


def export_bundle(options: argparse.Namespace) -> int:
    """Write a bundle, or note that one arrived."""
    with Node.from_env().opened() as node:
        cycle = node.cycle(node.store)
        if options.arrived or options.answers:
            settled = bundle.settle(cycle, options.file, options.answers)
            print(
                f"{settled['sent']} records are sent, {settled['park']} were refused, {settled['keep']} wait."
            )
            return 0
        made = bundle.export(cycle, options.file)
    print(f"{made.path}: {made.requests} requests, {made.records} records")
    print("At the collector: fuel-stat import-bundle FILE --answers ANSWERS")
    print("Then here: fuel-stat-sender export FILE --answers ANSWERS (or --arrived)")
    return 0


def erase_all(options: argparse.Namespace) -> int:
    """Delete what was recorded."""
    with Node.from_env().opened() as node:
        if (
            not options.yes
            and input("Delete all that was recorded on this node? [y/N] ").strip().lower() != "y"
        ):
            return 1
        sent = was_anything_sent(node.store)
        uid = node.cycle(node.store).uid()
        print("  ".join(f"{name} {count}" for name, count in erase(node.store).items()))
    if sent:
        print(f"What the collector holds is erased by its operator, who needs this uid: {uid}")
    return 0


def enrol_key(options: argparse.Namespace) -> int:
    """Bind the key."""
    with Node.from_env().opened() as node:
        state = enrolment.enrol(node.store, node.messenger, node.cycle(node.store).uid(), options.code)
    print(
        "The key is bound: reports are signed."
        if state == "active"
        else "The collector's operator has to approve."
    )
    return 0


def print_unit(options: argparse.Namespace) -> int:
    """The unit, with the path of this program."""
    text = (Path(__file__).parent.parent / "fuel-stat-sender.service").read_text(encoding="utf-8")
    program = Path(sys.executable).parent / "fuel-stat-sender"
    print(text.replace("@PROGRAM@", str(program)), end="")
    return 0


def run_doctor(options: argparse.Namespace) -> int:
    """Check everything; 1 when something is wrong."""
    healthy = True
    for finding in doctor.examine(Node.from_env()):
        healthy = healthy and finding.fine
        print(f"{'ok  ' if finding.fine else 'FAIL'} {finding.what}: {finding.sentence}")
        if finding.advice:
            print(f"       -> {finding.advice}")
    return 0 if healthy else 1


if __name__ == "__main__":
    sys.exit(main())
