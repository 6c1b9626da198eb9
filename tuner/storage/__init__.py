"""Where studies keep their files: a folder, or an object store."""

from tuner.storage._base import Place, Storage
from tuner.storage.folder import LocalFolder
from tuner.storage.objects import ObjectStore
from tuner.storage.opening import below, open_storage
from tuner.storage.urls import check_url, is_url

__all__ = ["LocalFolder", "ObjectStore", "Place", "Storage", "below", "check_url", "is_url", "open_storage"]
