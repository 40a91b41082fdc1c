"""Customer.io's webhook payloads: published samples, one of them signed, and ones derived from its published schema."""

import json
from pathlib import Path
from typing import Any

_FILE = json.loads((Path(__file__).parent / "data" / "webhook-payloads.json").read_text())
SAMPLES: list[dict[str, Any]] = _FILE["published"] + _FILE["schema_derived"]
_SIGNED = next(sample for sample in SAMPLES if "raw_body" in sample)
KEY: str = _SIGNED["signing_key"]
BODY: bytes = _SIGNED["raw_body"].encode()
TIMESTAMP: str = _SIGNED["headers"]["X-CIO-Timestamp"]
SIGNATURE: str = _SIGNED["headers"]["X-CIO-Signature"]
