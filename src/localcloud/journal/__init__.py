"""State that survives: what clients declared, kept as the requests that declared it.

`Journal` is the server's recorder. Each request that changes declared state gets a number, and its random numbers and
its clock follow from that number and the time; carried out again in the same order by a new process, they make the same
identifiers, addresses and dates. `lines` is the file, `scope` says what is kept, `compaction` what may be
forgotten, `proof` that nothing is missing then, `shortening` does it while the cloud serves.
"""

from __future__ import annotations

from localcloud.journal.journal import Journal, Replayed
from localcloud.journal.lines import JournalDamaged

__all__ = ["Journal", "JournalDamaged", "Replayed"]
