"""URLs of object stores: which there can be, and that no secret is in one.

A study's URL is written down in its spec, its store and its logs, and printed. Credentials come from where each machine
has its own: environment variables, a profile, the role of the machine.
"""

from __future__ import annotations

from urllib.parse import SplitResult, parse_qsl, urlsplit

from tuner.errors import SpecError, did_you_mean

SCHEMES = ("s3", "gs", "gcs", "abfs", "abfss", "file")
"""Those whose writes are seen whole or not at all, beside plain folders."""

OPTIONS = (
    "region",
    "scheme",
    "endpoint_override",
    "force_virtual_addressing",
    "project_id",
    "retry_limit_seconds",
    "enable_tls",
    "blob_storage_authority",
    "dfs_storage_authority",
)
"""What may follow the "?": nothing of it is a secret."""

EXAMPLE = "s3://BUCKET/PREFIX"
CREDENTIALS = (
    "Leave credentials to the environment of each machine (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile), "
    "or to its role."
)


def is_url(storage: str) -> bool:
    """Whether it is a URL, and no folder."""
    return "://" in storage


def check_url(storage: str) -> None:
    """Raise SpecError, in which no secret is repeated, if this URL is none of an object store, or has a secret."""
    try:
        url = urlsplit(storage)
        secret = url.password is not None or (url.username is not None and url.scheme == "s3")
    except ValueError as error:
        raise SpecError(f"is no URL ({error})", path="storage", hint=f"Such as {EXAMPLE}.") from None
    if secret:
        raise SpecError(f"has credentials in it, got {_without_login(url)}", path="storage", hint=CREDENTIALS)
    options = parse_qsl(url.query, keep_blank_values=True)
    for name, _ in options:
        if name not in OPTIONS:
            raise SpecError(
                f"{name!r} cannot be set in {_bare(url)}",
                path="storage",
                hint=f"{did_you_mean(name, OPTIONS)} {CREDENTIALS}",
            )
    if url.scheme not in SCHEMES:
        raise SpecError(
            f"{url.scheme}:// is no object store that is known, got {_bare(url)}",
            path="storage",
            hint=did_you_mean(url.scheme, SCHEMES),
        )
    if url.fragment:
        raise SpecError(f"has a '#', got {_bare(url)}", path="storage", hint=f"Such as {EXAMPLE}.")
    if url.scheme == "file":
        _check_file(url, options)
    elif not url.netloc:
        raise SpecError(f"names no bucket, got {_bare(url)}", path="storage", hint=f"Such as {EXAMPLE}.")


def _check_file(url: SplitResult, options: list[tuple[str, str]]) -> None:
    if url.netloc or options or not url.path.startswith("/"):
        raise SpecError(
            f"must be an absolute folder of this machine, got {_bare(url)}",
            path="storage",
            hint="Such as file:///data.",
        )


def _bare(url: SplitResult) -> str:
    """The URL without what follows its path."""
    return url._replace(query="", fragment="").geturl()


def _without_login(url: SplitResult) -> str:
    return _bare(url._replace(netloc=f"...@{url.netloc.rpartition('@')[2]}"))
