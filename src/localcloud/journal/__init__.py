"""State that survives: what clients declared, kept as the requests that declared it.

`Journal` is the server's recorder. Each request that changes declared state gets a number, and its random numbers and
its clock follow from that number and the time; carried out again in the same order by a new process, they make the same
identifiers, addresses and dates. `lines` is the file, `scope` says what is kept, `superseded` what may be
forgotten, `compaction` verifies that nothing is missing then, `compactor` does it while the cloud serves.
"""

from __future__ import annotations

from localcloud.journal.journal import Journal, Replayed
from localcloud.journal.lines import JournalDamaged

__all__ = ["Journal", "JournalDamaged", "Replayed"]
