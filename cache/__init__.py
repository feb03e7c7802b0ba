"""What is remembered, and for how long: content keys, a byte-budgeted LRU, analysed faces."""

from cache.identities import IdentityKey, IdentityStore
from cache.keys import Digest, digest, digest_array, digest_bytes, digest_file
from cache.lru import ByteLRU
from cache.statistics import CacheStatistics

__all__ = [
    "ByteLRU",
    "CacheStatistics",
    "Digest",
    "IdentityKey",
    "IdentityStore",
    "digest",
    "digest_array",
    "digest_bytes",
    "digest_file",
]
