"""What is remembered, and for how long: content keys, byte-budgeted pools, prompts, faces."""

from cache.conditioning import ConditioningStatistics, ConditioningStore, Leased, Sized
from cache.identities import IdentityKey, IdentityStore
from cache.keys import Digest, digest, digest_array, digest_bytes, digest_file
from cache.lease import Lease
from cache.lru import ByteLRU
from cache.once import OnceEach
from cache.prefix_pool import PrefixPool
from cache.prefix_records import Namespace, PoolRecord, Scope
from cache.prefix_statistics import PrefixStatistics
from cache.radix import Slab, Tokens, Whole
from cache.recency import EvictionPolicy, LeastUseful
from cache.statistics import CacheStatistics
from cache.traffic import LayoutMonitor, PromptUse, SegmentOrder, SegmentUse, entropy_order

__all__ = [
    "ByteLRU",
    "CacheStatistics",
    "ConditioningStatistics",
    "ConditioningStore",
    "Digest",
    "EvictionPolicy",
    "IdentityKey",
    "IdentityStore",
    "LayoutMonitor",
    "LeastUseful",
    "Lease",
    "Leased",
    "Namespace",
    "OnceEach",
    "PoolRecord",
    "PrefixPool",
    "PrefixStatistics",
    "PromptUse",
    "Scope",
    "SegmentOrder",
    "SegmentUse",
    "Sized",
    "Slab",
    "Tokens",
    "Whole",
    "digest",
    "digest_array",
    "digest_bytes",
    "digest_file",
    "entropy_order",
]
