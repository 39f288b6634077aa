"""`herd environments`: which there are, here and on AWS."""

from __future__ import annotations

from herd import console
from herd.commands.options import AsJson


def environments(as_json: AsJson = False) -> None:
    """List the environments of this checkout and the stacks of its project on AWS.

    Where each is, its state, when it was deployed last and by whom, and when it ends.
    """
    from datetime import UTC, datetime

    from herd.checkout.find import find_checkout
    from herd.commands import tables
    from herd.deploy import environments
    from herd.errors import HerdError

    checkout = find_checkout()
    every, problem = environments.listed_here(checkout), ""
    try:
        every += environments.listed_on_aws(checkout)
    except HerdError as error:
        problem = str(error)
    if as_json:
        listed = [one.as_json() for one in every]
        console.json_document({"project": checkout.project, "environments": listed, "not_listed": problem or None})
        return
    if every:
        tables.environments(every, datetime.now(UTC))
    else:
        console.note(f"{checkout.project} has no environment here; `herd up` makes one")
    if problem:
        console.note(f"stacks on AWS are not listed: {problem}")
