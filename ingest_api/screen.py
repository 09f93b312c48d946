"""One linear scan over the raw bytes of a body: where are values that must not be stored, and is anything odd?

The scan is done by hyperscan or, where its wheel does not run, by re2; both are linear in the body whatever it
holds. A *key* rule matches up to the colon behind a member's name, so the end of each match says where the value
begins; within valid JSON such a match can be nothing else than a name, because a string that is a value is never
followed by a colon. The other rules only raise a flag.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from enum import IntFlag
from typing import Any, Protocol

import re2

try:
    import hyperscan
except ImportError:  # pragma: no cover - a platform without the wheel
    hyperscan = None  # type: ignore[assignment]


class Odd(IntFlag):
    """What the scan noticed besides names."""

    NOTHING = 0
    MAC = 1
    EMAIL = 2
    ESCAPED_ASCII = 4
    NUL = 8
    NUMBER = 16
    #: to be looked at record by record before anything is believed
    EXOTIC = NUL | NUMBER
    #: a member "name" that holds a host name, or Nailgun's own name for a node, which ends like its MAC address
    HOST = 32


# From a word within a member's name to the colon behind that name.
_TO_COLON = rb'(?:[^"\\]|\\.)*"\s*:'
#: rule name -> pattern that ends behind the colon of a member whose value must not be stored
KEY_RULES: dict[str, bytes] = {
    "credential": (
        rb"(?:passw(?:or)?d|passphrase|secret|token|credential|private_?key|keyring|authorization|cookie)"
        + _TO_COLON
    ),
    "key": rb'(?:[_-]key|"apikey|"accesskey)"\s*:',
    "fsid": rb'fsid"\s*:',
    "mac": rb'(?:"mac|[_-]mac|mac_?addr(?:ess)?)"\s*:',
    "serial": rb'serial(?:[_-]?(?:no|number|num))?"\s*:',
    "host_name": rb'(?:"host|host_?name|"fqdn)"\s*:',
    "email": rb'(?:"mail|e-?mail(?:_?addr(?:ess)?)?)"\s*:',
    "person": rb'(?:"company|user_?name|"login|(?:full|first|last)_?name)"\s*:',
    # what lshw prints: serials, a host name, a uuid that ends with a MAC address
    "hardware_dump": rb'"pci_devices"\s*:',
    "uuid": rb'"(?:uuid|system_uuid|product_uuid)"\s*:',
    "contact": rb'"user_information"\s*:',
}
FLAGS: dict[Odd, bytes] = {
    Odd.MAC: rb"[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}",
    Odd.EMAIL: rb"@[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2}",
    Odd.ESCAPED_ASCII: rb"\\u00[2-7][0-9a-f]",
    Odd.NUL: rb"\\u0000",
    # Sixteen digits, or an exponent, right before what ends a number: hashes and times in texts end with a quote.
    Odd.NUMBER: rb"(?:[0-9.]{16}|[0-9.]e[+-]?[0-9]+)[\s,}\]]",
    Odd.HOST: rb'"name"\s*:\s*"(?:[a-z0-9_-]+\.){2,}[a-z]{2,}"|untitled \([0-9a-f]{2}:[0-9a-f]{2}\)',
}
RULE_NAMES = tuple(KEY_RULES)


@dataclass(slots=True)
class Marks:
    """What a scan found: flags, and (position of the value, rule) for each name, in the order of the text."""

    odd: Odd = Odd.NOTHING
    values: list[tuple[int, str]] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Nothing to redact."""
        return not self.values and not self.odd & (Odd.MAC | Odd.EMAIL | Odd.ESCAPED_ASCII | Odd.HOST)


class Scanner(Protocol):
    """Anything that scans."""

    def scan(self, text: bytes) -> Marks:
        """Scan a body (or a part of one)."""


