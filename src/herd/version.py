"""The release of this Herd. `herd-localcloud` of the same release goes with it (localcloud/version.py)."""

VERSION = "0.1.0"
