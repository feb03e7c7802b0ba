"""How the page looks: Gradio's theme in our colours, and our style sheet."""

from __future__ import annotations

from typing import Any, Final

import gradio as gr

from serving.page.words import static_text

# Only what a machine has; nothing is fetched.
SANS: Final = (
    "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Inter", "Noto Sans",
    "Liberation Sans", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "sans-serif",
)  # fmt: skip
MONO: Final = ("ui-monospace", "SF Mono", "Menlo", "Consolas", "Liberation Mono", "monospace")

_INK: Final = gr.themes.Color(
    "#faf8f3", "#f6f3ec", "#e9e4d8", "#d8d1c2", "#b5ad9c", "#8b8373", "#6b655a", "#4d483f",
    "#38342c", "#1f1d19", "#161512", name="ink",
)  # fmt: skip
_MADDER: Final = gr.themes.Color(
    "#fdf5f1", "#fae8e0", "#f3cfc0", "#eab09a", "#e08a6d", "#c9614a", "#9a3f2b", "#813422",
    "#672a1c", "#4d2016", "#331610", name="madder",
)  # fmt: skip


def theme() -> Any:
    """Warm paper, ink, and madder for what is pressed."""
    return gr.themes.Base(
        primary_hue=_MADDER,
        secondary_hue=_MADDER,
        neutral_hue=_INK,
        radius_size=gr.themes.sizes.radius_lg,
        text_size=gr.themes.sizes.text_md,
        font=SANS,
        font_mono=MONO,
    ).set(
        body_background_fill="#f6f3ec",
        body_background_fill_dark="#161512",
        body_text_color="#26231e",
        body_text_color_dark="#ede8dd",
        body_text_color_subdued="#6b655a",
        body_text_color_subdued_dark="#a39c8d",
        background_fill_primary="#fffdf9",
        background_fill_primary_dark="#1f1d19",
        background_fill_secondary="#faf8f3",
        background_fill_secondary_dark="#262420",
        border_color_primary="#e2dccf",
        border_color_primary_dark="#38342c",
        border_color_accent="#c9614a",
        border_color_accent_dark="#e08a6d",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_border_width="0px",
        block_shadow="none",
        block_padding="0px",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_label_border_width="0px",
        block_label_text_color="#6b655a",
        block_label_text_color_dark="#a39c8d",
        block_title_text_color="#6b655a",
        block_title_text_color_dark="#a39c8d",
        block_title_text_size="13px",
        block_title_text_weight="400",
        block_radius="12px",
        input_background_fill="#faf8f3",
        input_background_fill_dark="#191713",
        input_border_color="#e2dccf",
        input_border_color_dark="#38342c",
        input_border_color_focus="#c9614a",
        input_border_color_focus_dark="#e08a6d",
        input_shadow="none",
        input_shadow_focus="0 0 0 3px rgb(201 97 74 / 14%)",
        input_shadow_focus_dark="0 0 0 3px rgb(224 138 109 / 18%)",
        input_radius="10px",
        input_padding="8px 11px",
        slider_color="#9a3f2b",
        slider_color_dark="#e08a6d",
        button_primary_background_fill="#9a3f2b",
        button_primary_background_fill_hover="#87341f",
        button_primary_background_fill_dark="#e08a6d",
        button_primary_background_fill_hover_dark="#eb9c81",
        button_primary_text_color="#fffaf5",
        button_primary_text_color_dark="#231510",
        button_primary_border_color="transparent",
        button_primary_border_color_dark="transparent",
        button_secondary_background_fill="#faf8f3",
        button_secondary_background_fill_hover="#f0ebe0",
        button_secondary_background_fill_dark="#262420",
        button_secondary_background_fill_hover_dark="#312e28",
        button_secondary_border_color="#e2dccf",
        button_secondary_border_color_dark="#38342c",
        button_secondary_text_color="#26231e",
        button_secondary_text_color_dark="#ede8dd",
        button_cancel_background_fill="#fffdf9",
        button_cancel_background_fill_hover="#fae8e0",
        button_cancel_background_fill_dark="#1f1d19",
        button_cancel_background_fill_hover_dark="#35241c",
        button_cancel_text_color="#9a3f2b",
        button_cancel_text_color_dark="#e08a6d",
        button_cancel_border_color="#c9614a",
        button_cancel_border_color_dark="#e08a6d",
        button_border_width="1px",
        button_large_radius="12px",
        button_medium_radius="10px",
        button_small_radius="999px",
        button_large_text_weight="600",
        button_medium_text_weight="500",
        button_small_text_weight="500",
        button_small_padding="5px 13px",
        button_small_text_size="13px",
        layout_gap="14px",
        form_gap_width="0px",
    )


def style_sheet() -> str:
    """Our own style sheet."""
    return static_text("page.css")
