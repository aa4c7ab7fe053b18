"""Proxies of the environment, who is asked without them, and variables that are set for a while."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

LOOPBACK, EVERYTHING = "localhost,127.0.0.1,::1", "*"
NAMES = ("no_proxy", "NO_PROXY")


@contextmanager
def unproxied(hosts: str = EVERYTHING) -> Iterator[None]:
    """Leaves the proxies of the environment out as long as the context lasts.

    gradio makes clients ready when it is imported and asks its own server whether it runs: behind a proxy that refuses
    this machine, or one of SOCKS without its library, neither would work.

    Args:
        hosts: Beside those of `no_proxy`, with commas; for `*` no proxy is made ready at all.
    """
    known = next(filter(None, map(os.environ.get, NAMES)), "")
    with environment(dict.fromkeys(NAMES, hosts if hosts == EVERYTHING else f"{known},{hosts}".lstrip(","))):
        yield


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Sets variables of the environment as long as the context lasts."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
