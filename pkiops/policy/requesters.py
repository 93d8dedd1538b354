"""Who may ask: patterns of ``requesters`` against the identities of a caller. Pure.

What this module decides: how an AWS caller and a CI job are matched. ``*`` stands for one or more characters of one part: it never crosses ``:``,
``/`` or the ``@`` before a ref, and never stands in the partition or the account of an ARN.

- ``arn:aws:iam::111122223333:role/path/name`` is a role, whatever its session: STS says ``assumed-role/name/session``, without the path, and names
  of roles are unique in an account, so that the path in a pattern says nothing more. A wildcard in the name has no path before it, which it would not
  be held to;
- ``arn:aws:sts::111122223333:assumed-role/name/session`` is one session of it; who assumes a role chooses the name of the session, so that it says
  nothing without the role's;
- ``arn:aws:iam::111122223333:user/path/name`` and every other ARN stand for themselves, part for part;
- ``github:owner/repository@ref``, ``gitlab:group/project@ref``, ``jenkins:folder/job``: a CI job, as the job itself says who it is. A ref may
  hold ``/``, and ``@`` with what follows may be left out for any ref.
"""

from __future__ import annotations

import re

_ONE = "*"
CI_SYSTEMS = ("github", "gitlab", "jenkins")
_ARN = re.compile(r"arn:(?P<partition>[a-z-]+):(?P<service>iam|sts)::(?P<account>[0-9]{12}):(?P<rest>[^:]+)")
_REST = re.compile(r"[A-Za-z0-9+=,.@_/*-]+")
_CI = re.compile(r"(?P<system>[a-z]+):(?P<project>[^@:]+)(?:@(?P<ref>[^:]+))?")
_CI_TEXT = re.compile(r"[A-Za-z0-9_.*/ +~-]+")


def requester_problem(pattern: str) -> str | None:
    """What is wrong with a pattern, or None."""
    if pattern.startswith("arn:"):
        match = _ARN.fullmatch(pattern)
        if match is None or not _REST.fullmatch(match["rest"]):
            return "write the ARN of a role, a session or a user, with wildcards in its last part only: arn:aws:iam::111122223333:role/ci-*"
        kind, slash, name = match["rest"].partition("/")
        if "*" in kind or (slash and not name) or "//" in match["rest"]:
            return "say what it is before the first wildcard: role/ci-*, assumed-role/ci/*, user/*"
        if kind == "assumed-role" and name.count("/") != 1:
            return "a session is assumed-role/ROLE/SESSION; for all sessions of a role write its own ARN, arn:aws:iam::ACCOUNT:role/ROLE"
        return _too_wide(kind, name)
    match = _CI.fullmatch(pattern)
    if match is None or match["system"] not in CI_SYSTEMS:
        return f"write an ARN (arn:aws:iam::111122223333:role/ci) or a CI job ({', '.join(CI_SYSTEMS)}): github:owner/repository@refs/heads/main"
    if not all(_CI_TEXT.fullmatch(text) for text in (match["project"], match["ref"] or "x")):
        return "a CI job has letters, digits and _ . / + ~ - in its name, and * for one part of it"
    owner = match["project"].partition("/")[0]
    # a Jenkins is one's own, and so are its folders; elsewhere anybody may register an owner that fits
    if not owner.replace("*", "") or ("*" in owner and match["system"] != "jenkins"):
        return "this allows projects of everybody; write the owner or group as a word: github:owner/*"
    return None


def _too_wide(kind: str, name: str) -> str | None:
    """What of a pattern for roles or sessions would match more than it seems to say."""
    first, _, last = name.rpartition("/")
    if kind == "role" and first and "*" in last:
        return (
            f"a caller's ARN does not say the path of its role, so that this would match every role named {last}, below {first}/ or not; "
            f"write role/{last} if that is meant, else the names of the roles"
        )
    if kind == "assumed-role" and not first.replace("*", ""):
        return f"who assumes a role chooses the name of the session, so that this would match every role; write assumed-role/ROLE/{last}"
    return None


def requester_matches(pattern: str, identity: str) -> bool:
    """Whether an identity (an ARN, or a CI job) is one that a pattern speaks of."""
    if pattern.startswith("arn:"):
        return _arn_matches(pattern, identity)
    wanted, given = _CI.fullmatch(pattern), _CI.fullmatch(identity)
    if wanted is None or given is None or wanted["system"] != given["system"]:
        return False
    if not _parts_match(wanted["project"].split("/"), given["project"].split("/")):
        return False
    return wanted["ref"] is None or (
        given["ref"] is not None and _parts_match(wanted["ref"].split("/"), given["ref"].split("/"))
    )


def _arn_matches(pattern: str, identity: str) -> bool:
    wanted, given = _ARN.fullmatch(pattern), _ARN.fullmatch(identity)
    if wanted is None or given is None:
        return False
    if (wanted["partition"], wanted["account"]) != (given["partition"], given["account"]):
        return False
    own, parts = wanted["rest"].split("/"), given["rest"].split("/")
    if wanted["service"] == "iam" and own[0] == "role" and given["service"] == "sts" and parts[0] == "assumed-role":
        return len(parts) > 1 and _part_matches(own[-1], parts[1])
    return wanted["service"] == given["service"] and _parts_match(own, parts)


def _parts_match(pattern: list[str], parts: list[str]) -> bool:
    return len(pattern) == len(parts) and all(
        _part_matches(wanted, part) for wanted, part in zip(pattern, parts, strict=True)
    )


def _part_matches(pattern: str, text: str) -> bool:
    """``*`` stands for one or more characters; tried from the left, so that no pattern is slow."""
    pieces = pattern.split(_ONE)
    if len(pieces) == 1:
        return pattern == text
    if not text.startswith(pieces[0]):
        return False
    position = len(pieces[0])
    for piece in pieces[1:-1]:
        # at least one character for the wildcard before it
        found = text.find(piece, position + 1)
        if found < 0:
            return False
        position = found + len(piece)
    last = pieces[-1]
    return text.endswith(last) and len(text) - len(last) > position
