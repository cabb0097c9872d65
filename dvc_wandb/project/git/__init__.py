"""What git knows of a project: its commits, and the bytes of files in any of them. Doesn't import DVC."""

from dvc_wandb.project.git.commands import bytes_or_none, file_at, output, output_or_none, pathspec, remote_url

__all__ = ["bytes_or_none", "file_at", "output", "output_or_none", "pathspec", "remote_url"]
