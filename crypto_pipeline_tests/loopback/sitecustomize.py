"""Forbid connections that leave loopback, in this interpreter and, by PYTHONPATH, its children.

Python imports a module of this name at start. A datagram socket sends nothing when it connects.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
from typing import Any


class LeftLoopbackError(BaseException):
    """Not an Exception, so that no retry and no `except` of the code under test hides it."""


def is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return address.is_loopback or address.is_unspecified


def refuse(event: str, args: tuple[Any, ...]) -> None:
    if event != "socket.connect":
        return
    connection, address = args[:2]
    is_network = connection.family in (socket.AF_INET, socket.AF_INET6)
    if is_network and connection.type & socket.SOCK_STREAM and not is_loopback(address[0]):
        raise LeftLoopbackError(f"A test tried to connect to {address[0]}:{address[1]}")


sys.addaudithook(refuse)
