"""Docker below the local cloud: the `docker` command line, images that it builds, and the registry they are pushed to.

client.py finds a client that has BuildKit and says in a sentence what is wrong with it or its daemon; images.py builds
and pushes; registry.py is the registry.
"""
