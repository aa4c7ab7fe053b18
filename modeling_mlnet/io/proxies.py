"""Proxies of the environment, and who is asked without them."""

import os
from collections.abc import Iterator
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
    before = {name: os.environ.get(name) for name in NAMES}
    known = next(filter(None, before.values()), "")
    os.environ.update(dict.fromkeys(NAMES, hosts if hosts == EVERYTHING else f"{known},{hosts}".lstrip(",")))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
