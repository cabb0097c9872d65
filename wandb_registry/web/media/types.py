"""The kinds of media that browsers show or play, by the ending of a file's name."""

PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp")
SOUNDS = (".wav", ".mp3", ".ogg", ".oga", ".flac", ".m4a")
FILMS = (".mp4", ".webm", ".ogv", ".mov")
ENDINGS = {"picture": PICTURES, "audio": SOUNDS, "video": FILMS}


def playable_type(name: str) -> str | None:
    """picture, audio or video; None for any other file."""
    return next((kind for kind, endings in ENDINGS.items() if name.lower().endswith(endings)), None)


def is_page(name: str) -> bool:
    """Whether a file is a page in HTML, by its name."""
    return name.lower().endswith((".html", ".htm"))