class Re2Scanner:
    """The scan by re2, one pattern after the other."""

    def __init__(self) -> None:
        options = re2.Options()
        options.case_sensitive = False
        options.dot_nl = True
        options.encoding = re2.Options.Encoding.LATIN1
        self._keys = [(name, re2.compile(pattern, options)) for name, pattern in KEY_RULES.items()]
        self._flags = [(flag, re2.compile(pattern, options)) for flag, pattern in FLAGS.items()]

    def scan(self, text: bytes) -> Marks:
        """See :class:`Scanner`."""
        marks = Marks()
        for name, pattern in self._keys:
            marks.values.extend((match.end(), name) for match in pattern.finditer(text))
        for flag, pattern in self._flags:
            if pattern.search(text):
                marks.odd |= flag
        marks.values.sort()
        return marks


_ENDS = frozenset({b" ", b"\t", b"\n", b"\r", b"\v", b"\f", b",", b"}", b"]"})
#: what a long number holds, each of which hyperscan finds nearly for nothing; the whole of FLAGS' rule costs it as much
#: as all other rules together
_LONG_NUMBER = (rb"[0-9.]{16}", rb"[0-9.]e[+-]?[0-9]{5}")
_SHORT_EXPONENT = rb"[0-9.]e[+-]?[0-9]{1,4}[\s,}\]]"
_REST_OF_NUMBER = re.compile(rb"[0-9]*+[\s,}\]]")
#: texts of digits may hold many of them; beyond so many the whole rule is cheaper than looking at each
_MOST_LOOKS = 1000


class HyperscanScanner:
    """The scan by hyperscan: all patterns in one pass; its scratch space is one a thread."""

    def __init__(self) -> None:
        keys = list(KEY_RULES.values())
        flags = {flag: pattern for flag, pattern in FLAGS.items() if flag is not Odd.NUMBER}
        self._quick = _database([*keys, *_LONG_NUMBER], [*flags.values(), _SHORT_EXPONENT])
        self._flags = (*flags, Odd.NUMBER)
        self._whole = _database(keys, list(FLAGS.values()))
        self._local = threading.local()

    def scan(self, text: bytes) -> Marks:
        """See :class:`Scanner`."""
        try:
            return self._scan(text, self._quick, self._scratch(), self._flags, len(_LONG_NUMBER))
        except hyperscan.ScanTerminated:
            return self._scan(text, self._whole, self._whole.scratch.clone(), tuple(FLAGS), 0)

    def _scan(
        self, text: bytes, database: Any, scratch: Any, flags: tuple[Odd, ...], looked_at: int
    ) -> Marks:
        """One pass; the matches of so many rules behind those of names are looked at, each of the others is believed.

        Raises:
            hyperscan.ScanTerminated: too many had to be looked at.
        """
        marks = Marks()
        names, ordinary = len(RULE_NAMES), len(RULE_NAMES) + looked_at
        looks = 0

        def found(rule: int, _start: int, end: int, _flags: int, _context: Any) -> bool:
            nonlocal looks
            if rule < names:
                marks.values.append((end, RULE_NAMES[rule]))
            elif rule >= ordinary:
                marks.odd |= flags[rule - ordinary]
            else:
                looks += 1
                if text[end : end + 1] in _ENDS if rule == names else _REST_OF_NUMBER.match(text, end):
                    marks.odd |= Odd.NUMBER
            return looks > _MOST_LOOKS

        database.scan(text, match_event_handler=found, scratch=scratch)
        marks.values.sort()
        return marks

    def _scratch(self) -> Any:
        scratch = getattr(self._local, "scratch", None)
        if scratch is None:
            scratch = self._local.scratch = self._quick.scratch.clone()
        return scratch


def _database(every: list[bytes], first: list[bytes]) -> Any:
    """Patterns of which every match is told, then those of which one is enough."""
    base = hyperscan.HS_FLAG_CASELESS | hyperscan.HS_FLAG_DOTALL
    database = hyperscan.Database()
    database.compile(
        expressions=[*every, *first],
        ids=list(range(len(every) + len(first))),
        flags=[base] * len(every) + [base | hyperscan.HS_FLAG_SINGLEMATCH] * len(first),
    )
    return database


def make_scanner() -> Scanner:
    """The fastest scanner that runs on this machine."""
    return HyperscanScanner() if hyperscan is not None else Re2Scanner()
