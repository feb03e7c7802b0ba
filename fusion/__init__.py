"""Request → stages → engine → result.

Importing this package costs nothing; the models' libraries arrive with the first name that needs
them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from models import quiet_imports

if TYPE_CHECKING:
    from fusion.colour import ColourMatch
    from fusion.compiling import compile_bundle
    from fusion.complexity import StepSettings
    from fusion.database import Database, DatabaseUnusable, Schema, sqlite_url
    from fusion.engine import Engine
    from fusion.errors import (
        DrawingFailed,
        EngineBusy,
        EngineClosed,
        FaceAnalysisMissing,
        FusionCancelled,
        FusionError,
        IdentityUnsupported,
        InvalidEmbedding,
        InvalidIdentity,
        InvalidRequest,
        InvalidSize,
        InvalidWeights,
        TaskExpired,
        Unsupported,
    )
    from fusion.fast import FastSettings
    from fusion.job import Occupancy
    from fusion.ledger.accounts import Account, BookedLine, Ending, Opening
    from fusion.ledger.book import Book, account_of, left_open
    from fusion.ledger.budgets import Budget, Period, budget_of, set_budget
    from fusion.ledger.errors import (
        AlreadyReserved,
        BudgetExceeded,
        CurrencyMismatch,
        LedgerError,
        LedgerUnavailable,
        PriceRejected,
        QuantityRejected,
        RequestUnknown,
    )
    from fusion.ledger.export import LedgerLine, lines_between
    from fusion.ledger.finding import FoundRequest, corrections_of, latest_requests, whole_id
    from fusion.ledger.groups import DIMENSIONS, Dimension, Group
    from fusion.ledger.items import ITEMS, Item, Quantity, Unit, quantities_of, quantities_spent
    from fusion.ledger.ledger import Ledger, ledger_url
    from fusion.ledger.listing import (
        KeptPrices,
        WrittenLine,
        WrittenRequest,
        kept_prices,
        written_request,
    )
    from fusion.ledger.money import NO_CURRENCY, decimal_of, nano, priced
    from fusion.ledger.pace import RecentPace, recent_pace
    from fusion.ledger.prices import Price, PriceTable, free_prices, load_prices, read_prices
    from fusion.ledger.schema import LEDGER_SCHEMA
    from fusion.ledger.sums import Count, Sum, Sums, sums_of
    from fusion.ledger.verify import Verdict, verify_chain
    from fusion.mask import MaskShape, soft_mask
    from fusion.memory_trial import MemoryTrial, try_memory_mode
    from fusion.placement import FacePlacement
    from fusion.pressure import Pressure, PressureSettings
    from fusion.progress import Event, EventKind, Handle
    from fusion.prompt_memory import PromptMemory, PromptSettings
    from fusion.provenance import PictureKind, encode, read_labels, save
    from fusion.recovery import DEFAULT_RECOVERY, StagePolicy
    from fusion.request import FusionRequest, Identity
    from fusion.resolved import RequestDefaults, ResolvedRequest, resolve
    from fusion.result import FusionResult, IdentitySimilarity, PictureReport
    from fusion.settings import EngineSettings
    from fusion.source import BundleSource
    from fusion.task import FusionTask, Reference, Role, TaskState
    from fusion.telemetry import UsageTelemetry, usage_telemetry
    from fusion.trace import Stage, StageRecord, Trace
    from fusion.usage import Spent, Usage

_HOMES = {
    "colour": ("ColourMatch",),
    "compiling": ("compile_bundle",),
    "complexity": ("StepSettings",),
    "engine": ("Engine",),
    "errors": (
        "DrawingFailed",
        "EngineBusy",
        "EngineClosed",
        "FaceAnalysisMissing",
        "FusionCancelled",
        "FusionError",
        "IdentityUnsupported",
        "InvalidEmbedding",
        "InvalidIdentity",
        "InvalidRequest",
        "InvalidSize",
        "InvalidWeights",
        "TaskExpired",
        "Unsupported",
    ),
    "fast": ("FastSettings",),
    "job": ("Occupancy",),
    "database": ("Database", "DatabaseUnusable", "Schema", "sqlite_url"),
    "ledger.accounts": ("Account", "BookedLine", "Ending", "Opening"),
    "ledger.book": ("Book", "account_of", "left_open"),
    "ledger.budgets": ("Budget", "Period", "budget_of", "set_budget"),
    "ledger.errors": (
        "AlreadyReserved",
        "BudgetExceeded",
        "CurrencyMismatch",
        "LedgerError",
        "LedgerUnavailable",
        "PriceRejected",
        "QuantityRejected",
        "RequestUnknown",
    ),
    "ledger.export": ("LedgerLine", "lines_between"),
    "ledger.finding": ("FoundRequest", "corrections_of", "latest_requests", "whole_id"),
    "ledger.groups": ("DIMENSIONS", "Dimension", "Group"),
    "ledger.items": ("ITEMS", "Item", "Quantity", "Unit", "quantities_of", "quantities_spent"),
    "ledger.ledger": ("Ledger", "ledger_url"),
    "ledger.listing": (
        "KeptPrices",
        "WrittenLine",
        "WrittenRequest",
        "kept_prices",
        "written_request",
    ),
    "ledger.money": ("NO_CURRENCY", "decimal_of", "nano", "priced"),
    "ledger.pace": ("RecentPace", "recent_pace"),
    "ledger.prices": ("Price", "PriceTable", "free_prices", "load_prices", "read_prices"),
    "ledger.schema": ("LEDGER_SCHEMA",),
    "ledger.sums": ("Count", "Sum", "Sums", "sums_of"),
    "ledger.verify": ("Verdict", "verify_chain"),
    "mask": ("MaskShape", "soft_mask"),
    "memory_trial": ("MemoryTrial", "try_memory_mode"),
    "placement": ("FacePlacement",),
    "source": ("BundleSource",),
    "pressure": ("Pressure", "PressureSettings"),
    "progress": ("Event", "EventKind", "Handle"),
    "prompt_memory": ("PromptMemory", "PromptSettings"),
    "provenance": ("PictureKind", "encode", "read_labels", "save"),
    "recovery": ("DEFAULT_RECOVERY", "StagePolicy"),
    "request": ("FusionRequest", "Identity"),
    "resolved": ("RequestDefaults", "ResolvedRequest", "resolve"),
    "result": ("FusionResult", "IdentitySimilarity", "PictureReport"),
    "settings": ("EngineSettings",),
    "task": ("FusionTask", "Reference", "Role", "TaskState"),
    "telemetry": ("UsageTelemetry", "usage_telemetry"),
    "trace": ("Stage", "StageRecord", "Trace"),
    "usage": ("Spent", "Usage"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Account",
    "AlreadyReserved",
    "Book",
    "BookedLine",
    "Budget",
    "BudgetExceeded",
    "BundleSource",
    "ColourMatch",
    "Count",
    "CurrencyMismatch",
    "DEFAULT_RECOVERY",
    "DIMENSIONS",
    "Database",
    "DatabaseUnusable",
    "Dimension",
    "DrawingFailed",
    "Ending",
    "Engine",
    "EngineBusy",
    "EngineClosed",
    "EngineSettings",
    "Event",
    "EventKind",
    "FaceAnalysisMissing",
    "FacePlacement",
    "FastSettings",
    "FoundRequest",
    "FusionCancelled",
    "FusionError",
    "FusionRequest",
    "FusionResult",
    "FusionTask",
    "Group",
    "Handle",
    "ITEMS",
    "Identity",
    "IdentitySimilarity",
    "IdentityUnsupported",
    "InvalidEmbedding",
    "InvalidIdentity",
    "InvalidRequest",
    "InvalidSize",
    "InvalidWeights",
    "Item",
    "KeptPrices",
    "LEDGER_SCHEMA",
    "Ledger",
    "LedgerError",
    "LedgerLine",
    "LedgerUnavailable",
    "MaskShape",
    "MemoryTrial",
    "NO_CURRENCY",
    "Occupancy",
    "Opening",
    "Period",
    "PictureKind",
    "PictureReport",
    "Pressure",
    "PressureSettings",
    "Price",
    "PriceRejected",
    "PriceTable",
    "PromptMemory",
    "PromptSettings",
    "Quantity",
    "QuantityRejected",
    "RecentPace",
    "Reference",
    "RequestDefaults",
    "RequestUnknown",
    "ResolvedRequest",
    "Role",
    "Schema",
    "Spent",
    "Stage",
    "StagePolicy",
    "StageRecord",
    "StepSettings",
    "Sum",
    "Sums",
    "TaskExpired",
    "TaskState",
    "Trace",
    "Unit",
    "Unsupported",
    "Usage",
    "UsageTelemetry",
    "Verdict",
    "WrittenLine",
    "WrittenRequest",
    "account_of",
    "budget_of",
    "compile_bundle",
    "corrections_of",
    "decimal_of",
    "encode",
    "free_prices",
    "kept_prices",
    "latest_requests",
    "ledger_url",
    "left_open",
    "lines_between",
    "load_prices",
    "nano",
    "priced",
    "quantities_of",
    "quantities_spent",
    "read_labels",
    "read_prices",
    "recent_pace",
    "resolve",
    "save",
    "set_budget",
    "soft_mask",
    "sqlite_url",
    "sums_of",
    "try_memory_mode",
    "usage_telemetry",
    "verify_chain",
    "whole_id",
    "written_request",
]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with quiet_imports():
        return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
