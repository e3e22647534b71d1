"""Colours. Blue and orange stay apart for every common colour blindness, on white and on black."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    rise: str
    fall: str
    band: str
    band_fill: str
    forecast: str
    forecast_fill: str
    gap_fill: str
    text: str
    ground: str


LIGHT = Palette(
    rise="#0b63b5",
    fall="#c2570c",
    band="#6b7280",
    band_fill="rgba(107,114,128,0.12)",
    forecast="#7c3aed",
    forecast_fill="rgba(124,58,237,0.18)",
    gap_fill="rgba(107,114,128,0.28)",
    text="#1f2937",
    ground="#f3f4f6",
)
DARK = Palette(
    rise="#5aa9f5",
    fall="#f59a4d",
    band="#9ca3af",
    band_fill="rgba(156,163,175,0.15)",
    forecast="#b794f6",
    forecast_fill="rgba(183,148,246,0.25)",
    gap_fill="rgba(156,163,175,0.35)",
    text="#e5e7eb",
    ground="#1f2937",
)


def palette_for(*, is_dark: bool) -> Palette:
    return DARK if is_dark else LIGHT
