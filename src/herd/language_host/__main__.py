"""`python -m herd.language_host [flags] <engine host:port>`: what `pulumi-language-python` runs."""

import sys

from herd.language_host.server import serve

addresses = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
if len(addresses) > 1:
    sys.exit("usage: pulumi-language-python [flags] [engine host:port]")
serve(addresses[0] if addresses else "")
