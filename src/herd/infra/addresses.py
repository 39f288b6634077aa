"""E-mail addresses in settings: which can be written, and the one form that each mailbox has everywhere.

Stricter than RFC 5322 on purpose. An address becomes a subscription, a recipient in a filter and a line of a message's
header, so there are no quoted parts, comments, spaces or line breaks in it, and only ASCII, which is all that Amazon
SNS takes. Every mailbox is written in small letters: two spellings of one would be two subscriptions, and two mails.
"""

import re

# RFC 5321 allows 64 characters before the @ and 254 in all.
_LOCAL = re.compile(r"(?=.{1,64}$)[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*", re.ASCII)
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"({_LABEL}\.)+(xn--[a-z0-9-]{{1,59}}|[a-z]{{2,63}})")
LONGEST = 254

RULE = 'must be an e-mail address, like "data@example.com"'
WEB_ADDRESS = (
    "is the address of a web page. Whoever knows a webhook's address can write to it: it is a secret, and EventBridge "
    "would keep and show it in clear. Messages go by e-mail today; Slack and Teams give a channel an e-mail address, "
    "which can stand here (a bot's token, which is not part of the address, would be the other way)"
)

# What IDNA of 2003, which Python has, and of 2008, which registries have, make different names of.
_AMBIGUOUS = re.compile("[ßẞς\u200c\u200d]")


def canonical(text: str) -> str:
    """The mailbox that `text` names, in small letters. Raises ValueError with the rest of a sentence about it.

    >>> canonical("Ada+Herd@Example.COM")
    'ada+herd@example.com'
    """
    if is_web_address(text):
        raise ValueError(WEB_ADDRESS)
    local, at, domain = text.rpartition("@")
    if not text.isascii():
        raise ValueError(_ascii_hint(local, domain) if at else RULE)
    if len(text) > LONGEST or not _LOCAL.fullmatch(local) or not _DOMAIN.fullmatch(domain.lower()):
        raise ValueError(RULE)
    return text.lower()


def is_address(text: str) -> bool:
    """Can it be one? Only then `canonical` has an answer."""
    try:
        canonical(text)
    except ValueError:
        return False
    return True


def is_web_address(text: str) -> bool:
    """Is it one of the web: with a scheme, or a server's name and a path?"""
    return bool(re.match(r"\s*(([a-z][a-z0-9+.-]*:)?//|[a-z0-9-]+(\.[a-z0-9-]+)+/)", text, re.IGNORECASE))


def _ascii_hint(local: str, domain: str) -> str:
    """Which spelling in ASCII is meant, where there is no doubt."""
    rule = "has letters that Amazon SNS does not take"
    try:
        spelt = domain.encode("idna").decode("ascii") if not _AMBIGUOUS.search(domain) else ""
    except UnicodeError:
        spelt = ""
    if local.isascii() and spelt and is_address(f"{local}@{spelt}"):
        return f"{rule}; write {f'{local}@{spelt}'.lower()}"
    return f"{rule}; write the domain in its ASCII form, which begins with xn--"
