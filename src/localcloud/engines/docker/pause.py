"""Holds a task's network open. Runs inside it, with this machine's Python and nothing of the image.

    python pause.py <socket> <address:port> ...

It listens at the addresses and hands the listening sockets to the local cloud, through the socket that it was given:
who connects to one of them inside the network is answered outside of it. Then it sleeps until it is killed.
LOCALCLOUD_PAUSE in its environment tells the local cloud which network this is. Standard library only.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import sys

_SET_ADDRESS = 0x8916
"""SIOCSIFADDR. Source: linux/sockios.h."""


def add_address(address: str) -> None:
    """Give the loopback interface another address."""
    # struct ifreq: 16 bytes of the name, then a struct sockaddr_in.
    request = struct.pack("16sHH4s16x", b"lo:localcloud", socket.AF_INET, 0, socket.inet_aton(address))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SET_ADDRESS, request)


def listen(address: str, port: int) -> socket.socket:
    """A listening socket."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(512)
    return listener


def main(path: str, places: list[str]) -> None:
    """Open the places, hand them over, and sleep."""
    listeners = []
    for place in places:
        address, _, port = place.rpartition(":")
        if not address.startswith("127."):
            add_address(address)
        listeners.append(listen(address, int(port)))
    with socket.socket(socket.AF_UNIX) as cloud:
        cloud.connect(path)
        socket.send_fds(cloud, [os.environ["LOCALCLOUD_PAUSE"].encode()], [one.fileno() for one in listeners])
        cloud.recv(1)  # they have arrived
    for listener in listeners:
        listener.close()
    # A tenth of an interpreter's memory.
    for sleep in ("/usr/bin/sleep", "/bin/sleep"):
        if os.access(sleep, os.X_OK):
            os.execv(sleep, ["sleep", "infinity"])
    socket.create_server(("127.0.0.1", 0)).accept()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
