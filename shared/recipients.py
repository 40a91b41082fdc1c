"""Who may be written to: outside production nobody, unless an environment names them.

A copy of production's data, or a test with a real address, must not reach a person. Whatever cannot be read with
certainty (an address in an unusual spelling, a recipient that only Customer.io knows) is not allowed.

    everybody          production
    domains            addresses whose part after the @ is one of these; subdomains are domains of their own
    addresses          single addresses
    ids                people by the id of ``identifiers``: whatever Customer.io has stored of them is allowed
    phone_prefixes     phone numbers that begin so, such as ``+1555``
    redirect_to        inbox that gets the emails which nobody else may get
    broadcasts         whether broadcasts may be triggered, whose audience only Customer.io knows
"""

import re
from typing import Self

import msgspec

# A list is split at the commas outside quotes. Each part is an address, alone or in angle brackets after a name. This
# is narrower than RFC 5322 on purpose: a comment or a quoted local part can hide a second address.
_COMMA = re.compile(r',(?=(?:[^"]*"[^"]*")*[^"]*$)')
_ADDRESS = r"[A-Za-z0-9.!#$%&'*+/=?^_`|~-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*"
_NAME = r"""[^<>@,;:"\\\r\n]*|"[^"\\\r\n]*"[ \t]*"""
_MAILBOX = re.compile(rf"(?P<bare>{_ADDRESS})|(?:{_NAME})<(?P<named>{_ADDRESS})>")
# Fifteen recipients, the most that Customer.io takes, need no more; splitting is quadratic in it.
_MAX_LIST_LENGTH = 8_000
_PHONE = re.compile(r"\+[1-9][0-9]{1,14}")


class RecipientPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Recipients that are allowed. The fields are described above; the default allows nobody."""

    everybody: bool = False
    domains: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()
    ids: frozenset[str] = frozenset()
    phone_prefixes: frozenset[str] = frozenset()
    redirect_to: str = ""
    broadcasts: bool = False

    @classmethod
    def decode(cls, text: str) -> Self:
        """Read a policy as JSON, such as ``{"domains": ["example.com"]}``. Capitals do not matter.

        Raises:
            ValueError: if it is not one; the text says where.
        """
        policy = msgspec.json.decode(text, type=cls)
        if policy.redirect_to and len(mailboxes(policy.redirect_to) or ()) != 1:
            raise ValueError("redirect_to must be one email address")
        if "" in policy.phone_prefixes:
            raise ValueError("phone_prefixes must not hold an empty one: it would allow every phone")
        return msgspec.structs.replace(policy, domains=_lowered(policy.domains), addresses=_lowered(policy.addresses))

    @property
    def allows_broadcasts(self) -> bool:
        """Whether broadcasts may be triggered."""
        return self.everybody or self.broadcasts

    def allows_addresses(self, text: str) -> bool:
        """Whether every address of a list, as in an email's ``to``, is allowed. A list that cannot be read is not."""
        found = mailboxes(text)
        return self.everybody or (found is not None and all(map(self._allows_address, found)))

    def allows_phone(self, text: str) -> bool:
        """Whether a phone number is allowed. One that is not written as E.164 is not."""
        return self.everybody or (_PHONE.fullmatch(text) is not None and text.startswith(tuple(self.phone_prefixes)))

    def allows_id(self, value: str) -> bool:
        """Whether a person is allowed, whatever address, phone or device Customer.io has stored."""
        return self.everybody or value in self.ids

    def __str__(self) -> str:
        """A sentence for the operator; names no address."""
        if self.everybody:
            return "everybody may be written to"
        named = {"domains": len(self.domains), "addresses": len(self.addresses), "ids": len(self.ids)}
        named["phone prefixes"] = len(self.phone_prefixes)
        allowed = ", ".join(f"{name} ({count})" for name, count in named.items() if count) or "nobody"
        redirected = "; other emails go to the redirect inbox" if self.redirect_to else ""
        return f"allowed: {allowed}{redirected}; broadcasts {'allowed' if self.broadcasts else 'not allowed'}"

    def _allows_address(self, address: str) -> bool:
        return address in self.addresses or address.rpartition("@")[2] in self.domains


NOBODY = RecipientPolicy()


def mailboxes(text: str) -> list[str] | None:
    """Read the addresses of a list, in lower case; None if any part is not plainly an address, or none is there."""
    if len(text) > _MAX_LIST_LENGTH or not text.isascii():
        return None
    parts = [part.strip(" \t") for part in _COMMA.split(text)]
    matches = [_MAILBOX.fullmatch(part) for part in parts if part]
    found = [(match["bare"] or match["named"]).lower() for match in matches if match]
    return found if found and len(found) == len(matches) else None


def _lowered(values: frozenset[str]) -> frozenset[str]:
    return frozenset(value.strip().lower() for value in values)
